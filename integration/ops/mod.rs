//! The commands of an administrator.

mod doctor;
mod show;
mod terminal;
mod values;
