//! Pure. Which served file covers which file of a container.

use crate::view::files::{CPUS, FILES, NODES};

/// The kernel's file system in which a covered file lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Below {
    /// `/proc`
    Proc,
    /// `/sys`
    Sys,
}

/// One served file or directory and where it belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bind {
    /// Its path below a container's directory in the view, and below the container's root.
    pub path: &'static str,
    /// Where the covered file must lie; anything else there is a trap and is refused.
    pub below: Below,
    /// Whether something may be written to it.
    pub is_written: bool,
}

/// Every mount that a container gets: the files of `/proc` one by one, those of `/sys` by their
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
