//! Directories that stand for the root of a container or of a machine.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// Returns the path of the static busybox of this machine.
pub(crate) fn busybox() -> &'static Path {
    let paths = ["/bin/busybox", "/usr/bin/busybox"].map(Path::new);
    let mut found = paths.into_iter().filter(|path| path.exists());
    found.next().expect("busybox is not installed")
}

/// Makes an empty directory a root with nothing but a static busybox and links to it in `bin`.
pub(crate) fn busybox_root(root: &Path) {
    make_searchable(root);
    let bin = root.join("bin");
    fs::create_dir(&bin).unwrap();
    fs::copy(busybox(), bin.join("busybox")).unwrap();
    for name in [
        "cat", "echo", "grep", "id", "ls", "mkdir", "mount", "rm", "sh", "sleep", "touch", "umount",
    ] {
        symlink("busybox", bin.join(name)).unwrap();
    }
}

/// Lets every user search a directory.
pub(crate) fn make_searchable(directory: &Path) {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Makes a directory with these files, by their paths in it.
pub(crate) fn file_tree(files: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

/// Returns the directory of a captured machine, by its name below `integration/fixtures`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("integration/fixtures")
        .join(name)
}

/// Makes a root directory whose files are those of a captured machine. They cannot be changed.
pub(crate) fn fixture_root(name: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let fixture = fixture(name);
    fs::create_dir_all(root.path().join("sys/fs")).unwrap();
    for (own, there) in [
        ("proc", "proc"),
        ("sys/devices", "sys/devices"),
        ("cgroup", "sys/fs/cgroup"),
    ] {
        symlink(fixture.join(own), root.path().join(there)).unwrap();
    }
    root
}

/// Makes a root directory with a copy of the files of a captured machine. They can be changed.
pub(crate) fn fixture_copy(name: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let mut copy = Command::new("cp");
    copy.arg("-r").arg(fixture(name).join(".")).arg(root.path());
    assert!(copy.status().unwrap().success());
    fs::create_dir_all(root.path().join("sys/fs")).unwrap();
    let cgroups = root.path().join("sys/fs/cgroup");
    fs::rename(root.path().join("cgroup"), cgroups).unwrap();
    root
}
