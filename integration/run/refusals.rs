//! The refusals of `plimsoll run`, each in one line.

use super::container::{PROGRAM, Running, output, refusal, refusal_of, status, text, traces};
use crate::harness::{oci::configured, unique};
use std::process::Command;

#[test]
#[ignore = "needs root and /dev/fuse"]
fn bad_input_is_refused_in_one_line_that_names_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let file = text(file.path());
    let empty_profile = format!("seccomp={file}");
    for (words, said) in [
        (&["-m", "12Q"][..], "12Q"),
        (&["-m", "1K"], "6M"),
        (&["--memory-swap", "1G"], "--memory"),
        (&["--cpus", "0"], "--cpus 0"),
        (&["--cpus", "1e9"], "--cpus 1e9"),
        (&["--cpuset-cpus", "9999"], "9999"),
        (&["--pids-limit", "few"], "few"),
        (&["--rootfs", "/no/such/root"], "/no/such/root"),
        (&["--rootfs", file], file),
        (&["--layer", "/no/such/layer"], "/no/such/layer"),
        (&["--layer", "/proc"], "/proc"),
        (&["-v", "/no/such/source:/x"], "/no/such/source"),
        (&["-v", "relative:/x"], "relative"),
        (&["-v", "/etc:x"], "/etc:x"),
        (&["-v", "/etc:/proc/x"], "/proc/x"),
        (&["-v", "/dev"], "/dev"),
        (
            &["-v", "/etc/passwd:/etc"],
            "/etc/passwd:/etc: one of the two is a directory",
        ),
        (
            &["-v", "/etc:/etc/passwd"],
            "/etc:/etc/passwd: one of the two is a directory",
        ),
        (&["-w", "/etc/passwd"], "--workdir /etc/passwd"),
        (&["-w", "/proc/no/such"], "--workdir /proc/no/such"),
        (&["-w", "/dev/no"], "--workdir /dev/no"),
        (&["--read-only", "-w", "/no/such"], "--workdir /no/such"),
        (&["-u", "4294967295"], "a number up to 4294967294"),
        (&["-w", "relative"], "relative"),
        (&["--name", "a/b"], "a/b"),
        (&["--hostname", "a_b"], "a_b"),
        (&["-e", "=x"], "=x"),
        (&["-u", "nobody-of-that-name"], "nobody-of-that-name"),
        (&["--net", "bridge"], "bridge"),
        (&["--no-such-option"], "--no-such-option"),
        (&["-it"], "terminal"),
        (&["--rootfs", "/", "--keep"], "--keep"),
        (&["--rm", "--keep"], "--keep"),
        (&["--cap-add", "FLY"], "--cap-add FLY"),
        (&["--cap-drop", "CAP_FLY"], "--cap-drop CAP_FLY"),
        (&["--security-opt", "label=disable"], "label=disable"),
        (&["--security-opt", "seccomp=/no/such"], "/no/such"),
        (&["--security-opt", &empty_profile], "not a seccomp profile"),
        (&["--ulimit", "nofile"], "--ulimit nofile"),
        (&["--ulimit", "nofile=2:1"], "hard limit"),
        (&["--ulimit", "files=1"], "sigpending"),
        (
            &["--ulimit", "nofile=-1"],
            "--ulimit nofile: the kernel allows at most ",
        ),
        (&["--env-file", "/no/such/env"], "/no/such/env"),
        (&["-v", "/etc:/a", "-v", "/usr:/a"], "--volume /usr:/a"),
        (&["-v", "/a", "--tmpfs", "/a"], "--tmpfs /a"),
        (&["--tmpfs", "/a:size=x"], "--tmpfs"),
        (&["--mem", "64M"], "did you mean --memory"),
        (&["-d"], "systemd-run"),
        (&["-p", "80:80"], "--net host"),
        (&["--privileged"], "--cap-add ALL"),
        (&["--mount", "type=bind,dst=/a"], "src=SRC"),
    ] {
        let name = unique("refused");
        let words = [
            words,
            if words.contains(&"--name") {
                &[]
            } else {
                &["--name", &name]
            },
            &["--", "true"],
        ];
        let line = refusal(&words.concat());
        assert!(line.contains(said), "{line}");
        assert_eq!(traces(&name), Vec::<String>::new(), "{line}");
    }
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_name_in_use_is_refusal_of() {
    let name = unique("twice");
    let running = Running::start(&["--name", &name], "sleep 1000");
    assert!(refusal(&["--name", &name, "--", "true"]).contains(&name));
    running.signal("TERM");
    assert_eq!(running.status(), 143);
    assert_eq!(status(&["--name", &name, "--", "true"]), 0);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_user_who_is_not_root_is_refused() {
    let line = refusal_of(Command::new("setpriv").args([
        "--reuid",
        "65534",
        "--clear-groups",
        PROGRAM,
        "run",
        "--",
        "true",
    ]));
    assert!(line.contains("root"), "{line}");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_refusal_without_fuse_says_how_to_load_it() {
    let script = format!("mount -t tmpfs none /dev && exec {PROGRAM} run -- true");
    let line = refusal_of(Command::new("unshare").args(["-m", "sh", "-c", &script]));
    assert!(
        line.contains("/dev/fuse") && line.contains("modprobe"),
        "{line}"
    );
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_refusal_without_a_controller_names_it_and_says_how_to_mount_it() {
    // A tmpfs with one mount looks like a v1 host that has mounted one controller only.
    let script = format!(
        "mount -t tmpfs none /sys/fs/cgroup && mkdir /sys/fs/cgroup/freezer && \
         {{ mount -t cgroup -o freezer none /sys/fs/cgroup/freezer || exit 99; }} && \
         exec {PROGRAM} run -m 64M -- true"
    );
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", &script])
        .output()
        .unwrap();
    if output.status.code() == Some(99) {
        // A host whose v2 has every controller cannot mount one on v1. The case is then a host without cgroups.
        let script =
            format!("mount -t tmpfs none /sys/fs/cgroup; exec {PROGRAM} run -m 64M -- true");
        let line = refusal_of(Command::new("unshare").args(["-m", "sh", "-c", &script]));
        assert!(line.contains("mount -t cgroup2"), "{line}");
        return;
    }
    let line = String::from_utf8(output.stderr).unwrap();
    assert!(
        line.contains("\"memory\"") && line.contains("mount -t cgroup -o memory"),
        "{line}"
    );
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_container_in_a_container_is_refused_by_the_missing_capability() {
    let output = output(&["--", PROGRAM, "run", "--", "true"]);
    let line = String::from_utf8(output.stderr).unwrap();
    // A program below /tmp or another hidden file system does not exist in the container.
    let code = output.status.code();
    assert!(
        code == Some(127) || (code == Some(125) && line.contains("CAP_SYS_ADMIN")),
        "{line}"
    );
}

#[test]
fn a_configuration_with_a_mistake_is_refused_in_one_line_that_names_it() {
    let (_directory, config) = configured("mountpoint = 1");
    let line = refusal(&["--config", &config, "--", "true"]);
    assert!(line.contains(&config) && line.contains("line 1"), "{line}");
}
