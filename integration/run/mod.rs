//! The bundled runtime, `plimsoll run`, with the real program on the real kernel.
//!
//! The tests need root, FUSE and a cgroup file system of v1, v2 or both. Every container has a name
//! of its own, so that the tests can run side by side.

mod cleanup;
mod container;
mod demo;
mod files;
mod inside;
mod limits;
mod process;
mod refusals;
mod security;
mod silent;
