//! The tasks of a cgroup and its descendants, listed in small steps.

use crate::base::sys::{Descent, Dir, ReadError};
use std::{
    fs::File,
    io::{self, Read},
    marker::PhantomData,
    path::Path,
    str::FromStr,
};

/// The bytes of a list of tasks that one step reads: the kernel makes a page at a time.
const CHUNK: usize = 4096;

/// The numbers in a file of a cgroup and of each descendant, such as `cgroup.procs`.
///
/// Each step is a few system calls, whatever the container made of its cgroups: one cgroup is
/// opened, or one page of its file is read. A cgroup that is removed during the walk has no tasks. A
/// descendant more than 64 levels below is left out, see [`Members::is_cut`].
#[derive(Debug)]
pub struct Members<N> {
    cgroups: Descent,
    file: &'static str,
    /// The file of the present cgroup, and the start of a number whose rest is not read yet.
    present: Option<(File, String)>,
    numbers: PhantomData<N>,
}

impl<N: FromStr> Members<N> {
    /// Begins at the cgroup at `path` below `root`.
    pub(super) fn of(root: &Dir, path: &Path, file: &'static str) -> Result<Members<N>, ReadError> {
        Ok(Members {
            cgroups: Descent::of(root.dir(path).map_err(ReadError::refused(path))?),
            file,
            present: None,
            numbers: PhantomData,
        })
    }

    /// Returns whether cgroups were left out because they lie too deep.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cgroups.is_cut()
    }
}

/// Returns the numbers that one step has read, which may be none; `None` after the last step.
impl<N: FromStr> Iterator for Members<N> {
    type Item = Vec<N>;

    fn next(&mut self) -> Option<Vec<N>> {
        if self.present.is_none() {
            let cgroup = self.cgroups.next()?;
            // The file may be unreadable (a threaded cgroup).
            let file = cgroup.and_then(|cgroup| cgroup.readable(Path::new(self.file)));
            self.present = file.ok().map(|file| (file, String::new()));
        }
        let mut numbers = Vec::new();
        if let Some((file, rest)) = &mut self.present
            && !read_some(file, rest, &mut numbers).unwrap_or(false)
        {
            numbers.extend(rest.trim().parse());
            self.present = None;
        }
        Some(numbers)
    }
}

/// Reads some whole lines, and keeps the start of the next one in `rest`. Returns whether there may
/// be more.
fn read_some<N: FromStr>(
    file: &mut File,
    rest: &mut String,
    numbers: &mut Vec<N>,
) -> io::Result<bool> {
    let mut chunk = [0; CHUNK];
    let length = file.read(&mut chunk)?;
    rest.push_str(&String::from_utf8_lossy(
        chunk.get(..length).unwrap_or_default(),
    ));
    let end = rest.rfind('\n').map_or(0, |end| end + 1);
    let lines = rest.get(..end).unwrap_or_default().lines();
    numbers.extend(lines.filter_map(|line| line.parse().ok()));
    rest.drain(..end);
    Ok(length > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::units::Tid;
    use std::fs;

    fn listed(root: &Path) -> (usize, Vec<u32>) {
        let root = Dir::open(root).unwrap();
        let members: Vec<Vec<Tid>> = Members::of(&root, Path::new("/a"), "tasks")
            .unwrap()
            .collect();
        let numbers = members.iter().flatten().map(|tid| tid.0).collect();
        (members.len(), numbers)
    }

    #[test]
    fn a_long_list_comes_in_steps_and_no_number_is_torn() {
        let place = tempfile::tempdir().unwrap();
        let below = place.path().join("a/b");
        fs::create_dir_all(&below).unwrap();
        let numbers: Vec<u32> = (1..5000).collect();
        let text: String = numbers.iter().map(|tid| format!("{tid}\n")).collect();
        fs::write(below.join("tasks"), text).unwrap();
        let (steps, found) = listed(place.path());
        assert_eq!(found, numbers);
        assert!(steps > 5, "{steps}");
    }

    #[test]
    fn a_cgroup_that_is_gone_cannot_be_listed() {
        let place = tempfile::tempdir().unwrap();
        let root = Dir::open(place.path()).unwrap();
        let gone = Members::<Tid>::of(&root, Path::new("/a"), "tasks").unwrap_err();
        assert!(gone.is_gone());
    }
}
