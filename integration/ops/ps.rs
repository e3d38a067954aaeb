//! `plimsoll ps`: the containers, with the numbers of their own files.

use crate::harness::{
    Cgroup, Daemon, field, only_line, plimsoll, read_line, stdout_of, stop, unique, wait_until,
};
use nix::pty::{Winsize, openpty};
use serde_json::Value;
use std::{
    fs::{self, File},
    io::{Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

const MIB: u64 = 1 << 20;

/// A configuration with that mount point.
fn configuration(mountpoint: &Path) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), format!("mountpoint = {mountpoint:?}\n")).unwrap();
    file
}

/// The list for programs.
fn list(words: &[&str]) -> Vec<Value> {
    let output = plimsoll().args(["ps", "-o", "json"]).args(words).output();
    serde_json::from_str(&stdout_of(&output.unwrap())).unwrap()
}

/// The container with that cgroup, in the list for programs.
fn listed(cgroup: &Cgroup, words: &[&str]) -> Option<Value> {
    let path = cgroup.path();
    let mut list = list(words).into_iter();
    list.find(|one| one["cgroup"] == path.to_str().unwrap())
}

/// A process that writes "ready", and ends when its standard input does.
fn started(mut command: Command) -> Child {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let line = read_line(process.stdout.as_mut().unwrap());
    assert_eq!(line, "ready\n");
    process
}

fn end(mut process: Child) {
    drop(process.stdin.take());
    process.wait().unwrap();
}

#[test]
fn a_mistake_is_one_line_that_names_what_there_is() {
    for (words, said) in [
        (
            &["ps", "--filter", "engine=dokcer"][..],
            "the engines are docker, ",
        ),
        (
            &["ps", "--filter", "status=up"],
            "write engine=NAME, name=PATTERN or view=STATE",
        ),
        (&["list", "--sort", "size"], "sort"),
        (&["ps", "--watch=0"], "200ms"),
        (&["ps", "--watch"], "--watch needs a terminal"),
        (&["ps", "--watch", "-o", "json"], "leave out -o json"),
        (&["ps", "--config", "/nowhere/config"], "/nowhere/config"),
    ] {
        let output = plimsoll().args(words).output().unwrap();
        let line = only_line(&words.join(" "), &output, 125, &output.stderr);
        assert!(line.contains(said), "{line}");
        assert_eq!(output.stdout, b"", "{words:?}");
    }
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_container_of_run_has_the_numbers_of_its_own_files() {
    let name = unique("ps");
    let mut run = plimsoll();
    run.args([
        "run", "-i", "-m", "64M", "--cpus", "1", "--name", &name, "--",
    ]);
    run.args(["sh", "-c", "echo ready; read x; cat /proc/meminfo; read x"]);
    let mut container = started(run);
    let filter = format!("name={name}");
    let found = list(&["--filter", &filter, "--filter", "engine=plimsoll"]).remove(0);
    let send = |container: &mut Child| {
        container.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    };
    send(&mut container);
    let mut meminfo = String::new();
    while !meminfo.contains("SwapFree") {
        meminfo += &read_line(container.stdout.as_mut().unwrap());
    }
    let memory = &found["memory"];
    assert_eq!(memory["total"], field(&meminfo, "MemTotal") << 10);
    assert_eq!(memory["swap_total"], field(&meminfo, "SwapTotal") << 10);
    let (now, then) = (
        field(&meminfo, "MemAvailable") << 10,
        memory["available"].as_u64().unwrap(),
    );
    assert!(now.abs_diff(then) < 4 * MIB, "{now} {then}");
    let used = memory["total"].as_u64().unwrap() - then;
    assert_eq!(memory["used"], used);
    assert_eq!(memory["limited"], true);
    assert_eq!(found["cpu"]["quota"], 1.0);
    assert_eq!(found["cpu"]["cpus"], 1);
    assert!(found["cpu"]["used"].is_number(), "{found}");
    assert_eq!(found["view"]["state"], "served");
    assert_eq!(found["id"], name.as_str());
    assert!(found["uptime"].as_u64().unwrap() < 1000, "{found}");
    end(container);
    assert_eq!(list(&["--filter", &filter]), Vec::<Value>::new());
}

#[test]
#[ignore = "needs root, /dev/fuse and cgroups"]
fn the_view_of_a_container_is_served_or_hangs_or_is_dead_as_its_daemon_is() {
    let mut daemon = Daemon::start();
    let cgroup = Cgroup::new();
    cgroup.limit_memory(64 * MIB);
    let container = started(cgroup.shell(&daemon, "echo ready; read x || true"));
    let config = configuration(&daemon.mountpoint);
    let words = ["--config", config.path().to_str().unwrap()];
    let state = || {
        let found = listed(&cgroup, &words).unwrap();
        assert_eq!(found["memory"]["total"], 64 * MIB);
        let view = found["view"].as_object().unwrap();
        assert_eq!(view["mountpoint"], daemon.mountpoint.to_str().unwrap());
        view["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(state(), "served");
    stop(daemon.pid());
    assert_eq!(state(), "hangs");
    daemon.kill();
    wait_until("the files of the container are dead", || {
        let found = listed(&cgroup, &words).unwrap();
        found["view"]["state"] == "dead"
    });
    end(container);
}

/// A container without a view in the cgroup.
fn viewless(cgroup: &Cgroup) -> Child {
    let script = format!(
        "{}exec unshare -pfm --kill-child --mount-proc sh -c 'echo ready; read x'",
        cgroup.join("$$")
    );
    let mut shell = Command::new("sh");
    shell.args(["-ec", &script]);
    started(shell)
}

#[test]
#[ignore = "needs root, /dev/fuse and cgroups"]
fn a_container_without_a_view_has_the_reason_and_the_fix() {
    let cgroup = Cgroup::new();
    let container = viewless(&cgroup);
    let nowhere = tempfile::tempdir().unwrap();
    let view = |mountpoint: &Path| {
        let config = configuration(mountpoint);
        let words = [
            "--config",
            config.path().to_str().unwrap(),
            "--filter",
            "view=none",
        ];
        let found = listed(&cgroup, &words).unwrap();
        let view = found["view"].clone();
        assert_eq!(
            (&view["state"], &found["engine"]),
            (&"none".into(), &"other".into())
        );
        (
            view["reason"].as_str().unwrap().to_owned(),
            view["fix"].as_str().map(str::to_owned),
        )
    };
    assert_eq!(view(nowhere.path()).0, "no daemon serves");
    let daemon = Daemon::start();
    let (reason, fix) = view(&daemon.mountpoint);
    assert_eq!(
        (reason.as_str(), fix),
        ("has no limit of memory or CPUs", None)
    );
    cgroup.limit_memory(64 * MIB);
    let (reason, fix) = view(&daemon.mountpoint);
    assert_eq!(reason, "the engine is not known");
    let attach = format!("plimsoll attach {}", cgroup.path().display());
    assert_eq!(fix, Some(attach));
    end(container);
}

/// The output of a command on a terminal of that many columns and 5 rows, to the end of the command.
/// `then` is called with the process as soon as the output is longer than that number of bytes.
fn on_terminal(mut command: Command, columns: u16, (enough, then): (usize, fn(&Child))) -> String {
    let size = Winsize {
        ws_row: 5,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let terminal = openpty(Some(&size), None).unwrap();
    command.env("TERM", "xterm").env("NO_COLOR", "1");
    let input = terminal.slave.try_clone().unwrap();
    let mut process = command.stdin(input).stdout(terminal.slave).spawn().unwrap();
    drop(command);
    let mut master = File::from(terminal.master);
    let (mut text, mut piece, mut is_called) = (Vec::new(), [0; 4096], false);
    // A terminal that no process holds open answers with EIO.
    while let Ok(length @ 1..) = master.read(&mut piece) {
        text.extend_from_slice(&piece[..length]);
        if text.len() > enough && !is_called {
            is_called = true;
            then(&process);
        }
    }
    assert!(process.wait().unwrap().success());
    String::from_utf8(text).unwrap()
}

#[test]
#[ignore = "needs root and cgroups"]
fn a_terminal_of_20_columns_gets_lines_of_20_columns() {
    let cgroup = Cgroup::new();
    let container = viewless(&cgroup);
    for format in ["table", "wide"] {
        let mut ps = plimsoll();
        ps.args(["ps", "-o", format]);
        let text = on_terminal(ps, 20, (usize::MAX, |_| {}));
        assert!(text.starts_with("NAME"), "{text}");
        for line in text.lines() {
            assert!(line.trim_end().chars().count() <= 20, "{line:?}");
        }
    }
    end(container);
}

#[test]
#[ignore = "needs root and cgroups"]
fn watch_draws_over_the_list_before_and_gives_the_terminal_back_after_ctrl_c() {
    let cgroup = Cgroup::new();
    let container = viewless(&cgroup);
    let mut ps = plimsoll();
    ps.args(["ps", "--watch=300ms"]);
    let interrupt = |process: &Child| crate::harness::kill("INT", process.id());
    // Some frames of 5 lines of 40 columns.
    let text = on_terminal(ps, 40, (600, interrupt));
    assert!(text.starts_with("\x1b[?1049h"), "{text:?}");
    assert!(text.ends_with("\x1b[?1049l"), "{text:?}");
    let frames: Vec<&str> = text.split("\x1b[H").skip(1).collect();
    assert!(frames.len() > 2, "{text:?}");
    for frame in frames {
        assert!(frame.lines().count() <= 5, "{frame:?}");
        assert!(!frame.contains("\x1b[2J"), "{frame:?}");
    }
    end(container);
}
