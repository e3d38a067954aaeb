//! `plimsoll run` on a host with a mount that never answers, as one of a dead NFS server.

use super::container::output;
use crate::{harness::stdout_of, inject::hostile::Silent};
use nix::mount::{MntFlags, umount2};
use std::{fs, path::Path, process::Command, time::Instant};

/// A mount that is undone when dropped, with its loop device.
struct Mounted<'a>(&'a Path, String);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = umount2(self.0, MntFlags::MNT_DETACH);
        let _ = Command::new("losetup").args(["-d", &self.1]).status();
    }
}

#[test]
#[ignore = "needs root, /dev/fuse, /dev/loop-control and losetup"]
fn a_mount_of_the_host_that_never_answers_is_left_out_with_a_warning() {
    let directory = tempfile::tempdir_in("/var").unwrap();
    let (disk, point) = (directory.path().join("disk"), directory.path().join("dead"));
    fs::create_dir(&point).unwrap();
    fs::File::create(&disk).unwrap().set_len(1 << 20).unwrap();
    let mut losetup = Command::new("losetup");
    let device = stdout_of(&losetup.args(["-f", "--show"]).arg(&disk).output().unwrap());
    let device = device.trim().to_owned();
    let silent = Silent::new();
    // A container shows a file system of this type, and none of another type of FUSE.
    let mut mount = Command::new("mount");
    mount.args([
        "-i",
        "-t",
        "fuseblk",
        "-o",
        &Silent::options("40755"),
        &device,
    ]);
    let mounted = mount.arg(&point).stdin(silent.stdin()).status().unwrap();
    let _mounted = Mounted(&point, device);
    assert!(mounted.success());

    let begun = Instant::now();
    let output = output(&["--", "echo", "started"]);
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    assert_eq!(stdout_of(&output), "started\n");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("does not answer") && said.contains(point.to_str().unwrap()),
        "{said}"
    );
}
