//! Programs that print numbers of the machine, in a container of 256 MB and one CPU of several. `calls` has
//! the programs that ask by a system call, which no file answers, with the numbers that they print today.
//!
//! `integration/check` installs a few of the programs, `integration/check --observers` all of them, on this
//! kernel and in an emulated machine. Debian has no package of .NET, telegraf, Datadog's agent, a Go of 1.25 or
//! later, and musl, so they have no test.

mod calls;
mod runtimes;
mod strict;
mod tools;

use crate::harness::{plimsoll, stdout_of};
use std::process::Command;

/// Returns the standard output of a program in a container.
fn inside(words: &[&str]) -> String {
    let mut run = plimsoll();
    run.args(["run", "-m", "256M", "--cpus", "1", "--"])
        .args(words);
    stdout_of(&run.output().unwrap())
}

/// Returns the standard output of a script in a container.
fn shell(script: &str) -> String {
    inside(&["bash", "-c", script])
}

/// Returns the standard output of a script on the host.
fn outside(script: &str) -> String {
    stdout_of(&Command::new("bash").args(["-c", script]).output().unwrap())
}

/// Returns the text behind `name` and a colon.
fn value<'text>(text: &'text str, name: &str) -> &'text str {
    let line = text
        .lines()
        .find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in: {text}"))
        .trim()
}

/// Returns the words of the first line that begins with `word`.
fn words<'text>(text: &'text str, word: &str) -> Vec<&'text str> {
    let mut lines = text.lines().map(|line| line.split_whitespace());
    let line = lines.find(|line| line.clone().next() == Some(word));
    line.unwrap_or_else(|| panic!("no line of {word} in: {text}"))
        .collect()
}
