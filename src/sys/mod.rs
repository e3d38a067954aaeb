//! System calls that the standard library lacks; the only room with unsafe code.
#![allow(unsafe_code, reason = "this room is where it stands")]

pub mod mount;
pub mod process;
pub mod terminal;
