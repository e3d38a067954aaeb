//! A container of the demo: a shell that carries out one command after another.
//!
//! The shell ends with its standard input, so the container ends and is removed even when the demo
//! was killed.

use std::{
    io::{Read, Write},
    os::{fd::AsFd, unix::process::CommandExt},
    process::{Child, ChildStdin, ChildStdout, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use nix::{sys::signal, unistd};

use crate::base::{
    respawn::{PROGRAM, Respawn},
    sys::process,
    units::Pid,
};

use super::interrupt::Interrupts;

/// The line with which the shell ends the output of a command.
const END: &str = "plimsoll-demo-end";

/// The timeout for the end of a container after the end of its input, and after each signal.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// A running container. A drop ends and removes the container.
#[derive(Debug)]
pub(super) struct ShellContainer<'demo> {
    process: Child,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    /// The output that is not yet a line.
    rest: Vec<u8>,
    interrupts: &'demo Interrupts,
}

impl<'demo> ShellContainer<'demo> {
    /// Starts a container, and waits until its shell runs.
    pub(super) fn start(
        start: Respawn<'_>,
        interrupts: &'demo Interrupts,
    ) -> Result<ShellContainer<'demo>> {
        let mut process = start
            .command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A terminal's signals are for the demo, which ends the container.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {PROGRAM}"))?;
        let (stdin, stdout) = (process.stdin.take(), process.stdout.take());
        let mut container = ShellContainer {
            process,
            stdin,
            stdout: stdout.context("a container has no standard output")?,
            rest: Vec::new(),
            interrupts,
        };
        container.output("exec 2>&1")?;
        Ok(container)
    }

    /// Returns the process that runs the container.
    pub(super) fn pid(&self) -> Pid {
        Pid(self.process.id())
    }

    /// Returns the output of a command.
    pub(super) fn output(&mut self, command: &str) -> Result<String> {
        self.write(&format!("{command}\necho {END}\n"))?;
        let mut output = String::new();
        loop {
            let line = self.line()?;
            if line == END {
                return Ok(output);
            }
            output += &line;
            output.push('\n');
        }
    }

    /// Writes text for the shell, or for the command that runs.
    pub(super) fn write(&mut self, text: &str) -> Result<()> {
        let written = self
            .stdin
            .as_mut()
            .map(|stdin| stdin.write_all(text.as_bytes()));
        match written {
            Some(Ok(())) => Ok(()),
            _ => self.ended(),
        }
    }

    /// Returns the next line of the output, without its newline.
    pub(super) fn line(&mut self) -> Result<String> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line);
                return Ok(line.trim_end_matches('\n').to_owned());
            }
            self.interrupts.until_readable(self.stdout.as_fd())?;
            let mut bytes = [0; 4096];
            let count = self.stdout.read(&mut bytes)?;
            if count == 0 {
                self.ended()?;
            }
            self.rest.extend(bytes.iter().take(count));
        }
    }

    /// Returns the reason for the end of the container, as an error.
    fn ended(&mut self) -> Result<()> {
        drop(self.stdin.take());
        let status = self.process.wait()?;
        let mut said = String::new();
        if let Some(mut stderr) = self.process.stderr.take() {
            stderr.read_to_string(&mut said)?;
        }
        match said.lines().last() {
            Some(line) => bail!("{}", line.trim_start_matches("plimsoll: ")),
            None => bail!("the container ended early: {status}"),
        }
    }

    fn has_ended(&mut self) -> bool {
        process::has_ended_within(&mut self.process, STOP_TIMEOUT)
    }
}

impl Drop for ShellContainer<'_> {
    fn drop(&mut self) {
        drop(self.stdin.take());
        if self.has_ended() {
            return;
        }
        if let Ok(pid) = i32::try_from(self.process.id()) {
            let _ = signal::kill(unistd::Pid::from_raw(pid), signal::Signal::SIGTERM);
        }
        if !self.has_ended() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}
