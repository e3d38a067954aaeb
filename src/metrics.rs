//! What is counted about ourselves.
