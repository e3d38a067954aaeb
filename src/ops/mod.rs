//! What an administrator asks of a machine on which Plimsoll runs.

/// What is well on this machine and what is not, each with its fix.
pub mod doctor;
