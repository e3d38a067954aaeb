//! The hook that measures the hook: a runtime calls this program in a container that is being created.

use std::{
    fs::OpenOptions,
    io::{Read, Write},
    path::Path,
    process::{Command, ExitCode, Stdio},
    time::Instant,
};

/// The prefix of the time of `plimsoll --version`.
pub(crate) const START: &str = "start";
/// The prefix of the time of the hook.
pub(crate) const HOOK: &str = "hook";

/// The name under which this program acts as a hook.
const NAME: &str = "timed-hook";

/// Returns the arguments with which a runtime calls this program, its name first. The program then measures
/// `program` as a hook with the arguments `rest`, and appends the time to the file `notes`.
pub(crate) fn arguments(program: &Path, notes: &Path, rest: &[&str]) -> Vec<String> {
    let own = [NAME, program.to_str().unwrap(), notes.to_str().unwrap()];
    own.iter()
        .chain(rest)
        .map(|&word| word.to_owned())
        .collect()
}

/// Acts as a hook if this process is one. Returns its exit status then.
pub(crate) fn run_if_hook() -> Option<ExitCode> {
    let mut arguments = std::env::args();
    if arguments.next()? != NAME {
        return None;
    }
    let [program, notes] = [arguments.next()?, arguments.next()?];
    let rest: Vec<String> = arguments.collect();
    let mut state = String::new();
    std::io::stdin().read_to_string(&mut state).unwrap();
    let start = timed(Command::new(&program).arg("--version"), "");
    let hook = timed(Command::new(&program).arg("hook").args(&rest), &state);
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(notes)
        .unwrap();
    // One write, because containers can be created at the same time.
    file.write_all(format!("{START} {start}\n{HOOK} {hook}\n").as_bytes())
        .unwrap();
    Some(ExitCode::SUCCESS)
}

/// Runs a command and returns the nanoseconds from its start to its end.
fn timed(command: &mut Command, state: &str) -> u128 {
    command
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let begun = Instant::now();
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that does not read its input may have ended.
    let _ = stdin.write_all(state.as_bytes());
    drop(stdin);
    let status = child.wait().unwrap();
    let took = begun.elapsed().as_nanos();
    assert!(status.success(), "{command:?}: {status}");
    took
}
