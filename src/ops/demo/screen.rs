//! The text of the demo on standard output.

use std::time::Duration;

use anyhow::Result;

use crate::base::output::{Styled, Tone, print_styled};

use super::interrupt::Interrupts;

/// The text of a demo, and the pauses in it.
#[derive(Debug)]
pub(super) struct Screen<'demo> {
    pause: Duration,
    pub(super) interrupts: &'demo Interrupts,
}

impl<'demo> Screen<'demo> {
    pub(super) fn new(pause: Duration, interrupts: &'demo Interrupts) -> Screen<'demo> {
        Screen { pause, interrupts }
    }

    /// Prints the title of a step.
    pub(super) fn title(&self, text: &str) -> Result<()> {
        print(Tone::Title, &format!("{text}\n"))
    }

    /// Prints a command.
    pub(super) fn command(&self, text: &str) -> Result<()> {
        print(Tone::Command, &format!("   # {text}\n"))
    }

    /// Prints the output of a command.
    pub(super) fn output(&self, text: &str) -> Result<()> {
        let lines = text.lines().map(|line| format!("   {line}\n"));
        print(Tone::Plain, &lines.collect::<String>())
    }

    /// Ends a step: waits for the reader of the text.
    pub(super) fn pause(&self) -> Result<()> {
        print(Tone::Plain, "\n")?;
        self.interrupts.sleep(self.pause)
    }
}

fn print(tone: Tone, text: &str) -> Result<()> {
    Ok(print_styled(&Styled::default().add(tone, text))?)
}
