//! Programs of the kernel's BPF machine that answer `sysinfo(2)` and `sched_getaffinity(2)` in a container.
//!
//! Each program runs when the system call returns to a process of a container. The program replaces the
//! kernel's answer, in the buffer of the process, with the answer that agrees with the container's files
//! (`view::model::sysinfo`). Limits and use of memory come from the counters of the cgroups in that moment; the
//! rest comes from a map, whose key is the container's.
//!
//! ```text
//! btf         the kernel's description of its types -> the offset of a field, the number of a function
//! offsets     the fields that the programs read, on this kernel
//! assembler   instructions one by one -> a program
//! value       what a program knows of a container, as bytes
//! publish     typed views of a container -> its value
//! programs    offsets -> the instructions of each program
//! obstacle    the reason why this kernel runs no program
//! kernel      loads and attaches the programs
//! probe       a call of this process, to see whether the programs answer
//! ```

/// The kernel's description of its own types.
pub mod btf;

/// The fields of the kernel's structures that the programs read.
///
/// Uses [`btf`].
pub mod offsets;

/// The instructions of the kernel's BPF machine, put together one by one.
pub mod assembler;

/// The value of a container in the map that the programs read.
pub mod value;

/// The value of a container, from its typed views.
///
/// Uses [`value`].
pub mod publish;

/// The programs.
///
/// Uses [`offsets`], [`assembler`], [`value`].
pub mod programs;

/// The properties of a machine with which no program answers.
///
/// Uses [`offsets`].
pub mod obstacle;

/// The programs in the running kernel.
///
/// Uses [`btf`], [`offsets`], [`value`], [`programs`], [`obstacle`].
pub mod kernel;

/// The call that tells whether the programs answer.
///
/// Uses [`value`], [`kernel`].
mod probe;
