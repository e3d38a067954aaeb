//! Views of a container, computed from facts without I/O. Every function is total.

pub mod cpu;
pub mod disk;
pub mod hugetlb;
pub mod load;
pub mod memory;
pub mod node;
pub mod parts;
pub mod stat;
pub mod summary;
pub mod sysinfo;
pub mod time;
pub mod topology;
pub mod vmstat;
