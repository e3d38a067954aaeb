//! The options of `plimsoll run`: parsed texts, the request they make, and the user of the command.

/// The security of a container.
pub mod security;

/// The request for a container.
///
/// Uses [`security`].
pub mod request;

/// The parsers of the options' texts.
///
/// Uses [`security`], [`request`].
pub mod parse;

/// The parsers of the options that mount something.
///
/// Uses [`request`], [`parse`].
pub mod volume;

/// The user that runs the command.
pub(crate) mod user;
