//! SELinux: a program that may read the kernel's files may read the view.

use crate::harness::{Cgroup, Daemon, FILES, field, plimsoll, python, stdout_of};
use std::{fs, path::Path};

/// A domain of containers that may read `/proc` and `/sys`, and no files of FUSE.
const DOMAIN: &str = "container_engine_t";
const ENFORCE: &str = "/sys/fs/selinux/enforce";

/// Reads each file of its arguments with the domain's rights, once SELinux enforces. Exits with 0, or with 10
/// and the number of the first file that cannot be read. The domain may not write to a pipe of the test.
const READER: &str = r#"
import os, sys, time
domain, files = sys.argv[1], sys.argv[2:]
directories = {f: os.open("/" + os.path.dirname(f), os.O_PATH) for f in files}
proc = os.open("/proc", os.O_PATH)
with open("/proc/self/attr/current", "w") as current:
    current.write(f"system_u:system_r:{domain}:s0:c1,c2")
def can_open(name, flags, directory):
    try:
        fd = os.open(name, flags, dir_fd=directory)
        if flags == os.O_RDONLY:
            assert os.read(fd, 64)
        os.close(fd)
        return True
    except PermissionError:
        return False
# The domain may not write to files of /proc.
while can_open("version", os.O_RDWR, proc):
    time.sleep(0.1)
for number, f in enumerate(files):
    if not can_open(os.path.basename(f), os.O_RDONLY, directories[f]):
        os._exit(10 + number)
os._exit(0)
"#;

/// Returns the SELinux label of a file.
fn label(path: &Path) -> String {
    let mut value = [0; 256];
    let length = rustix::fs::getxattr(path, "security.selinux", &mut value).unwrap();
    String::from_utf8_lossy(&value[..length]).into_owned()
}

#[test]
#[ignore = "needs root, /dev/fuse and SELinux"]
fn each_file_of_the_view_has_the_label_of_the_kernels_meminfo() {
    let daemon = Daemon::start();
    let own = label(Path::new("/proc/meminfo"));
    for file in FILES {
        assert_eq!(label(&daemon.path(file)), own, "{file}");
    }
    assert_eq!(label(&daemon.path("containers")), own);
    let doctor = plimsoll()
        .arg("doctor")
        .arg(&daemon.mountpoint)
        .output()
        .unwrap();
    let said = String::from_utf8(doctor.stdout).unwrap();
    assert!(
        said.contains("the view has the label of the kernel's files"),
        "{said}"
    );
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, python3 and SELinux"]
fn a_confined_program_that_may_read_the_kernels_files_may_read_the_view() {
    let daemon = Daemon::start();
    let cgroup = Cgroup::new();
    cgroup.limit_memory(64 << 20);
    let before = fs::read_to_string(ENFORCE).unwrap();
    fs::write(ENFORCE, "0").unwrap();
    let read = python(READER, &format!("{DOMAIN} {}", FILES.join(" ")));
    let script = format!(
        "head -3 /proc/meminfo
         {{ {read}}} & reader=$!
         until [ -z \"$(ls -d /proc/$reader)\" ] || grep -qs {DOMAIN} /proc/[0-9]*/attr/current; do sleep 0.1; done
         echo 1 > {ENFORCE}
         wait $reader && status=0 || status=$?
         echo {} > {ENFORCE}
         echo denied: $status",
        before.trim()
    );
    let seen = stdout_of(&cgroup.shell(&daemon, &script).output().unwrap());
    assert_eq!(field(&seen, "MemTotal"), 64 << 10, "{seen}");
    assert_eq!(
        field(&seen, "denied"),
        0,
        "10 and the number of a file of {FILES:?}"
    );
}
