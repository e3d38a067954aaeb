//! The commands of an administrator.

mod colour;
mod doctor;
mod show;
mod terminal;
mod values;
