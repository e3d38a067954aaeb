//! The promises of the product, each a test whose name is the promise.
//!
//! A test that needs something of its place says so in its ignore reason, "needs root, /dev/fuse
//! and cgroup v2"; `integration/check` runs it in every place that has it and names the tests
//! that found none. `integration/testbed/suite --help` lists what can be needed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should fail loudly"
)]

mod attach;
mod captured;
mod compliance;
mod doctor;
mod harness;
mod hook;
mod hostile;
mod house;
mod inside;
mod install;
mod laws;
mod links;
mod lxc;
mod observers;
mod oci;
mod pressure;
mod run;
mod served;
mod survival;
mod system;
mod time;
mod torn;
mod wrapper;
