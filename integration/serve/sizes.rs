//! The sizes of the served files: programs do with a served file what they do with the kernel's own.

use crate::harness::{Cgroup, Daemon, python, stdout_of};
use plimsoll::view::files::{FILES, File};
use std::{fs, path::Path, process::Command};

/// Relation of a program's output to the content of its file. Contents move between two reads, so
/// that numbers count as equal, and lengths may differ by `MAX_MOVE`.
#[derive(Debug, Clone, Copy)]
enum Output {
    /// The content.
    Whole,
    /// So many bytes of the end.
    Last(usize),
    /// All but so many bytes of the start.
    Behind(usize),
    /// All but so many bytes of the end.
    Before(usize),
    /// The number of bytes.
    Bytes,
    /// The number of lines.
    Lines,
}

const MAX_MOVE: usize = 64;

/// Commands over a file `F` with the content `A` and a scratch directory `T`, and their output on any file of the kernel.
const COMMANDS: [(&str, Output); 30] = [
    ("cat $F", Output::Whole),
    ("busybox cat $F", Output::Whole),
    ("tail -c 20 $F", Output::Last(20)),
    ("tail -c +20 $F", Output::Behind(19)),
    ("head -c -10 $F", Output::Before(10)),
    ("head -n -0 $F", Output::Whole),
    ("tail -n 100000 $F", Output::Whole),
    ("wc -c < $F", Output::Bytes),
    ("wc -c $F | cut -d' ' -f1", Output::Bytes),
    ("wc -l < $F", Output::Lines),
    ("tac $F | tac", Output::Whole),
    ("sort $F | wc -c", Output::Bytes),
    ("grep -c ^ $F || test $? = 1", Output::Lines),
    ("awk 'END { print NR }' $F", Output::Lines),
    (
        "split -b 100 $F $T/b. && find $T -name 'b.*' | sort | xargs -r cat",
        Output::Whole,
    ),
    (
        "split -n 3 $F $T/n. && find $T -name 'n.*' | sort | xargs -r cat",
        Output::Whole,
    ),
    ("busybox xxd -p $F | busybox xxd -r -p", Output::Whole),
    ("cp $F $T/cp && cat $T/cp", Output::Whole),
    ("cp --sparse=always $F $T/sp && cat $T/sp", Output::Whole),
    ("busybox cp $F $T/bb && cat $T/bb", Output::Whole),
    ("install -m 600 $F $T/in && cat $T/in", Output::Whole),
    ("dd status=none bs=100 if=$F", Output::Whole),
    ("dd status=none bs=1 skip=9 if=$F", Output::Behind(9)),
    ("dd status=none bs=1M iflag=fullblock if=$F", Output::Whole),
    ("gzip < $F | zcat", Output::Whole),
    ("busybox tail -c 20 $F", Output::Last(20)),
    ("busybox tail -c +20 $F", Output::Behind(19)),
    ("busybox wc -c < $F", Output::Bytes),
    ("busybox tac $F | busybox tac", Output::Whole),
    (
        "python3 -c 'import shutil, sys; shutil.copyfile(*sys.argv[1:])' $F $T/py && cat $T/py",
        Output::Whole,
    ),
];

/// Commands that need to know where the file ends. Files of procfs do not tell, so that these copy
/// nothing or fail; a served file tells.
const COMMANDS_THAT_NEED_THE_SIZE: [(&str, Output); 4] = [
    ("tar chPf - $F | tar xPOf -", Output::Whole),
    ("stat -L -c %s $F", Output::Bytes),
    (
        "python3 -c 'import sys; f = open(sys.argv[1], \"rb\"); f.seek(-5, 2); sys.stdout.buffer.write(f.read())' $F || test ! -s $A",
        Output::Last(5),
    ),
    (
        "python3 -c 'import os, sys; print(os.lseek(os.open(sys.argv[1], 0), 0, 2))' $F",
        Output::Bytes,
    ),
];

/// Returns the text without what moves between two reads.
fn shape(bytes: &[u8]) -> Vec<u8> {
    let moves = |byte: &u8| byte.is_ascii_digit() || *byte == b' ';
    bytes.iter().copied().filter(|byte| !moves(byte)).collect()
}

impl Output {
    fn fits(self, output: &[u8], content: &[u8]) -> bool {
        let near = |length: usize| output.len().abs_diff(length) <= MAX_MOVE;
        let number = String::from_utf8_lossy(output).trim().parse::<usize>();
        let (out, all) = (shape(output), shape(content));
        match self {
            Output::Whole => out == all,
            Output::Last(bytes) => output.len() == content.len().min(bytes) && all.ends_with(&out),
            Output::Behind(bytes) => {
                near(content.len().saturating_sub(bytes)) && all.ends_with(&out)
            }
            Output::Before(bytes) => {
                near(content.len().saturating_sub(bytes)) && all.starts_with(&out)
            }
            Output::Bytes => number.is_ok_and(|bytes| bytes.abs_diff(content.len()) <= MAX_MOVE),
            Output::Lines => number == Ok(content.iter().filter(|byte| **byte == b'\n').count()),
        }
    }
}

/// Returns a script that runs each command on each file below `root`, and writes the content, the
/// output and the exit status into a directory.
fn script(commands: &[(&str, Output)], files: &[&str], root: &str, into: &Path) -> String {
    let mut script = format!("set +e; cd {}; mkdir -p t; T=t; ", into.display());
    for (at, file) in files.iter().enumerate() {
        script += &format!("F={root}/{file}; ");
        for (number, (command, _)) in commands.iter().enumerate() {
            let name = format!("{at}.{number}");
            script += &format!(
                "A={name}.all; cat $F > $A; {{ {command}; }} > {name}.out 2> {name}.err; echo $? > {name}.status; rm -rf t/*; "
            );
        }
    }
    script
}

/// Checks that each command succeeded with its output.
fn check(commands: &[(&str, Output)], files: &[&str], from: &Path) {
    let mut wrong = Vec::new();
    for (at, file) in files.iter().enumerate() {
        for (number, (command, output)) in commands.iter().enumerate() {
            let read = |kind: &str| fs::read(from.join(format!("{at}.{number}.{kind}"))).unwrap();
            let (all, out) = (read("all"), read("out"));
            if read("status") != b"0\n" || !output.fits(&out, &all) {
                let text =
                    String::from_utf8_lossy(&out[out.len().saturating_sub(40)..]).into_owned();
                let error = String::from_utf8_lossy(&read("err")).into_owned();
                let (out, all) = (out.len(), all.len());
                wrong.push(format!(
                    "{file}: {command}: {out} of {all} bytes, {text:?}, {error}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Returns the files of procfs that this kernel has.
fn procfs_files() -> Vec<&'static str> {
    let files = FILES.into_iter().filter(|file| !file.is_in_sysfs());
    let paths = files.map(File::path);
    paths
        .filter(|path| Path::new("/").join(path).exists())
        .collect()
}

/// Returns the files that a container finds.
fn served_files() -> Vec<&'static str> {
    let files = procfs_files().into_iter();
    // cgroup v1 has no pressure.
    files
        .filter(|path| !path.starts_with("proc/pressure") || crate::harness::is_v2())
        .collect()
}

fn run(command: &mut Command) {
    stdout_of(&command.output().unwrap());
}

#[test]
#[ignore = "needs root, /dev/fuse and busybox"]
fn programs_read_the_kernels_own_files_to_the_end() {
    let place = tempfile::tempdir().unwrap();
    let files = procfs_files();
    let script = script(&COMMANDS, &files, "", place.path());
    run(Command::new("sh").args(["-c", &script]));
    check(&COMMANDS, &files, place.path());
}

#[test]
#[ignore = "needs root, /dev/fuse and busybox"]
fn programs_read_the_files_bound_into_a_container_to_the_end() {
    let (daemon, place) = (Daemon::start(), tempfile::tempdir().unwrap());
    let files = served_files();
    let commands = [COMMANDS.as_slice(), &COMMANDS_THAT_NEED_THE_SIZE].concat();
    let script = script(&commands, &files, "", place.path());
    run(&mut Cgroup::new().shell(&daemon, &script));
    check(&commands, &files, place.path());
}

#[test]
#[ignore = "needs root, /dev/fuse and busybox"]
fn programs_read_the_shared_tree_to_the_end() {
    let (daemon, place) = (Daemon::start(), tempfile::tempdir().unwrap());
    let files = served_files();
    let commands = [COMMANDS.as_slice(), &COMMANDS_THAT_NEED_THE_SIZE].concat();
    let root = daemon.mountpoint.display().to_string();
    let script = script(&commands, &files, &root, place.path());
    run(&mut Cgroup::new().shell(&daemon, &script));
    check(&commands, &files, place.path());
    run(Command::new("sh").args(["-c", &script]));
    check(&commands, &files, place.path());
}

#[test]
#[ignore = "needs root, /dev/fuse and busybox"]
fn programs_read_the_tree_of_a_container_to_the_end() {
    let (daemon, place) = (Daemon::start(), tempfile::tempdir().unwrap());
    let (cgroup, files) = (Cgroup::new(), served_files());
    let commands = [COMMANDS.as_slice(), &COMMANDS_THAT_NEED_THE_SIZE].concat();
    let root = daemon.path(&format!("containers/{}", cgroup.key()));
    let script = script(&commands, &files, &root.display().to_string(), place.path());
    let mut init = cgroup.shell(&daemon, "sleep 60").spawn().unwrap();
    run(Command::new("sh").args(["-c", &script]));
    init.kill().unwrap();
    init.wait().unwrap();
    check(&commands, &files, place.path());
}

#[test]
#[ignore = "needs root, /dev/fuse and busybox"]
fn programs_do_with_a_file_of_sysfs_what_they_do_with_the_kernels() {
    let daemon = Daemon::start();
    let seek = "import os, sys\nfd = os.open(sys.argv[1], 0)\nprint(os.lseek(fd, 0, 2), os.lseek(fd, 0, 3), os.lseek(fd, 0, 4))\n\
        os.lseek(fd, -5, 2)\nprint(os.read(fd, 9))";
    let names = COMMANDS.iter().chain(&COMMANDS_THAT_NEED_THE_SIZE);
    let commands: Vec<&str> = names.map(|(command, _)| *command).collect();
    let script = |root: &str| {
        let mut script = "set +e; T=$(mktemp -d); cd $T; exec 2>/dev/null; ".to_owned();
        for file in [
            "cpu/online",
            "cpu/possible",
            "cpu/kernel_max",
            "cpu/offline",
            "cpu/cpu0/topology/core_id",
        ] {
            script += &format!("F={root}/sys/devices/system/{file}; echo $F | grep -o system.*; ");
            for command in &commands {
                script += &format!("{{ {command}; }} | tr -d '\\0'; echo $?; rm -rf $T/*\n");
            }
            script += &format!("stat -c '%s %o %b %h %F' $F; {}", python(seek, "$F"));
        }
        script + "rm -rf $T"
    };
    let kernels = stdout_of(
        &Command::new("sh")
            .args(["-c", &script("")])
            .output()
            .unwrap(),
    );
    assert!(kernels.contains("4096 4096 0 1 regular file"), "{kernels}");
    let shared = script(&daemon.mountpoint.display().to_string());
    let shared = stdout_of(&Command::new("sh").args(["-c", &shared]).output().unwrap());
    assert_eq!(shared, kernels);
    let bound = Cgroup::new().stdout(&daemon, &script(""));
    assert_eq!(bound, kernels);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_file_of_the_shared_tree_has_the_size_of_the_callers_own_content() {
    let daemon = Daemon::start();
    let (small, large) = (Cgroup::new(), Cgroup::new());
    small.limit_cpu(100);
    let path = daemon.path("proc/cpuinfo");
    let script = format!(
        "import os\nbad = 0\nfor _ in range(2000):\n  size = os.stat('{0}').st_size\n  \
         bad += abs(size - len(open('{0}', 'rb').read())) > 64\nprint(bad)",
        path.display()
    );
    let script = python(&script, "");
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(|| small.stdout(&daemon, &script));
        let second = large.stdout(&daemon, &script);
        (first.join().unwrap(), second)
    });
    assert_eq!((first.as_str(), second.as_str()), ("0\n", "0\n"));
}
