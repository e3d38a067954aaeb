//! `plimsoll run` on a host with a mount that never answers, as one of a dead NFS server.

use super::container::PROGRAM;
use crate::{harness::stdout_of, inject::hostile::Silent};
use std::{fs, process::Command, time::Instant};

/// A loop device that is detached when dropped.
struct Attached(String);

impl Drop for Attached {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["-d", &self.0]).status();
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
    let _attached = Attached(device.clone());
    let begun = Instant::now();
    // The other containers of this machine do not see the mount. A container shows a file system of
    // this type, and none of another type of FUSE.
    let mut run = Command::new("unshare");
    run.args(["-m", "--propagation", "private", "sh", "-ec"]);
    run.arg("mount -i -t fuseblk -o $1 $2 $3; exec $0 run -- echo started </dev/null");
    run.args([PROGRAM, &Silent::options("40755"), &device]);
    let output = run.arg(&point).stdin(silent.stdin()).output().unwrap();
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    assert_eq!(stdout_of(&output), "started\n");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("does not answer") && said.contains(point.to_str().unwrap()),
        "{said}"
    );
}
