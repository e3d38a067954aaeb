//! The daemon, with the real program on the real kernel.

mod compliance;
mod doors;
mod handover;
mod keys;
mod lifecycle;
mod pressure;
mod printed;
mod readers;
mod selinux;
mod served;
mod shares;
mod sizes;
mod survival;
mod system;
mod system_container;
mod time;
mod torn;
