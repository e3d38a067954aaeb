//! The values of options and of keys: one syntax, and one line with the range for what is refused.

use crate::harness::{file_tree, only_line, plimsoll};
use std::{
    fs,
    process::{Command, Output, Stdio},
};

/// The options with a time, each as a command that starts nothing, and the key of the same setting.
const TIMES: [(&[&str], &str, &str); 3] = [
    (
        &[
            "daemon",
            "--replace",
            "--dry-run",
            "/nowhere/view",
            "--watchdog",
        ],
        "watchdog",
        "from 1s to 1day",
    ),
    (
        &[
            "daemon",
            "--replace",
            "--dry-run",
            "/nowhere/view",
            "--max-age",
        ],
        "max-age",
        "from 0s to 1h",
    ),
    (
        &["hook", "--hook-timeout"],
        "hook-timeout",
        "from 1ms to 1h",
    ),
];

fn output(words: &[&str]) -> Output {
    let mut command = plimsoll();
    command.args(words).stdin(Stdio::null()).output().unwrap()
}

/// Reads a configuration with that line, without an engine to configure.
fn configured(line: &str) -> Output {
    let root = file_tree(&[("etc/plimsoll/config.toml", line)]);
    let root = root.path().to_str().unwrap();
    output(&["uninstall", "--all", "--dry-run", "--root", root])
}

#[test]
fn an_option_and_its_key_take_the_same_times() {
    for (option, key, _) in TIMES {
        for time in ["2s", "1m", "1500ms", "1m 30s", "10"] {
            // The commands fail later, since there is neither a daemon nor a container.
            let refused = output(&[option, &[time]].concat());
            let text = String::from_utf8_lossy(&refused.stderr);
            assert!(!text.contains("time") && !text.contains("--help"), "{text}");
            let read = configured(&format!("{key} = \"{time}\"\n"));
            assert!(read.status.success(), "{read:?}");
        }
        assert!(configured(&format!("{key} = 10\n")).status.success());
    }
}

#[test]
fn a_configuration_that_is_named_and_not_there_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let missing = place.path().join("config.toml");
    let missing = missing.to_str().unwrap();
    for words in [
        &["run", "--config", missing, "--", "true"][..],
        &["daemon", "/nowhere/view", "--config", missing],
        &["attach", "--all", "--config", missing],
        &["detach", "--all", "--config", missing],
    ] {
        let refused = output(words);
        let line = only_line(words[0], &refused, 125, &refused.stderr);
        let expected = format!("plimsoll: there is no configuration {missing}\n");
        assert_eq!(line, expected);
    }
}

#[test]
fn an_install_from_a_directory_that_does_not_last_is_refused_in_one_line_with_the_way_out() {
    let place = tempfile::tempdir().unwrap();
    let program = place.path().join("plimsoll");
    // A copy by this process could be busy: a test beside this one may hold the descriptor.
    let mut copy = Command::new("cp");
    let copied = copy.arg(plimsoll().get_program()).arg(&program).status();
    assert!(copied.unwrap().success());
    fs::write(place.path().join("CACHEDIR.TAG"), "").unwrap();
    let mut install = Command::new(&program);
    let refused = install
        .args(["install", "--all", "--dry-run"])
        .output()
        .unwrap();
    let line = only_line("install", &refused, 125, &refused.stderr);
    assert!(
        line.contains("copy the program to /usr/local/bin"),
        "{line}"
    );
}

#[test]
fn an_absurd_time_is_refused_in_one_line_with_the_range() {
    for (option, key, range) in TIMES {
        for time in [
            "18446744073709551615",
            "99999999999999999999",
            "18446744073709551615h",
            "1y",
            "-1s",
            "NaN",
            "1e308",
            "soon",
            "",
        ] {
            let argument = format!("{}={time}", option.last().unwrap());
            let words = [&option[..option.len() - 1], &[&argument]].concat();
            let refused = output(&words);
            let line = only_line(&argument, &refused, 125, &refused.stderr);
            assert!(line.contains(range), "{line}");
            let refused = configured(&format!("{key} = \"{time}\"\n"));
            let line = only_line(&argument, &refused, 125, &refused.stderr);
            assert!(line.contains("line 1: ") && line.contains(range), "{line}");
        }
    }
}

#[test]
fn a_word_that_is_almost_right_is_answered_with_the_right_one() {
    for (words, said) in [
        (
            &["rum"][..],
            "unrecognized subcommand 'rum': did you mean run?",
        ),
        (&["doctor", "-o", "jsn"], "did you mean json?"),
        (&["attach", "--al"], "did you mean --all?"),
    ] {
        let refused = output(words);
        let line = only_line(words[0], &refused, 125, &refused.stderr);
        assert!(
            line.contains(said) && line.ends_with(" (see --help)\n"),
            "{line}"
        );
    }
}

#[test]
fn an_absurd_limit_is_refused_in_one_line_with_the_range() {
    let below = "the minimum is 6M";
    let above = "the maximum is 4096T";
    let size = "a number and one of b, k, m, g, t";
    for (option, value, range) in [
        ("--memory", "99999999999G", above),
        ("--memory", "99999999999999999999999999", above),
        ("--memory", "0", below),
        ("--memory", "-5m", size),
        ("--memory", "NaN", size),
        ("--memory", "1e308", size),
        ("--memory", "", size),
        ("--memory-swap", "99999999999G", above),
        ("--memory-swap", "-2", size),
        ("--cpus", "1e308", "from 0.01 to "),
        ("--cpus", "NaN", "from 0.01 to "),
        ("--cpus", "inf", "from 0.01 to "),
        ("--cpus", "-1", "from 0.01 to "),
        ("--cpus", "0", "from 0.01 to "),
        ("--cpus", "99999999999999999999", "from 0.01 to "),
        (
            "--cpuset-cpus",
            "0-4294967295",
            "of the CPUs of this machine, 0",
        ),
        ("--cpuset-cpus", "-1", "of the CPUs of this machine, 0"),
        ("--pids-limit", "1", "from 2 to 4194304"),
        ("--pids-limit", "4194305", "from 2 to 4194304"),
        ("--pids-limit", "99999999999999999999", "from 2 to 4194304"),
        ("--pids-limit", "-2", "from 2 to 4194304"),
    ] {
        let argument = format!("{option}={value}");
        let refused = output(&["run", &argument, "--", "true"]);
        let line = only_line(&argument, &refused, 125, &refused.stderr);
        assert!(line.contains(range), "{line}");
    }
}

#[test]
fn a_number_that_is_no_process_is_refused_in_one_line() {
    for command in [&["attach"][..], &["detach"], &["show", "meminfo"]] {
        for pid in ["-1", "0x1", "NaN", "4294967296", "99999999999999999999", ""] {
            let argument = format!("--pid={pid}");
            let refused = output(&[command, &[&argument]].concat());
            let line = only_line(&argument, &refused, 125, &refused.stderr);
            assert!(line.contains("--pid"), "{line}");
        }
    }
}

#[test]
fn an_absurd_share_is_refused_in_one_line_with_the_range() {
    for share in ["0%", "-5%", "NaN%", "1e308%", "99999999999%", "10", ""] {
        let refused = configured(&format!("share = \"{share}\"\n"));
        let line = only_line(share, &refused, 125, &refused.stderr);
        assert!(line.contains("from 1% to 10000%"), "{line}");
    }
    assert!(configured("share = \"250%\"\n").status.success());
}
