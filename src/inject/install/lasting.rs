//! The places from which engines can call the program for years.

use super::InstallError;
use std::path::Path;

/// Directories that a reboot or a clean-up empties.
const TEMPORARY: [&str; 5] = ["/tmp", "/var/tmp", "/dev/shm", "/run", "/var/run"];

/// The files that mark a directory whose content may be removed at any time: of any cache
/// (bford.info/cachedir), and of a build of Cargo.
const MARKS: [&str; 2] = ["CACHEDIR.TAG", ".fingerprint"];

/// Makes sure that `program`, which the configurations of engines will name, stays where it is.
///
/// # Errors
/// [`InstallError::Fleeting`].
pub fn check_program(program: &Path) -> Result<(), InstallError> {
    let temporary = TEMPORARY.iter().map(Path::new);
    let mut temporary = temporary.filter(|directory| program.starts_with(directory));
    let above = program.ancestors().skip(1);
    let is_marked = |directory: &&Path| MARKS.iter().any(|mark| directory.join(mark).exists());
    let mut caches = above.filter(is_marked);
    match temporary.next().or_else(|| caches.next()) {
        Some(directory) => Err(InstallError::Fleeting {
            program: program.to_owned(),
            directory: directory.to_owned(),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_program_in_a_build_or_a_temporary_directory_is_refused_with_the_way_out() {
        let said = check_program(Path::new("/tmp/x/plimsoll")).unwrap_err();
        assert_eq!(
            said.to_string(),
            "engines would call /tmp/x/plimsoll, and /tmp does not last: copy the program to /usr/local/bin, \
             and install with the copy"
        );
        assert!(check_program(Path::new("/usr/bin/plimsoll")).is_ok());
        assert!(check_program(Path::new("/tmpfiles/plimsoll")).is_ok());
        for mark in MARKS {
            let place = tempfile::tempdir().unwrap();
            fs::write(place.path().join(mark), "").unwrap();
            assert!(check_program(&place.path().join("release/plimsoll")).is_err());
        }
    }
}
