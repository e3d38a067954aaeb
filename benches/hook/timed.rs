//! The hook that times the hook: what a runtime calls in a container that is being made.

use std::{
    fs::OpenOptions,
    io::{Read, Write},
    path::Path,
    process::{Command, ExitCode, Stdio},
    time::Instant,
};

/// The word before the time of a start of the program that does nothing else.
pub(crate) const START: &str = "start";
/// The word before the time of the hook.
pub(crate) const HOOK: &str = "hook";

/// The name by which this program knows that it is called as a hook.
const NAME: &str = "timed-hook";

/// The arguments with which a runtime has to call this program, its name the first of them: to time
/// `program` as a hook with `rest` for arguments, into the file `notes`.
pub(crate) fn called(program: &Path, notes: &Path, rest: &[&str]) -> Vec<String> {
    let own = [NAME, program.to_str().unwrap(), notes.to_str().unwrap()];
    own.iter()
        .chain(rest)
        .map(|&word| word.to_owned())
        .collect()
}

/// Does a hook's work if this process is one; its exit status then.
pub(crate) fn was_hook() -> Option<ExitCode> {
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
    // In one write, for containers may be made at the same time.
    file.write_all(format!("{START} {start}\n{HOOK} {hook}\n").as_bytes())
        .unwrap();
    Some(ExitCode::SUCCESS)
}

/// The nanoseconds from its start to its end.
fn timed(command: &mut Command, state: &str) -> u128 {
    command
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let begun = Instant::now();
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that reads nothing may have ended.
    let _ = stdin.write_all(state.as_bytes());
    drop(stdin);
    let status = child.wait().unwrap();
    let took = begun.elapsed().as_nanos();
    assert!(status.success(), "{command:?}: {status}");
    took
}
