//! The text that the program prints. A container chooses names: of cgroups, processes, mounts,
//! images. A terminal that showed such a name as it is would carry out what the name says.
//!
//! All output goes through `complain`, `print`, `print_styled`, `print_json`, `print_file`,
//! `LiveTerminal` or `LogLine`.
//! These functions print no control character but the newlines and tabs of the program itself, and
//! the codes of its own colours. A text that
//! composes a line of several names writes each as `escaped`, so that no name can begin a line.

mod escaped;
mod live;
mod stream;
mod styled;

pub use escaped::{Escaped, escaped, json, shell_word};
pub use live::LiveTerminal;
pub use stream::{
    LogLine, PrintError, complain, is_terminal, print, print_file, print_json, print_styled,
    terminal_size, terminal_width,
};
pub use styled::{Styled, Tone};
