//! The options of `plimsoll run`, checked as far as the options alone allow.

pub mod parse;
pub mod request;
pub(crate) mod user;
