//! Programs that people ask about a machine, in a container of 256 MB and one CPU of several: what
//! each prints of it. `calls` has those that ask by a system call, which no file answers, with what
//! they print today.
//!
//! `integration/check` installs a few of them; `integration/check --observers` all, on this kernel
//! and in an emulated machine. Not asked, for Debian has no package of them: .NET, telegraf and
//! Datadog's agent, nor a Go of 1.25 or later, nor a musl.

mod calls;
mod runtimes;
mod tools;

use crate::harness::{plimsoll, stdout_of};
use std::process::Command;

fn inside(words: &[&str]) -> String {
    let mut run = plimsoll();
    run.args(["run", "-m", "256M", "--cpus", "1", "--"])
        .args(words);
    stdout_of(&run.output().unwrap())
}

fn shell(script: &str) -> String {
    inside(&["bash", "-c", script])
}

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

/// The words of the first line that begins with `word`.
fn words<'text>(text: &'text str, word: &str) -> Vec<&'text str> {
    let mut lines = text.lines().map(|line| line.split_whitespace());
    let line = lines.find(|line| line.clone().next() == Some(word));
    line.unwrap_or_else(|| panic!("no line of {word} in: {text}"))
        .collect()
}
