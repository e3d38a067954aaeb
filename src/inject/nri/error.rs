//! Pure. The errors of a connection to a runtime, and of the plugin.

use std::{io, path::PathBuf};

/// Bytes that no runtime sends. The connection cannot be used any longer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A frame is longer than any message.
    #[error("a frame has {0} bytes")]
    LongFrame(usize),
    /// A message is longer than any that ttrpc allows.
    #[error("a message has {0} bytes")]
    LongMessage(usize),
    /// The runtime lists more containers than any machine runs.
    #[error("more than {0} pods or containers are listed")]
    ManyContainers(usize),
}

/// An error that ends the plugin.
#[derive(Debug, thiserror::Error)]
pub enum NriError {
    /// Another plugin has the socket.
    #[error("another plimsoll nri serves {} (pid {holder})", socket.display())]
    Held {
        /// The socket of the runtime.
        socket: PathBuf,
        /// The pid of the other plugin, as it wrote the pid down.
        holder: String,
    },
    /// The lock cannot be taken.
    #[error("cannot lock {}", path.display())]
    Lock {
        /// The lock.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The kernel refuses what every plugin needs.
    #[error("cannot wait for signals and connections")]
    Kernel(#[source] io::Error),
}
