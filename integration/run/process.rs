//! The process in a container: exit status, environment, user, standard streams, namespaces.

use super::container::{PROGRAM, output, root, run, status, stdout, text};
use crate::harness::{Daemon, oci::configured, stdout_of};
use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn the_exit_status_is_that_of_the_command() {
    assert_eq!(status(&["--", "true"]), 0);
    assert_eq!(status(&["--", "sh", "-c", "exit 7"]), 7);
    assert_eq!(status(&["--", "sh", "-c", "kill -KILL $$"]), 137);
    assert_eq!(status(&["--", "sh", "-c", "kill -TERM $$"]), 143);
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_command_that_is_not_there_is_127_and_one_that_cannot_be_run_126() {
    for (word, expected) in [
        ("no-such-command", 127),
        ("/no/such/command", 127),
        ("/etc/passwd", 126),
        ("/etc", 126),
    ] {
        let output = output(&["--", word]);
        assert_eq!(output.status.code(), Some(expected), "{word}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(word) && said.lines().count() == 1, "{said}");
    }
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_script_runs_by_its_interpreter_which_is_no_open_file_of_the_caller() {
    let root = root();
    let script = |first_line: &str| {
        let path = root.path().join("script");
        fs::write(&path, format!("#!{first_line}\necho runs\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        // The descriptors of the caller that a shell leaves open.
        let words = ["run", "--rootfs", text(root.path()), "--", "/script"];
        let program = PROGRAM.to_owned();
        let shell = ["-c", "exec \"$@\" 7</bin 8</ 9</bin/sh", "sh", &program];
        let mut command = Command::new("sh");
        command.args(shell).args(words).stdin(Stdio::null());
        command.output().unwrap()
    };
    assert_eq!(stdout_of(&script("/bin/sh")), "runs\n");
    for interpreter in ["7/sh", "8/bin/sh", "9"] {
        let output = script(&format!("/proc/self/fd/{interpreter}"));
        assert_eq!(output.status.code(), Some(127), "{interpreter}: {output:?}");
    }
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_directory_as_the_command_is_called_so() {
    let output = output(&["--", "/etc"]);
    assert_eq!(output.status.code(), Some(126));
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(line, "plimsoll: cannot run /etc: is a directory\n");
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn arguments_behind_the_command_belong_to_the_command() {
    assert_eq!(
        stdout(&["echo", "-m", "1K", "--", "--name"]),
        "-m 1K -- --name\n"
    );
    assert_eq!(stdout(&["--entrypoint", "echo", "--", "-n", "x"]), "x");
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_container_has_processes_names_and_clocks_of_its_own() {
    let seen = stdout(&[
        "--hostname",
        "box",
        "--",
        "sh",
        "-c",
        "hostname; cat /etc/hostname; ls -d /proc/[0-9]* | wc -l; cat /proc/self/cgroup",
    ]);
    let lines: Vec<&str> = seen.lines().collect();
    assert_eq!(&lines[..2], ["box", "box"]);
    assert!(lines[2].trim().parse::<u32>().unwrap() < 8, "{seen}");
    assert!(
        lines[3..]
            .iter()
            .all(|line| line.ends_with(":/") || line.starts_with("0::")),
        "{seen}"
    );
    if Path::new("/proc/self/ns/time").exists() {
        let clock = "import time; print(time.clock_gettime(7), time.clock_gettime(1))";
        if Path::new("/usr/bin/python3").exists() {
            let clocks = stdout(&["--", "/usr/bin/python3", "-c", clock]);
            let mut clocks = clocks
                .split_whitespace()
                .map(|word| word.parse::<f64>().unwrap());
            assert!(clocks.all(|clock| (0.0..60.0).contains(&clock)));
        }
    }
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_container_has_no_network_unless_it_shares_the_hosts() {
    let own = stdout(&["--", "cat", "/proc/net/dev"]);
    assert_eq!(own.lines().skip(2).count(), 1, "{own}");
    let link = fs::read_link("/proc/self/ns/net").unwrap();
    let seen = stdout(&["--net", "host", "--", "readlink", "/proc/self/ns/net"]);
    assert_eq!(seen.trim(), text(&link));
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_container_reaches_itself_by_localhost() {
    let script = "import socket; server = socket.create_server(('127.0.0.1', 0)); \
        socket.create_connection(('localhost', server.getsockname()[1]), 5); print('reached')";
    assert_eq!(stdout(&["--", "python3", "-c", script]), "reached\n");
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_user_is_found_by_the_containers_own_passwd() {
    let root = root();
    fs::create_dir(root.path().join("etc")).unwrap();
    fs::write(
        root.path().join("etc/passwd"),
        "a:x:1234:99::/home/a:/bin/sh\n",
    )
    .unwrap();
    fs::write(root.path().join("etc/group"), "g:x:77:a\n").unwrap();
    let rootfs = text(root.path());
    let seen = stdout(&[
        "--rootfs",
        rootfs,
        "-u",
        "a",
        "--",
        "sh",
        "-c",
        "id; echo $HOME",
    ]);
    assert!(
        seen.contains("uid=1234") && seen.contains("gid=99") && seen.contains("77"),
        "{seen}"
    );
    assert!(seen.ends_with("/home/a\n"), "{seen}");
    let seen = stdout(&["-u", "4321:8765", "--", "id"]);
    assert!(
        seen.contains("uid=4321") && seen.contains("gid=8765"),
        "{seen}"
    );
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn the_environment_is_only_what_is_passed_on() {
    let output = run(&["-e", "A=1", "-e", "HANDED", "--", "env"])
        .env("HANDED", "on")
        .env("SECRET", "x")
        .output()
        .unwrap();
    let seen = String::from_utf8(output.stdout).unwrap();
    assert!(
        seen.contains("A=1\n") && seen.contains("HANDED=on\n"),
        "{seen}"
    );
    assert!(!seen.contains("SECRET"), "{seen}");
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_missing_working_directory_is_made() {
    assert_eq!(stdout(&["--", "pwd"]), "/\n");
    assert_eq!(
        stdout(&["-w", "/no/such/place", "--", "pwd"]),
        "/no/such/place\n"
    );
    assert!(!Path::new("/no").exists());
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn standard_input_is_passed_on_only_with_the_option() {
    for (words, expected) in [(&["--", "cat"][..], ""), (&["-i", "--", "cat"], "typed")] {
        let mut process = run(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let _ = process.stdin.take().unwrap().write_all(b"typed");
        let output = process.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    }
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn output_can_go_to_dev_null() {
    let null = || {
        fs::OpenOptions::new()
            .write(true)
            .open("/dev/null")
            .unwrap()
    };
    let status = run(&["--", "sh", "-c", "echo x && echo y >&2"])
        .stdout(null())
        .stderr(null())
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups and a real CPU"]
fn a_container_reads_from_the_configured_daemon_and_cannot_see_its_mount_point() {
    let daemon = Daemon::start();
    let (_directory, config) = configured(&format!("mountpoint = {:?}", daemon.mountpoint));
    let script = format!(
        "grep ' /proc/meminfo ' /proc/self/mountinfo; [ ! -e {at} ] || ls -A {at}",
        at = daemon.mountpoint.display()
    );
    let text = stdout(&["--config", &config, "-m", "64M", "--", "sh", "-c", &script]);
    let source = plimsoll::base::paths::mount_source(&daemon.mountpoint);
    assert_eq!(text.matches(&source).count(), 1, "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}
