//! The colours of a terminal, and no colours for programs.

use crate::harness::{file_tree, plimsoll, stdout_of};
use nix::pty::openpty;
use std::{fs::File, io::Read, path::Path, process::Command};

/// `plimsoll doctor` on a machine with warnings, in an environment without a wish about colours.
fn doctor(root: &Path) -> Command {
    let mut doctor = plimsoll();
    doctor.arg("doctor").arg("--root").arg(root);
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI"] {
        doctor.env_remove(name);
    }
    doctor.env("TERM", "xterm");
    doctor
}

/// A machine of which nothing is known but its kernel.
fn machine() -> tempfile::TempDir {
    file_tree(&[
        ("proc/sys/kernel/osrelease", "6.8.0\n"),
        ("proc/self/mountinfo", ""),
    ])
}

/// The output of a command on a terminal.
fn on_terminal(mut command: Command) -> String {
    let terminal = openpty(None, None).unwrap();
    let mut process = command.stdout(terminal.slave).spawn().unwrap();
    drop(command);
    let mut text = Vec::new();
    // A terminal that no process holds open answers with EIO.
    let _ = File::from(terminal.master).read_to_end(&mut text);
    process.wait().unwrap();
    String::from_utf8(text).unwrap()
}

/// The output of a command for a program.
fn in_pipe(mut command: Command) -> String {
    let output = command.output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn doctor_colours_a_terminal_unless_the_user_wants_none() {
    let root = machine();
    let text = on_terminal(doctor(root.path()));
    assert!(text.contains("\x1b["), "{text:?}");
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb"), ("CLICOLOR", "0")] {
        let mut doctor = doctor(root.path());
        doctor.env(name, value);
        let text = on_terminal(doctor);
        assert!(!text.contains('\x1b'), "{name}: {text:?}");
    }
}

#[test]
fn doctor_gives_a_program_no_colours_unless_the_user_forces_them() {
    let root = machine();
    assert!(!in_pipe(doctor(root.path())).contains('\x1b'));
    for format in ["table", "json"] {
        let mut doctor = doctor(root.path());
        doctor.args(["-o", format]).env("CLICOLOR_FORCE", "1");
        let text = in_pipe(doctor);
        assert_eq!(text.contains('\x1b'), format == "table", "{text}");
    }
    let mut help = plimsoll();
    assert!(!stdout_of(&help.arg("--help").output().unwrap()).contains('\x1b'));
}
