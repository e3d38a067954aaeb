//! The end of a container: signals, and traces on the machine.

use super::container::{
    PROGRAM, Running, entries, kept, processes, refusal, root, run, status, stdout, text, traces,
};
use crate::harness::{only_line, plimsoll, stdout_of, unique, wait_until};
use std::{fs, process::Command, thread, time::Duration};

#[test]
#[ignore = "needs root and /dev/fuse"]
fn signals_are_passed_on() {
    for (signal, expected) in [("TERM", 143), ("INT", 130), ("HUP", 129), ("USR1", 138)] {
        let running = Running::start(&[], "exec sleep 1000");
        running.signal(signal);
        assert_eq!(running.status(), expected, "{signal}");
    }
    let running = Running::start(
        &[],
        "trap 'echo caught; exit 3' TERM; while :; do sleep 0.1; done",
    );
    running.signal("TERM");
    assert_eq!(running.status(), 3);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_command_that_lives_on_after_ctrl_c_keeps_its_view() {
    let running = Running::start(
        &["-m", "64M"],
        "trap 'echo caught; grep MemTotal /proc/meminfo; exit 3' INT; while :; do sleep 0.1; done",
    );
    running.signal_group("INT");
    wait_until("the command has caught the signal", || {
        running.has_printed("caught")
    });
    wait_until("the command has read its view", || {
        running.has_printed("MemTotal:          65536 kB")
    });
    assert_eq!(running.status(), 3);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn an_orphan_ends_with_the_command() {
    let mark = unique("orphan");
    stdout(&[
        "--",
        "sh",
        "-c",
        &format!("sh -c 'sleep 1000; : {mark}' & true"),
    ]);
    assert_eq!(processes(&mark), Vec::<String>::new());
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn an_ended_container_leaves_no_trace() {
    let name = unique("ends");
    assert_eq!(
        status(&["--name", &name, "-m", "64M", "-v", "/x", "--", "true"]),
        0
    );
    assert_eq!(traces(&name), Vec::<String>::new());
    let name = unique("fails");
    assert_eq!(
        status(&["--name", &name, "-u", "nobody-of-that-name", "--", "true"]),
        125
    );
    assert_eq!(traces(&name), Vec::<String>::new());
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_killed_run_takes_its_container_along_and_the_next_one_cleans_up() {
    let name = unique("killed");
    let mut running = Running::start(&["--name", &name, "-m", "64M"], "sleep 1000");
    running.signal("KILL");
    running.process.wait().unwrap();
    wait_until("the processes of the container are dead", || {
        processes(&name).is_empty()
    });
    assert_eq!(status(&["--", "true"]), 0);
    assert_eq!(traces(&name), Vec::<String>::new());
    assert_eq!(status(&["--name", &name, "--", "true"]), 0);
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_run_that_is_killed_at_any_moment_of_its_start_frees_its_name() {
    let name = unique("begun");
    for delay in (0..150).step_by(10) {
        let mut begun = run(&["--name", &name, "--", "sleep", "1000"])
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(delay));
        begun.kill().unwrap();
        begun.wait().unwrap();
        wait_until("the name is free", || {
            status(&["--name", &name, "--", "true"]) == 0
        });
        assert_eq!(processes(&name), [""; 0], "after {delay} ms");
    }
    assert_eq!(traces(&name), Vec::<String>::new());
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_program_of_another_user_dies_with_a_killed_run_too() {
    // The kernel clears the parent-death signal of a process that executes a set-user-ID program.
    let mark = unique("setuid");
    let script = format!("su nobody -s /bin/sh -c 'sleep 1000; : {mark}'");
    let options = ["--security-opt", "no-new-privileges=false"];
    let script = format!("{script} & sleep 1; echo inside; wait");
    let mut running = Running::start(&options, &script);
    wait_until("the other user's program runs", || {
        running.has_printed("inside")
    });
    running.signal("KILL");
    running.process.wait().unwrap();
    wait_until("the other user's program is dead", || {
        processes(&mark).is_empty()
    });
    // The next start removes the traces.
    assert_eq!(status(&["--", "true"]), 0);
}

/// Runs `plimsoll kept` with these words.
fn kept_command(words: &[&str]) -> std::process::Output {
    plimsoll().arg("kept").args(words).output().unwrap()
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn kept_changes_are_listed_and_removed_by_the_names_of_their_containers() {
    let names = [unique("one"), unique("two")];
    for name in &names {
        let words = ["--name", name, "--keep", "--", "touch", "/root/saved"];
        assert_eq!(status(&words), 0);
    }
    let listed = stdout_of(&kept_command(&["-o", "json"]));
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    for name in &names {
        let mut all = listed.as_array().unwrap().iter();
        let found = all.find(|it| it["name"] == **name).unwrap();
        let path = std::path::Path::new(found["path"].as_str().unwrap());
        assert!(path.join("root/saved").exists() && found["bytes"].as_u64().unwrap() > 0);
    }
    let again = refusal(&["--name", &names[0], "--keep", "--", "true"]);
    let way = format!("plimsoll kept --remove {}", names[0]);
    assert!(again.contains(&way), "{again}");

    let output = kept_command(&["--remove", &names[0], "nobody"]);
    let said = only_line("kept", &output, 125, &output.stderr);
    assert!(said.contains("nobody"), "{said}");
    for (name, other) in [(&names[0], Some(&names[1])), (&names[1], None)] {
        stdout_of(&kept_command(&["--remove", name]));
        let left = stdout_of(&kept_command(&[]));
        assert!(!left.contains(name.as_str()), "{left}");
        assert!(
            other.is_none_or(|other| left.contains(other.as_str())),
            "{left}"
        );
    }
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn kept_changes_outlive_a_killed_run() {
    let name = unique("saved");
    let mut running = Running::start(
        &["--name", &name, "--keep"],
        "echo x > /root/saved; echo done; sleep 1000",
    );
    wait_until("the command has written", || running.has_printed("done"));
    running.signal("KILL");
    running.process.wait().unwrap();
    assert_eq!(status(&["--", "true"]), 0);
    let kept = kept(&name);
    assert!(kept.join("root/saved").exists());
    for ours in ["etc/hosts", "etc/hostname", "etc/resolv.conf"] {
        assert!(
            !kept.join(ours).exists(),
            "{ours} is among the kept changes"
        );
    }
    fs::remove_dir_all(kept).unwrap();
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_killed_run_leaves_only_the_changes_of_the_command_in_a_directory_as_root() {
    let root = root();
    let mut running = Running::start(
        &["--rootfs", text(root.path())],
        "echo x > /written; echo done; sleep 1000",
    );
    wait_until("the command has written", || running.has_printed("done"));
    running.signal("KILL");
    running.process.wait().unwrap();
    assert_eq!(status(&["--", "true"]), 0);
    assert_eq!(entries(root.path()), ["bin", "written"]);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_terminal_has_the_size_the_keys_and_the_jobs_of_a_real_one() {
    let script = include_str!("terminal.py");
    let output = Command::new("python3")
        .args(["-c", script, PROGRAM])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
