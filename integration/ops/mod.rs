//! The commands of an administrator.

mod colour;
mod doctor;
mod ps;
mod show;
mod status;
mod terminal;
mod values;
