//! The part of CRIU's configuration that names the mounts of the view (criu(8), "CONFIGURATION FILES").
//!
//! runc and crun tell CRIU of the mounts in a container's configuration. The mounts of a hook or an
//! attach are not among them, so CRIU refuses to dump the container. CRIU reads its own
//! configuration in every run, also when a runtime calls CRIU. Two lines stand there for each mount:
//! by the first one CRIU dumps the mount under a name, by the second one CRIU restores a mount of that
//! name from a file. The file is one that shows each reader the reader's own container.

use std::path::Path;

use super::change::below;
use crate::{base::sys, inject::binds};

/// The configuration that CRIU reads before every other option.
pub(super) const CONFIGURATION: &str = "/etc/criu/default.conf";

/// The name of the program.
pub(super) const PROGRAM: &str = "criu";

/// The directories in which distributions and builds from source put the program.
const DIRECTORIES: [&str; 4] = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];

/// The lines before and after our part.
const BEGIN: &str = "# Begin of plimsoll: mounts of the view";
const END: &str = "# End of plimsoll";

/// The state of CRIU on a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CriuState {
    /// There is no CRIU.
    Absent,
    /// CRIU refuses to dump a container that has the view.
    Unset,
    /// CRIU dumps and restores containers that have the view.
    Set,
}

/// Returns the state of CRIU on the machine whose root directory is `root`, for the view at `view`.
#[must_use]
pub fn criu_state(root: &Path, view: &Path) -> CriuState {
    if !is_installed(root) {
        return CriuState::Absent;
    }
    let text = sys::read_text(&below(root, Path::new(CONFIGURATION))).unwrap_or_default();
    match text.contains(&part(view)) {
        true => CriuState::Set,
        false => CriuState::Unset,
    }
}

/// Returns whether CRIU is on the machine whose root directory is `root`.
pub(super) fn is_installed(root: &Path) -> bool {
    let mut programs = DIRECTORIES.iter().map(|path| Path::new(path).join(PROGRAM));
    programs.any(|program| below(root, &program).exists())
}

/// Returns the configuration with our part for the view at `view`, and without an earlier one.
pub(super) fn set(text: &str, view: &Path) -> String {
    let mut text = unset(text);
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text + &part(view)
}

/// Returns the configuration without our part. A part that has lost its last line ends before the
/// first line that is not ours.
pub(super) fn unset(text: &str) -> String {
    let mut left = String::new();
    let mut is_ours = false;
    for line in text.split_inclusive('\n') {
        match line.trim_end() {
            BEGIN => is_ours = true,
            END if is_ours => is_ours = false,
            other if is_ours && other.starts_with("external mnt[") => {}
            _ => {
                is_ours = false;
                left.push_str(line);
            }
        }
    }
    left
}

fn part(view: &Path) -> String {
    let lines = binds().map(|bind| {
        let (covered, source) = (Path::new("/").join(bind.path), view.join(bind.path));
        let (covered, source) = (covered.display(), source.display());
        format!("external mnt[{covered}]:{source}\nexternal mnt[{source}]:{source}\n")
    });
    format!("{BEGIN}\n{}{END}\n", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{prop, proptest};

    const VIEW: &str = "/var/lib/plimsoll";

    #[test]
    fn each_mount_of_a_container_is_dumped_by_name_and_restored_from_the_view() {
        let text = set("", Path::new(VIEW));
        for bind in binds() {
            let source = format!("{VIEW}/{}", bind.path);
            let dumped = format!("\nexternal mnt[/{}]:{source}\n", bind.path);
            assert!(text.contains(&dumped), "{text}");
            let restored = format!("\nexternal mnt[{source}]:{source}\n");
            assert!(text.contains(&restored), "{text}");
        }
    }

    #[test]
    fn the_part_for_another_view_is_replaced() {
        let first = set("tcp-established\n", Path::new("/var/lib/lxcfs"));
        let second = set(&first, Path::new(VIEW));
        assert_eq!(second, set("tcp-established", Path::new(VIEW)));
        assert!(!second.contains("lxcfs"));
    }

    #[test]
    fn lines_of_others_stay_even_where_our_last_line_is_gone() {
        let text = set("a\n", Path::new(VIEW)).replace(END, "b") + "external mnt[/c]:d\n";
        assert_eq!(unset(&text), "a\nb\nexternal mnt[/c]:d\n");
    }

    proptest! {
        #[test]
        fn a_configuration_without_our_part_is_as_before(lines in prop::collection::vec("[a-z# \\[\\]:]{0,12}", 0..6)) {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            assert_eq!(unset(&set(&text, Path::new(VIEW))), text);
        }
    }
}
