//! The processes of a container.

pub(crate) mod console;
pub(crate) mod init;
pub(crate) mod reexec;
pub(crate) mod supervise;
