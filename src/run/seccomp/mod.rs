//! The filter of a container's system calls: Docker's default, or a profile of the user's.

/// The architectures whose system calls a filter judges. Pure.
pub mod architecture;

/// The rules of a filter, by the names of system calls. Pure.
///
/// Uses [`architecture`].
pub mod filter;

/// The filter of `docker run`. Pure.
///
/// Uses [`architecture`], [`filter`].
pub(crate) mod docker;

/// The profiles that Docker and the OCI define as JSON. Pure.
///
/// Uses [`architecture`], [`filter`].
pub mod profile;

/// The program that the kernel runs at each system call. Pure.
///
/// Uses [`architecture`], [`filter`].
pub(crate) mod bpf;
