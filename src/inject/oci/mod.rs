//! An OCI runtime that is another one with our hook: for engines without hooks of their own.
//!
//! The wrapper edits the configuration of a container that is to be made, and then becomes the real
//! runtime; every other call becomes the real runtime at once.

mod arguments;
mod edit;
mod error;
mod features;
pub mod hook_spec;
mod outline;
mod program;
mod wrapper;

pub use edit::{ShapeError, add_clocks, add_hook};
pub use error::{ConfigurationError, WrapperError};
pub use wrapper::Wrapper;
