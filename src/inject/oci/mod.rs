//! A wrapper of an OCI runtime: adds our hook, then executes the real runtime. For engines without
//! hooks of their own.
//!
//! The wrapper edits the configuration of a new container, and then executes the real runtime in its
//! own process (exec). For every other call the wrapper only executes the real runtime.

mod arguments;
mod edit;
mod error;
mod features;
pub mod hook_spec;
mod outline;
mod program;
mod wrapper;

pub use arguments::Call;
pub use edit::{ShapeError, add_clocks, add_hook};
pub use error::{ConfigurationError, WrapperError};
pub use features::supports_time_namespace;
pub use outline::Outline;
pub(in crate::inject) use program::{DEFAULT_PATH, RUNTIMES};
pub use wrapper::Wrapper;
