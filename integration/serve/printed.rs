//! Every file of every tree is byte for byte one that the kernel could have printed.

use crate::{
    harness::{Cgroup, Daemon, plimsoll, stdout_of},
    view::grammar,
};
use plimsoll::view::files::{Attribute, FILES, File, Rule};
use std::{fs, io::Read, os::unix::fs::OpenOptionsExt, path::Path, process::Command};

/// Returns the paths of all files that the trees can have, below `/`.
fn served_paths() -> Vec<String> {
    let script = "find /sys/devices/system/cpu /sys/devices/system/node -type f";
    let found = stdout_of(&Command::new("sh").args(["-c", script]).output().unwrap());
    let attributes = found.lines().filter_map(|path| {
        let attribute = Attribute::at(path.strip_prefix('/')?)?;
        (attribute.rule() != Rule::Directory).then(|| attribute.path())
    });
    let files = FILES.iter().map(|file| file.path().to_owned());
    files.chain(attributes).collect()
}

/// Verifies the files of a tree, and returns their number. A container has no files of CPUs that it does not see.
fn verify(root: &Path) -> usize {
    let mut count = 0;
    for path in served_paths() {
        let own = fs::read_to_string(Path::new("/").join(&path));
        if let (Ok(own), Ok(text)) = (own, fs::read_to_string(root.join(&path))) {
            assert_eq!(
                grammar::verify(&path, &text, &own),
                Ok(()),
                "{}",
                root.display()
            );
            count += 1;
        }
    }
    count
}

/// Returns a cgroup with limits.
fn limited() -> Cgroup {
    let cgroup = Cgroup::new();
    cgroup.limit_memory(200 << 20);
    cgroup.limit_cpu(100);
    cgroup
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn every_file_of_a_containers_tree_is_one_that_the_kernel_could_have_printed() {
    let daemon = Daemon::start();
    let cgroup = limited();
    for tree in ["containers", ".direct"] {
        let count = verify(&daemon.path(&format!("{tree}/{}", cgroup.key())));
        assert!(count > 20, "{tree}: {count}");
    }
    // The host's part of the shared tree.
    assert!(verify(&daemon.mountpoint) > 20);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn every_file_of_the_shared_tree_is_one_that_the_kernel_could_have_printed() {
    let daemon = Daemon::start();
    let cgroup = limited();
    let copies = tempfile::tempdir().unwrap();
    let script = format!(
        "cd {view}; for file in {paths}; do mkdir -p {copies}/${{file%/*}}; cat $file >{copies}/$file || rm {copies}/$file; done",
        view = daemon.mountpoint.display(),
        paths = served_paths().join(" "),
        copies = copies.path().display(),
    );
    cgroup.stdout(&daemon, &script);
    assert!(verify(copies.path()) > 20);
    let stat = fs::read_to_string(copies.path().join("proc/stat")).unwrap();
    let cpus = stat.lines().filter(|line| line.starts_with("cpu"));
    assert_eq!(cpus.count(), 2, "the copies are the host's: {stat}");
}

#[test]
#[ignore = "needs root and cgroups"]
fn show_prints_what_the_kernel_could_have_printed() {
    let cgroup = limited();
    for file in FILES {
        let mut show = plimsoll();
        show.args(["show", "--cgroup"])
            .arg(cgroup.path())
            .arg(file.path());
        let shown = show.output().unwrap();
        // A container of cgroup v1 has no pressure files.
        if file.pressure().is_some() && !shown.status.success() {
            continue;
        }
        let own = fs::read_to_string(Path::new("/").join(file.path())).unwrap();
        let text = stdout_of(&shown);
        assert_eq!(grammar::verify(file.path(), &text, &own), Ok(()));
    }
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn every_tree_and_every_way_to_read_has_the_same_bytes() {
    let daemon = Daemon::start();
    let cgroup = limited();
    let key = cgroup.key();
    // Both have numbers that stay while nothing runs in the container.
    for file in [File::Meminfo, File::Cpuinfo, File::Swaps, File::Slabinfo] {
        let path = file.path();
        let read = |tree: &str| fs::read_to_string(daemon.path(&format!("{tree}/{key}/{path}")));
        let shape = |text: String| text.replace(|letter: char| letter.is_ascii_digit(), " ");
        let (cached, direct) = (read("containers").unwrap(), read(".direct").unwrap());
        assert_eq!(shape(cached), shape(direct), "{path}");
    }
    // The page of the kernel's cache has more bytes than the file, which no reader may see.
    let path = daemon.path(&format!("containers/{key}/proc/stat"));
    let mut past_the_cache = String::new();
    let mut options = fs::File::options();
    let mut file = options
        .read(true)
        .custom_flags(libc::O_DIRECT)
        .open(&path)
        .unwrap();
    file.read_to_string(&mut past_the_cache).unwrap();
    let through_the_cache = fs::read_to_string(&path).unwrap();
    assert_eq!(past_the_cache.len(), through_the_cache.len());
    assert_eq!(
        fs::metadata(&path).unwrap().len(),
        through_the_cache.len() as u64
    );
    for line in past_the_cache.lines().chain(through_the_cache.lines()) {
        assert!(!line.is_empty() && !line.ends_with(' '), "{line:?}");
    }
}
