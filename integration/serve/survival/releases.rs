//! The state that a released program leaves is understood: `integration/fixtures/releases`.

use super::{Guest, handover::ask};
use crate::harness::{Daemon, field, kill, wait_until};
use plimsoll::{
    inject::notes::PendingNote,
    serve::handover::{Manifest, Name},
};
use std::{
    fs::{self, File},
    os::unix::fs::{FileExt, MetadataExt},
    path::PathBuf,
};

/// Returns the directories with the state of each release.
fn releases() -> Vec<PathBuf> {
    let all = concat!(env!("CARGO_MANIFEST_DIR"), "/integration/fixtures/releases");
    let all = fs::read_dir(all).unwrap();
    all.map(|release| release.unwrap().path()).collect()
}

#[test]
fn the_manifest_and_the_notes_of_each_release_are_understood() {
    for release in releases() {
        let manifest = Manifest::parse(&fs::read(release.join("manifest")).unwrap());
        let Manifest::V1 { connections, .. } = manifest.unwrap();
        assert_eq!(connections.len(), 2, "{}", release.display());
        let note = fs::read(release.join("pending")).unwrap();
        let note: PendingNote = serde_json::from_slice(&note).unwrap();
        assert_eq!(note.id, "release");
    }
}

#[test]
#[ignore = "needs root, /dev/fuse and cgroups"]
fn a_daemon_goes_on_with_the_state_of_each_release() {
    for release in releases() {
        let daemon = Daemon::start();
        let mut guest = Guest::of(&daemon);
        // The state has the number of a backing file, which an open file of the test would need.
        guest.run("exec 7<&-");
        let device = || fs::metadata(daemon.path("proc/meminfo")).map(|file| file.dev());
        let mounted = device().unwrap();
        let (_, mut held) = ask(&daemon.mountpoint);
        let state = File::from(held.take(&Name::State).unwrap());
        let bytes = fs::read(release.join("state")).unwrap();
        // Between them are the number of the serving daemon and the numbers of requests, which belong
        // to the daemon and the connections of the test.
        state.write_all_at(&bytes[..16], 0).unwrap();
        state.write_all_at(&bytes[256..], 256).unwrap();
        let before = daemon.pid();
        kill("KILL", before);
        wait_until("the next daemon serves", || daemon.pid() != before);
        // A daemon that starts anew mounts another file system.
        assert_eq!(device().unwrap(), mounted, "{}", release.display());
        let meminfo = guest.run("cat /proc/meminfo");
        assert_eq!(
            field(&meminfo, "MemTotal"),
            64 << 10,
            "{}",
            release.display()
        );
    }
}
