//! The view of a container: the served files, their numbers and their bytes.

/// The tables of the files that are served.
pub mod files;

/// What a container should see; pure and total.
pub mod model;

/// A view as the bytes that the kernel would have written.
///
/// Uses [`model`].
pub mod render;

/// The whole flow in one call: caller, limits, view, bytes.
///
/// Uses [`files`], [`model`], [`render`].
pub mod answer;
