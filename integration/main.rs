//! The promises of the product, each a test whose name is the promise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should fail loudly"
)]

mod captured;
mod harness;
mod inside;
mod laws;
mod layers;
mod served;
