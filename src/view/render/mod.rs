//! Views as the bytes that the kernel would have written. The files have the names of those in
//! `view::model`; `calls` has the system calls, which the kernel answers without a text.

pub mod calls;
pub mod cpu;
pub mod disk;
pub mod load;
pub mod memory;
pub mod node;
pub mod stat;
pub mod time;
pub mod vmstat;

use std::{fmt::Arguments, io::Write};

// Writing to a vector does not fail.
fn put(out: &mut Vec<u8>, text: Arguments<'_>) {
    let _ = out.write_fmt(text);
}
