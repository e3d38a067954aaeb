//! The one change of size that a cached file has: a number of meminfo gains a ninth digit, at 95 GiB, or loses it.
//! The server reads a machine whose meminfo is made up, and whose other files are this machine's: another program
//! takes 200 GB and gives them back, again and again.
#![allow(
    clippy::print_stdout,
    reason = "the numbers decide which files are cached"
)]

use crate::harness::Cgroup;
use plimsoll::{
    base::{state::Store, sys, units::Micros},
    serve::{
        fuse::{Cached, Direct, Server},
        wire::{Connection, Side},
    },
    view::{answer::Answers, files::File},
};
use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    os::unix::fs::{FileExt, symlink},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

const GIB: u64 = 1 << 30;
const THREADS: usize = 4;
const TIME: Duration = Duration::from_secs(4);

fn serve<F: fuser::Filesystem>(served: F, view: &Path, side: Side) -> Connection {
    let mut connection = Connection::begin(side, view).unwrap();
    let session = connection.session(served, 1).unwrap();
    std::thread::spawn(|| session.run());
    connection
}

/// The difference of a read from the contents that the file has had.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Whole,
    /// The newline at the end is missing or doubled: for a microsecond, or for a time slice of the reader that the
    /// kernel interrupts between the size and the page. The kernel zeroes a page behind a smaller size before it drops
    /// the page, so that there may be a NUL in its place.
    NewlineDiffers,
    Torn(String),
}

fn kind(text: &[u8], contents: &[Vec<u8>]) -> Kind {
    let body = |text: &[u8]| -> Vec<u8> {
        let ends = text.iter().rev().take_while(|byte| b"\n\0".contains(byte));
        text[..text.len() - ends.count()].to_owned()
    };
    // Two numbers change, so that the end has two bytes too few: the newline and the last letter of the unit.
    let is_near = |content: &Vec<u8>| {
        let (read, whole) = (body(text), body(content));
        whole.starts_with(&read) && whole.len() - read.len() <= 1
    };
    match contents {
        contents if contents.iter().any(|content| content == text) => Kind::Whole,
        contents if contents.iter().any(is_near) => Kind::NewlineDiffers,
        _ => Kind::Torn(String::from_utf8_lossy(text).into_owned()),
    }
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn only_the_last_newline_differs_while_numbers_of_meminfo_gain_a_digit() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("proc")).unwrap();
    symlink("/sys", root.path().join("sys")).unwrap();
    for entry in fs::read_dir("/proc").unwrap() {
        let name = entry.unwrap().file_name();
        if name != "meminfo" {
            let there = Path::new("/proc").join(&name);
            symlink(there, root.path().join("proc").join(name)).unwrap();
        }
    }
    let meminfo = root.path().join("proc/meminfo");
    let meminfo = fs::File::create(meminfo).unwrap();
    let set_free = |gib: u64| {
        let kib = gib << 20;
        let text = format!(
            "MemTotal:       524288000 kB\nMemFree:        {kib:>9} kB\nMemAvailable:   {kib:>9} kB\n\
             DirectMap4k:       12345 kB\n"
        );
        meminfo.write_all_at(text.as_bytes(), 0).unwrap();
    };
    set_free(50);
    let answers = Answers::at(root.path(), sys::since_boot).unwrap();
    let answers = Arc::new(answers.with_max_age(Micros(1000)));
    let cgroup = Cgroup::new();
    cgroup.limit_memory(400 * GIB);
    let container = answers.container_at(&cgroup.path()).unwrap();
    let content = |gib| {
        set_free(gib);
        std::thread::sleep(Duration::from_millis(5));
        answers.render(File::Meminfo, &container).unwrap()
    };
    let contents = vec![content(250), content(50)];
    assert_eq!(contents[0].len(), contents[1].len() + 2);

    let server = Arc::new(Server::new(
        Arc::clone(&answers),
        Arc::new(Store::new().unwrap()),
        u32::MAX,
    ));
    let point = tempfile::tempdir().unwrap();
    let direct = serve(Direct(Arc::clone(&server)), point.path(), Side::Direct);
    let cached = serve(Cached(server), point.path(), Side::Cached);
    let own = Side::Cached
        .mountpoint(point.path())
        .join(cgroup.key().to_string());
    let path = own.join("proc/meminfo");
    let is_over = AtomicBool::new(false);
    let mut kinds: BTreeMap<Kind, u64> = BTreeMap::new();
    let reader = || {
        // The daemon finds a reader below `proc` of its machine.
        let own = nix::unistd::gettid().to_string();
        let there = Path::new("/proc").join(&own);
        symlink(there, root.path().join("proc").join(own)).unwrap();
        let mut kinds: BTreeMap<Kind, u64> = BTreeMap::new();
        let mut text = vec![0; 8192];
        while !is_over.load(Ordering::Relaxed) {
            let length = fs::File::open(&path).unwrap().read(&mut text).unwrap();
            *kinds.entry(kind(&text[..length], &contents)).or_default() += 1;
        }
        kinds
    };
    let mut changes = 0;
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..THREADS).map(|_| scope.spawn(reader)).collect();
        let began = Instant::now();
        while began.elapsed() < TIME {
            set_free([50, 250][changes % 2]);
            changes += 1;
            std::thread::sleep(Duration::from_millis(7));
        }
        is_over.store(true, Ordering::Relaxed);
        for reader in readers {
            for (kind, count) in reader.join().unwrap() {
                *kinds.entry(kind).or_default() += count;
            }
        }
    });
    let is_torn = |kind: &&Kind| matches!(kind, Kind::Torn(_));
    assert_eq!(kinds.keys().find(is_torn), None, "{changes} changes");
    let (whole, differ) = (
        kinds[&Kind::Whole],
        kinds.get(&Kind::NewlineDiffers).unwrap_or(&0),
    );
    println!("{changes} changes, {whole} reads whole, {differ} with another end");
    assert!(whole > 0 && changes > 100);
    drop(cached);
    drop(direct);
}
