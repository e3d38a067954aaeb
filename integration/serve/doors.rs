//! The files of a daemon in /run: no other user can open, lock or fill what the daemon needs, and a daemon
//! serves on whatever becomes of /run.

use crate::harness::{Daemon, plimsoll, python, stdout_of, unique, wait_until};
use nix::fcntl::{Flock, FlockArg};
use plimsoll::serve::daemon::lock_path;
use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

/// Returns a command that runs a shell script as a user without rights, with an argument.
fn as_user(script: &str, argument: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command.args(["--inh-caps=-all", "sh", "-c", script, "sh"]);
    command.arg(argument);
    command
}

#[test]
#[ignore = "needs root, /dev/fuse, flock and setpriv"]
fn a_user_can_neither_open_the_lock_nor_wait_for_it() {
    let daemon = Daemon::start();
    let lock = lock_path(&daemon.mountpoint);
    let mode = fs::metadata(&lock).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!as_user("exec 9<\"$1\"", &lock).status().unwrap().success());
}

/// Makes a lock as a daemon of an older version made it, which every user can open.
fn make_old_lock(mountpoint: &Path) -> File {
    let lock = lock_path(mountpoint);
    fs::create_dir_all(lock.parent().unwrap()).unwrap();
    let file = File::create(&lock).unwrap();
    fs::set_permissions(&lock, fs::Permissions::from_mode(0o644)).unwrap();
    file
}

/// A process of a user that holds a lock for ever. Killed when dropped.
struct Holder(Child);

impl Holder {
    fn of(lock: &Path) -> Holder {
        let script = "exec 9<\"$1\"; flock -x 9; exec sleep 1000";
        let holder = Holder(as_user(script, lock).spawn().unwrap());
        let file = File::open(lock).unwrap();
        wait_until("the user holds the lock", || {
            let file = file.try_clone().unwrap();
            Flock::lock(file, FlockArg::LockSharedNonblock).is_err()
        });
        holder
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs root, /dev/fuse, flock and setpriv"]
fn a_user_who_holds_the_lock_of_an_older_version_does_not_keep_the_daemon_down() {
    let mountpoint = Daemon::new_mountpoint();
    make_old_lock(&mountpoint);
    let _holder = Holder::of(&lock_path(&mountpoint));
    let daemon = Daemon::on(mountpoint);
    let mode = fs::metadata(lock_path(&daemon.mountpoint)).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    let second = plimsoll().arg("daemon").arg(&daemon.mountpoint).output();
    assert_is_excluded(&second.unwrap());
}

#[track_caller]
fn assert_is_excluded(output: &Output) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("another daemon serves"), "{error}");
    assert!(!output.status.success());
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_daemon_of_an_older_version_keeps_a_second_one_out() {
    let mountpoint = Daemon::new_mountpoint();
    let lock = make_old_lock(&mountpoint);
    let _held = Flock::lock(lock, FlockArg::LockExclusiveNonblock).unwrap();
    let second = plimsoll().arg("daemon").arg(&mountpoint).output().unwrap();
    assert_is_excluded(&second);
    fs::remove_dir(&mountpoint).unwrap();
}

/// Serves on the mount point `$1` with a small /run of its own, and prints the file system and the total
/// of memory that a reader sees after a kill of the daemon in each state of /run.
const UNDER_A_KEEPER: &str = r#"
mount -t tmpfs -o size=512k x /run
"$0" daemon "$1" 2>"$1.log" & keeper=$!
trap 'kill $keeper; rm "$1.log"' EXIT
until grep -q serving "$1.log"; do sleep 0.1; done
look() { stat -c %d "$1/proc"; head -1 "$1/proc/meminfo"; }
again() { kill -9 $(cat /proc/$keeper/task/$keeper/children); look "$1"; sleep 0.5; look "$1"; }
look "$1"
dd if=/dev/zero of=/run/full bs=4k 2>/dev/null || true
again "$1"
mount -o remount,ro /run
again "$1"
mount -t tmpfs -o ro x /run
again "$1"
trap 'rm "$1.log"' EXIT
kill -TERM $keeper
wait $keeper
"#;

/// Asserts that a script saw one file system, and a file at each of `count` looks.
#[track_caller]
fn assert_served_on(output: &Output, count: usize) {
    let text = stdout_of(output);
    let (totals, mut devices): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| line.starts_with("MemTotal"));
    assert_eq!(totals.len(), count, "{text}");
    devices.dedup();
    assert_eq!(devices.len(), 1, "{text}");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_daemon_goes_on_while_run_is_full_read_only_or_gone() {
    let mountpoint = Daemon::new_mountpoint();
    let mut command = Command::new("unshare");
    command.args([
        "-m",
        "--propagation",
        "private",
        "sh",
        "-ec",
        UNDER_A_KEEPER,
    ]);
    command.arg(plimsoll().get_program()).arg(&mountpoint);
    assert_served_on(&command.output().unwrap(), 7);
    fs::remove_dir(&mountpoint).unwrap();
}

/// As above, with the script in the place of systemd: it holds the descriptors.
const UNDER_A_SERVICE_MANAGER: &str = r#"
import atexit, os, signal, socket, subprocess, sys
program, view = sys.argv[1:]
subprocess.run("mount -t tmpfs -o size=512k x /run", shell=True, check=True)
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
os.mkdir("/run/manager")
notify.bind("/run/manager/notify")
notify.settimeout(60)
at = os.open("/run/manager", os.O_RDONLY)

def start(stored):
    def pass_on():
        # High numbers first: the places of systemd's descriptors begin at 3.
        high = [os.dup2(fd, 100 + at) for at, fd in enumerate(stored.values())]
        for at, fd in enumerate(high):
            os.dup2(fd, 3 + at)
        os.environ.update(LISTEN_FDS=str(len(stored)), LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES=":".join(stored))
    os.environ["NOTIFY_SOCKET"] = "/proc/self/fd/0/notify"
    daemon = os.fork()
    if daemon == 0:
        os.dup2(at, 0)
        if stored:
            pass_on()
        os.closerange(3 + len(stored), 1000)
        os.execvp(program, [program, "daemon", view])
    while True:
        text, fds, _, _ = socket.recv_fds(notify, 4096, 16)
        lines = dict(line.split("=", 1) for line in text.decode().splitlines())
        if "FDSTORE" in lines:
            stored[lines["FDNAME"]] = fds[0]
        elif "READY" in lines:
            return daemon

def look():
    print(os.stat(view + "/proc").st_dev)
    print(open(view + "/proc/meminfo").readline(), end="", flush=True)

def again():
    global daemon
    os.kill(daemon, signal.SIGKILL)
    os.waitpid(daemon, 0)
    daemon = start(stored)
    look()

stored = {}
daemon = start(stored)
atexit.register(lambda: subprocess.run(["kill", str(daemon)], stderr=subprocess.DEVNULL))
look()
subprocess.run("dd if=/dev/zero of=/run/full bs=4k 2>/dev/null; dd if=/dev/zero of=/run/more bs=1 2>/dev/null", shell=True)
again()
subprocess.run("mount -o remount,ro /run", shell=True, check=True)
again()
subprocess.run("mount -t tmpfs -o ro x /run", shell=True, check=True)
again()
os.kill(daemon, signal.SIGTERM)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(daemon, 0)[1]))
"#;

#[test]
#[ignore = "needs root, /dev/fuse and python3"]
fn a_daemon_of_a_service_manager_goes_on_while_run_is_full_read_only_or_gone() {
    let mountpoint = Daemon::new_mountpoint();
    let program = plimsoll().get_program().to_str().unwrap().to_owned();
    let arguments = format!("{program} {}", mountpoint.display());
    let script = python(UNDER_A_SERVICE_MANAGER, &arguments);
    let mut command = Command::new("unshare");
    command.args(["-m", "--propagation", "private", "sh", "-ec", &script]);
    assert_served_on(&command.output().unwrap(), 4);
    fs::remove_dir(&mountpoint).unwrap();
}

#[test]
#[ignore = "needs root, /dev/fuse and setpriv"]
fn a_user_cannot_fill_run_with_notes() {
    let _daemon = Daemon::start();
    let name = unique("fill");
    let mut written = 0;
    for directory in fs::read_dir("/run/plimsoll").unwrap() {
        let directory = directory.unwrap().path();
        let file = directory.join(&name);
        let fill = "exec dd if=/dev/zero of=\"$1\" bs=64k count=128";
        let _ = as_user(fill, &file).stderr(Stdio::null()).status();
        written += fs::metadata(&file).map_or(0, |metadata| metadata.len());
        let _ = fs::remove_file(&file);
    }
    assert!((1..=1 << 20).contains(&written), "{written}");
}

#[test]
#[ignore = "needs root, /dev/fuse and setpriv"]
fn what_is_no_note_is_removed_from_the_notes_of_users() {
    let daemon = Daemon::with(Daemon::new_mountpoint(), &["--watchdog", "2"]);
    let notes = Path::new(plimsoll::base::paths::USERS_PENDING_NOTES);
    let (directory, file) = (notes.join(unique("dir")), notes.join(unique("file")));
    let made = as_user("mkdir -p \"$1/a/b\" && ln -s / \"$1/a/link\"", &directory).status();
    assert!(made.unwrap().success());
    // A note of a namespace that has ended, for another view.
    let note = r#"echo '{"id": "x", "mount_namespace": 1, "view": "/elsewhere"}' >"$1""#;
    assert!(as_user(note, &file).status().unwrap().success());
    wait_until("the notes are removed", || {
        !directory.exists() && !file.exists()
    });
    drop(daemon);
}
