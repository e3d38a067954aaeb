//! Pure. The mounts that every container gets: served files and the files that they cover.

use crate::view::files::{CPUS, FILES, NODES};

/// The kernel's file system of a covered file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Below {
    /// `/proc`
    Proc,
    /// `/sys`
    Sys,
}

/// A served file or directory, and the file or directory of a container that it covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bind {
    /// The path below the container's directory in the view, and below the container's root.
    pub path: &'static str,
    /// The file system in which the covered file must be; another file system is refused.
    pub below: Below,
    /// Lets the container write to the file.
    pub is_written: bool,
}

/// Lists every mount that a container gets: the files of `/proc` one by one, those of `/sys` by their
/// directories.
pub fn binds() -> impl Iterator<Item = Bind> {
    let files = FILES.into_iter().map(|file| Bind {
        path: file.path(),
        below: Below::Proc,
        is_written: file.pressure().is_some(),
    });
    let directories = [CPUS, NODES].map(|path| Bind {
        path,
        below: Below::Sys,
        is_written: false,
    });
    files
        .filter(|file| file.path.starts_with("proc/"))
        .chain(directories)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_served_file_lies_in_proc_or_sys() {
        for bind in binds() {
            let first = match bind.below {
                Below::Proc => "proc",
                Below::Sys => "sys",
            };
            assert_eq!(bind.path.split('/').next(), Some(first));
        }
    }

    #[test]
    fn every_served_file_is_covered_by_a_bind() {
        for file in FILES {
            assert!(binds().any(|bind| std::path::Path::new(file.path()).starts_with(bind.path)));
        }
    }

    #[test]
    fn no_file_is_covered_twice() {
        let mut paths: Vec<_> = binds().map(|bind| bind.path).collect();
        let all = paths.len();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), all);
    }
}
