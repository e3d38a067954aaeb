//! Makes containers of real OCI runtimes: bundles with a busybox for their root.

use super::{busybox_root, is_v2, make_searchable, plimsoll, stdout_of, wait_until};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output, Stdio},
};

/// A bundle, and the container that was made of it. Both are gone when dropped.
pub(crate) struct Bundle {
    directory: tempfile::TempDir,
    runtime: String,
    /// The id of the container.
    pub(crate) id: String,
    /// The configuration, which a test can change before the start.
    pub(crate) config: Value,
}

impl Bundle {
    /// Makes a bundle for that runtime, for a container with 64 MB of memory and half a CPU.
    pub(crate) fn new(runtime: &str) -> Bundle {
        // The root of a user namespace must be able to search the whole path.
        let directory = tempfile::tempdir().unwrap();
        let id = directory.path().file_name().unwrap().to_str().unwrap();
        let id = format!("plimsoll-test-{runtime}{}", id.replace('.', "-"));
        let rootfs = directory.path().join("rootfs");
        fs::create_dir(&rootfs).unwrap();
        busybox_root(&rootfs);
        for name in ["proc", "sys", "dev", "tmp"] {
            fs::create_dir(rootfs.join(name)).unwrap();
        }
        make_searchable(directory.path());
        let config = config(&id);
        Bundle {
            directory,
            runtime: runtime.to_owned(),
            id,
            config,
        }
    }

    /// Sets the script that the container runs.
    pub(crate) fn script(mut self, script: &str) -> Bundle {
        self.config["process"]["args"] = json!(["/bin/sh", "-c", script]);
        self
    }

    /// Adds the hook with these arguments at the stage that `plimsoll install` uses.
    pub(crate) fn hook(self, args: &[&str]) -> Bundle {
        self.hook_at("createRuntime", args)
    }

    /// Adds the hook with these arguments at that stage.
    pub(crate) fn hook_at(mut self, stage: &str, args: &[&str]) -> Bundle {
        let program = plimsoll().get_program().to_str().unwrap().to_owned();
        let mut all = vec!["plimsoll", "hook"];
        all.extend(args);
        self.config["hooks"] = json!({stage: [{"path": program, "args": all, "env": []}]});
        self
    }

    /// Adds a user namespace.
    pub(crate) fn user_namespace(mut self) -> Bundle {
        let linux = &mut self.config["linux"];
        let namespaces = linux["namespaces"].as_array_mut().unwrap();
        namespaces.push(json!({"type": "user"}));
        let map = json!([{"containerID": 0, "hostID": 200_000, "size": 65536}]);
        linux["uidMappings"] = map.clone();
        linux["gidMappings"] = map;
        let mut chown = Command::new("chown");
        chown.args(["-R", "200000:200000"]).arg(self.rootfs());
        assert!(chown.status().unwrap().success());
        self
    }

    /// Has this file of cgroup v2 as the only limit.
    pub(crate) fn only_limit(mut self, file: &str, value: &str) -> Bundle {
        self.config["linux"]["resources"] = json!({"unified": {file: value}});
        self
    }

    /// Removes every limit.
    pub(crate) fn unlimited(mut self) -> Bundle {
        self.config["linux"]["resources"] = json!({});
        self
    }

    /// Returns the path of the root on the host.
    pub(crate) fn rootfs(&self) -> PathBuf {
        self.directory.path().join("rootfs")
    }

    fn write(&self) {
        let text = serde_json::to_vec_pretty(&self.config).unwrap();
        fs::write(self.directory.path().join("config.json"), text).unwrap();
    }

    fn command(&self, action: &str) -> Command {
        let mut command = Command::new(&self.runtime);
        command.arg(action).stdin(Stdio::null());
        command
    }

    /// Runs the container to its end.
    pub(crate) fn run(&self) -> Output {
        self.write();
        let bundle = self.directory.path();
        let mut command = self.command("run");
        command.arg("--bundle").arg(bundle).arg(&self.id);
        // A runtime may pass the variable to the hook, which must ignore it.
        command.env("RUST_LOG", "trace");
        command.output().unwrap()
    }

    /// Starts the container, waits until it runs its own program, and returns the pid of its first
    /// process.
    pub(crate) fn start(&self) -> u32 {
        self.write();
        let bundle = self.directory.path();
        let mut command = self.command("run");
        command
            .args(["--detach", "--bundle"])
            .arg(bundle)
            .arg(&self.id);
        // The container would keep a pipe of this process open.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        assert!(
            command.status().unwrap().success(),
            "cannot start {}",
            self.id
        );
        let pid = self.pid();
        // A runtime returns before its process has become the container's program.
        wait_until("the container runs its own program", || {
            let program = fs::read_link(format!("/proc/{pid}/exe"));
            !program.is_ok_and(|path| path.to_string_lossy().contains(&self.runtime))
        });
        pid
    }

    /// Creates the container, and returns the pid of the runtime's process that becomes its first one.
    pub(crate) fn create(&self) -> u32 {
        self.write();
        let mut command = self.command("create");
        command
            .arg("--bundle")
            .arg(self.directory.path())
            .arg(&self.id);
        // The container would keep a pipe of this process open.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        assert!(command.status().unwrap().success());
        self.pid()
    }

    /// Starts the container that was created.
    pub(crate) fn start_created(&self) {
        let mut command = self.command("start");
        stdout_of(&command.arg(&self.id).output().unwrap());
    }

    fn pid(&self) -> u32 {
        let state = stdout_of(&self.command("state").arg(&self.id).output().unwrap());
        let state: Value = serde_json::from_str(&state).unwrap();
        state["pid"].as_u64().unwrap().try_into().unwrap()
    }

    /// Restarts the container as an engine does, and returns the pid of its first process.
    pub(crate) fn restart(&self) -> u32 {
        let mut command = self.command("delete");
        stdout_of(&command.arg("--force").arg(&self.id).output().unwrap());
        self.start()
    }

    /// Dumps the container into that directory, and ends it. CRIU reads `.criu/default.conf` below `home`.
    pub(crate) fn checkpoint(&self, images: &Path, home: &Path) -> Output {
        let mut command = self.command("checkpoint");
        command.arg("--image-path").arg(images).arg("--work-path");
        command.arg(images).arg(&self.id).env("HOME", home);
        command.output().unwrap()
    }

    /// Restores the container from that directory, and returns the exit status of the runtime.
    pub(crate) fn restore(&self, images: &Path, home: &Path) -> ExitStatus {
        let mut command = self.command("restore");
        command.args(["--detach", "--image-path"]).arg(images);
        command.arg("--work-path").arg(images);
        command.arg("--bundle").arg(self.directory.path());
        command.arg(&self.id).env("HOME", home);
        // The container would keep a pipe of this process open.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().unwrap()
    }

    /// Returns the standard output of a script in the container, which must succeed.
    pub(crate) fn exec(&self, script: &str) -> String {
        let mut command = self.command("exec");
        command.arg(&self.id).args(["/bin/sh", "-c", script]);
        stdout_of(&command.output().unwrap())
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let mut command = self.command("delete");
        let _ = command.arg("--force").arg(&self.id).output();
    }
}

/// Makes a configuration file with that text. Returns its directory and its path.
pub(crate) fn configured(text: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    make_searchable(directory.path());
    let path = directory.path().join("config.toml");
    fs::write(&path, text).unwrap();
    let name = path.to_str().unwrap().to_owned();
    (directory, name)
}

/// Runs `attach` or `detach` with those words, and with time enough for an emulated machine.
pub(crate) fn patiently(words: &[&str]) -> Output {
    let (_directory, config) = configured("hook-timeout = \"1m\"");
    let mut command = plimsoll();
    command.args(words).args(["--config", &config]);
    command.output().unwrap()
}

fn config(id: &str) -> Value {
    let mut namespaces = vec!["pid", "mount", "ipc", "uts", "network"];
    if is_v2() {
        namespaces.push("cgroup");
    }
    let namespaces: Vec<Value> = namespaces
        .iter()
        .map(|name| json!({"type": name}))
        .collect();
    let capabilities = json!(["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE", "CAP_CHOWN"]);
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": ["/bin/sh"],
            "env": ["PATH=/bin", "RUST_LOG=trace", "LD_PRELOAD=/nowhere.so"],
            "cwd": "/",
            "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
            "noNewPrivileges": true,
        },
        "root": {"path": "rootfs", "readonly": true},
        "hostname": "box",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"},
        ],
        "linux": {
            "cgroupsPath": format!("/{id}"),
            "namespaces": namespaces,
            "resources": {
                "memory": {"limit": 64 << 20},
                "cpu": {"quota": 50_000, "period": 100_000},
            },
            "maskedPaths": ["/proc/kcore"],
            "readonlyPaths": ["/proc/sys"],
        },
    })
}

/// Returns a configuration of about 40 MB with the root `rootfs`. The list `annotations` has one
/// `middle` between equal numbers of `first` and `last`.
pub(crate) fn huge(first: &str, middle: &str, last: &str) -> String {
    let count = (40 << 20) / (first.len() + last.len());
    let (first, last) = (first.repeat(count), last.repeat(count));
    format!("{{\"root\":{{\"path\":\"rootfs\"}},\"annotations\":[{first}{middle}{last}]}}")
}
