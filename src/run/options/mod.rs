//! The options of `plimsoll run`: parsed texts, the request they make, and the user of the command.

/// The request for a container.
pub mod request;

/// The parsers of the options' texts.
///
/// Uses [`request`].
pub mod parse;

/// The user that runs the command.
pub(crate) mod user;
