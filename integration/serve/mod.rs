//! The daemon, with the real program on the real kernel.

mod compliance;
mod pressure;
mod served;
mod survival;
mod system;
mod time;
mod torn;
