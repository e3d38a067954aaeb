//! Pure. The errors that end a connection to a runtime.

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
