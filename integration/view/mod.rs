//! The numbers that a container sees.

mod captured;
mod laws;
