//! The promises of the product, each a test whose name is the promise.
//!
//! `cargo test --test integration a_type_name_belongs_to_one_room` runs one test. A test that needs
//! root also needs `-- --include-ignored`, or `sudo integration/check --no-vm NAME`.
//!
//! ```text
//! house       the shape of the source tree: wings, words, names, links
//! view        the numbers: properties, and captured machines
//! calls       the programs in the kernel that answer system calls
//! serve       the daemon: files, pressure, reads that mix two moments, survival, and the compliance cases that
//!             lxcfs runs too
//! inject      hook, attach, OCI shim, install, hostile containers
//! run         the bundled runtime
//! ops         doctor
//! observers   the programs that containers run, and the numbers that they print
//! readers     one of these programs: it prints what strict crates read
//! harness     the program, a daemon, a cgroup, an OCI bundle: used by all of the above
//! fixtures    captured machines
//! fuzz        generated input for the parsers
//! lab         machines, engines and long measurements (lab/README.md)
//! ```
//!
//! A test that needs something of its machine names the need in its ignore reason, "needs root,
//! /dev/fuse and cgroup v2". `integration/check` runs the test on every machine that has it and names
//! the tests that found none. `integration/lab/suite --help` lists the possible needs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should fail loudly"
)]

mod calls;
mod harness;
mod house;
mod inject;
mod observers;
mod ops;
mod run;
mod serve;
mod view;
