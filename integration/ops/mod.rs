//! The commands of an administrator.

mod doctor;
