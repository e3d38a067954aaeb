//! The ways in which containers get their files.

mod attach;
mod beside;
mod checkpoint;
mod converge;
mod hook;
pub(crate) mod hostile;
mod install;
mod leave_out;
mod lxc;
mod nested;
mod nri;
mod repair;
mod wrapper;
