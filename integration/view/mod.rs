//! The numbers that a container sees.

mod captured;
mod properties;
