//! The view of a container: the served files, their numbers and their bytes.

/// Tables of the served files.
pub mod files;

/// Views, computed from facts. Every function is pure and total.
pub mod model;

/// Renderers: a view as the bytes that the kernel would have written.
///
/// Uses [`model`].
pub mod render;

/// Answers: the caller, its limits, the view, the bytes.
///
/// Uses [`files`], [`model`], [`render`].
pub mod answer;
