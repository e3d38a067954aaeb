//! The command line.

/// Runs the command that was typed.
#[must_use]
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(125)
}
