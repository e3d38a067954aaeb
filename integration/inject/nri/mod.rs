//! `plimsoll nri`: a plugin of a runtime of the tests, without containers (`protocol`) and with them
//! (`starts`).

mod protocol;
mod runtime;
mod starts;

use crate::harness::{kill, plimsoll};
use runtime::FakeRuntime;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

/// A plugin of the program under test. Killed when dropped, and its lock is removed.
struct Plugin {
    process: Child,
    socket: PathBuf,
}

impl Plugin {
    /// Starts a plugin for the runtime and the view at that mount point.
    fn start(runtime: &FakeRuntime, view: &Path) -> Plugin {
        Plugin::with(runtime, view, &[])
    }

    fn with(runtime: &FakeRuntime, view: &Path, options: &[&str]) -> Plugin {
        Plugin::on(runtime.socket(), view, options)
    }

    fn on(socket: PathBuf, view: &Path, options: &[&str]) -> Plugin {
        let mut command = command(&socket, view);
        command.args(options).stderr(Stdio::null());
        let process = command.spawn().unwrap();
        Plugin { process, socket }
    }

    fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Ends the plugin, and returns its exit status.
    fn end(&mut self) -> ExitStatus {
        kill("TERM", self.pid());
        self.process.wait().unwrap()
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let socket = self.socket.to_string_lossy();
        let name = socket.replace('-', "\\x2d").replace('/', "-");
        let _ = fs::remove_file(format!("/run/plimsoll/nri{name}.lock"));
    }
}

fn command(socket: &Path, view: &Path) -> Command {
    let mut command = plimsoll();
    command.arg("nri").arg("--socket").arg(socket);
    command.arg("--view").arg(view);
    command
}
