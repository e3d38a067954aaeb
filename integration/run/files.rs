//! The root and the volumes of a container: what can be changed, and what `--keep` keeps.

use super::container::{
    PROGRAM, Running, entries, kept, output, refusal, root, status, stdout, text,
};
use crate::harness::{stdout_of, unique};
use std::{fs, os::unix::fs::MetadataExt, path::Path, process::Command};

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_container_sees_the_hosts_files_and_cannot_change_them() {
    let directory = tempfile::tempdir_in("/var").unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "before").unwrap();
    let script = format!(
        "cat {0}; echo after > {0}; cat {0}; rm -r {1}",
        text(&file),
        text(directory.path())
    );
    assert_eq!(stdout(&["--", "sh", "-c", &script]), "beforeafter\n");
    assert_eq!(fs::read_to_string(&file).unwrap(), "before");
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_container_starts_where_var_lib_is_read_only() {
    let script = r#"mount -t tmpfs -o ro none /var/lib && exec "$1" run -m 64m -- sh -c 'echo written > /root/x; cat /root/x'"#;
    let output = Command::new("unshare")
        .args([
            "-m",
            "--propagation",
            "private",
            "sh",
            "-c",
            script,
            "sh",
            PROGRAM,
        ])
        .output()
        .unwrap();
    assert_eq!(stdout_of(&output), "written\n");
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn the_hosts_devices_and_kernel_settings_cannot_be_changed() {
    for script in [
        "mknod /tmp/disk b 8 0",
        "echo 1 > /proc/sys/vm/drop_caches",
        "echo h > /proc/sysrq-trigger",
        "mount -t tmpfs none /mnt",
        "umount /proc/meminfo",
        "touch /sys/x",
        "mkdir /sys/fs/cgroup/x",
        "hostname other",
        "date -s 2000-01-01",
        "cat /proc/kcore | head -c1 | grep .",
        "cat /dev/mem",
        "cat /dev/fuse",
    ] {
        assert_ne!(status(&["--", "sh", "-c", script]), 0, "{script}");
    }
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn the_program_that_started_the_container_cannot_be_changed() {
    let before = fs::read(PROGRAM).unwrap();
    assert_ne!(status(&["--", "sh", "-c", "echo x >> /proc/1/exe"]), 0);
    let name = unique("shielded");
    let running = Running::start(&["--name", &name], "exec sleep 1000");
    let mut writable = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        if line.starts_with(PROGRAM) && line.contains(&name) {
            // An open for writing would fail with ETXTBSY, but not on every kernel.
            let mount = nix::sys::statvfs::statvfs(&entry.path().join("exe")).unwrap();
            writable.push(
                !mount
                    .flags()
                    .contains(nix::sys::statvfs::FsFlags::ST_RDONLY),
            );
        }
    }
    assert!(!writable.is_empty() && !writable.contains(&true));
    running.signal("TERM");
    running.status();
    assert!(before == fs::read(PROGRAM).unwrap());
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_container_sees_nothing_of_other_containers() {
    let name = unique("neighbour");
    let running = Running::start(&["--name", &name], "echo secret > /secret; sleep 1000");
    let found = stdout(&[
        "--",
        "sh",
        "-c",
        "find /var/lib/plimsoll-run /run/plimsoll-run -mindepth 1; true",
    ]);
    assert_eq!(found, "");
    running.signal("TERM");
    running.status();
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_volume_is_shared_and_can_be_read_only() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("in"), "in").unwrap();
    let source = text(directory.path());
    let volume = format!("{source}:/a/new/place");
    assert_eq!(
        stdout(&[
            "-v",
            &volume,
            "--",
            "sh",
            "-c",
            "cat /a/new/place/in; echo out > /a/new/place/out"
        ]),
        "in"
    );
    assert_eq!(
        fs::read_to_string(directory.path().join("out")).unwrap(),
        "out\n"
    );
    let volume = format!("{source}:/place:ro");
    assert_ne!(status(&["-v", &volume, "--", "touch", "/place/x"]), 0);
    let volume = format!("{source}/in:/etc/motd.test");
    assert_eq!(
        stdout(&["-v", &volume, "--", "cat", "/etc/motd.test"]),
        "in"
    );
    assert!(!Path::new("/etc/motd.test").exists() && !Path::new("/a").exists());
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_tmpfs_is_empty_of_its_size_and_executes_nothing_unless_it_may() {
    let script = "stat -fc '%T' /etc/apt; ls /etc/apt | wc -l; df --output=size -B1 /etc/apt | tail -1; \
        cp /bin/true /etc/apt; /etc/apt/true || echo no; cp /bin/true /mnt/x/y; /mnt/x/y/true && echo yes";
    let tmpfs = [
        "--tmpfs",
        "/etc/apt:size=1m",
        "--tmpfs",
        "/mnt/x/y:exec,mode=700",
    ];
    let text = stdout(
        &[
            &tmpfs[..],
            &["--", "sh", "-c", &format!("{{ {script}; }} 2>/dev/null")],
        ]
        .concat(),
    );
    let words: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(words, ["tmpfs", "0", "1048576", "no", "yes"]);
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn the_run_directory_is_the_containers_own_and_takes_volumes_and_the_working_directory() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("in"), "in").unwrap();
    let volume = format!("{}:/run/volume", text(directory.path()));
    let words = ["-v", &volume, "-v", "/run/fresh", "-w", "/run/work", "--"];
    let script = ["sh", "-c", "pwd; ls /run; cat /run/volume/in; touch /run/x"];
    assert_eq!(
        stdout(&[&words[..], &script[..]].concat()),
        "/run/work\nfresh\nvolume\nwork\nin"
    );
    assert_eq!(status(&["--read-only", "--", "touch", "/run/x"]), 0);
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn an_anonymous_volume_begins_with_the_files_of_the_root_and_is_discarded() {
    let layer = root();
    fs::create_dir(layer.path().join("data")).unwrap();
    fs::write(layer.path().join("data/seed"), "seed").unwrap();
    let name = unique("anonymous");
    let words = [
        "--layer",
        text(layer.path()),
        "--keep",
        "--name",
        &name,
        "-v",
        "/data",
        "--",
    ];
    let script = ["sh", "-c", "cat /data/seed; echo x > /data/new; ls /data"];
    assert_eq!(
        stdout(&[&words[..], &script[..]].concat()),
        "seednew\nseed\n"
    );
    let kept = kept(&name);
    assert!(!kept.join("data/new").exists());
    fs::remove_dir_all(kept).unwrap();
    assert!(!layer.path().join("data/new").exists());
}

#[test]
#[ignore = "needs root, /dev/fuse, a quiet machine and a real CPU"]
fn kept_changes_are_those_of_the_command_and_no_others() {
    let (lower, upper) = (root(), root());
    fs::create_dir(lower.path().join("etc")).unwrap();
    std::os::unix::fs::symlink("../run/resolv", lower.path().join("etc/resolv.conf")).unwrap();
    fs::write(upper.path().join("which"), "upper").unwrap();
    fs::write(lower.path().join("which"), "lower").unwrap();
    let name = unique("kept");
    let volume = format!("{}:/mounted/here", text(upper.path()));
    let output = output(&[
        "--layer",
        text(lower.path()),
        "--layer",
        text(upper.path()),
        "--keep",
        "--name",
        &name,
        "-v",
        &volume,
        "--",
        "sh",
        "-c",
        "cat /which; rm /which; echo new > /new; echo 1.2.3.4 x >> /etc/hosts",
    ]);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "upper");
    let kept = kept(&name);
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains(text(&kept))
    );
    assert_eq!(entries(&kept), ["etc", "new", "which"]);
    assert_eq!(fs::read_dir(kept.join("etc")).unwrap().count(), 0);
    // A removed file is kept as a whiteout: a device 0/0, which every overlayfs understands.
    assert_eq!(fs::symlink_metadata(kept.join("which")).unwrap().rdev(), 0);
    let again = stdout(&[
        "--layer",
        text(lower.path()),
        "--layer",
        text(upper.path()),
        "--layer",
        text(&kept),
        "--",
        "sh",
        "-c",
        "ls /which 2>&1; cat /new",
    ]);
    assert!(
        again.contains("No such file") && again.ends_with("new\n"),
        "{again}"
    );
    fs::remove_dir_all(kept).unwrap();
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_directory_as_root_gets_the_changes_of_the_command_and_no_others() {
    let root = root();
    let words = ["--rootfs", text(root.path()), "-v", "/etc:/host/etc", "--"];
    let script = ["sh", "-c", "cat /etc/hosts; echo x > /written"];
    assert!(stdout(&[&words[..], &script[..]].concat()).contains("localhost"));
    assert_eq!(entries(root.path()), ["bin", "written"]);
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_directory_as_root_is_unchanged_when_the_start_fails() {
    let root = root();
    for wrong in [
        ["-u", "nosuch"],
        ["-v", "/etc:/proc/x"],
        ["-w", "/bin/busybox/x"],
    ] {
        let words = [
            "--rootfs",
            text(root.path()),
            wrong[0],
            wrong[1],
            "--",
            "sh",
        ];
        refusal(&words);
        let names: Vec<_> = fs::read_dir(root.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "{wrong:?} left {names:?}");
    }
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn links_in_a_root_do_not_lead_out_of_it() {
    let outside = tempfile::tempdir().unwrap();
    for link in ["link", "etc"] {
        let root = root();
        std::os::unix::fs::symlink(outside.path(), root.path().join(link)).unwrap();
        let volume = format!("{}:/link/file", text(&root.path().join("bin/busybox")));
        let volume: &[&str] = if link == "link" {
            &["-v", &volume]
        } else {
            &[]
        };
        let words = [&["--rootfs", text(root.path())], volume, &["--", "true"]];
        // Such a link leads to no file within the root, so the start is refused.
        let status = status(&words.concat());
        assert!(status == 125, "{link}: {status}");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0, "{link}");
    }
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_root_with_a_link_at_proc_sys_or_dev_is_refused() {
    for point in ["proc", "sys", "dev"] {
        let root = root();
        fs::create_dir(root.path().join("elsewhere")).unwrap();
        let link = root.path().join(point);
        let _ = fs::remove_dir(&link);
        std::os::unix::fs::symlink("elsewhere", &link).unwrap();
        let line = refusal(&["--rootfs", text(root.path()), "--", "true"]);
        assert!(line.contains(&format!("/{point}: ")), "{line}");
        assert_eq!(entries(&root.path().join("elsewhere")), [""; 0], "{point}");
    }
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_read_only_root_takes_no_change() {
    assert_ne!(status(&["--read-only", "--", "touch", "/x"]), 0);
    assert_ne!(status(&["--read-only", "--", "touch", "/etc/hosts"]), 0);
    assert_eq!(
        status(&["--read-only", "-v", "/data", "--", "touch", "/data/x"]),
        0
    );
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn a_read_only_directory_takes_no_change_on_what_is_mounted_in_it() {
    let root = root();
    fs::create_dir(root.path().join("data")).unwrap();
    let rootfs = text(root.path());
    let script = format!(
        "mount -t tmpfs none {rootfs}/data && \
         {PROGRAM} run --read-only --rootfs {rootfs} -- touch /data/x; ls {rootfs}/data"
    );
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", &script])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("Read-only"), "{said}");
    assert!(output.stdout.is_empty());
}
