//! The SELinux label of the kernel's own files below `/proc`.

use std::path::Path;

/// A file of procfs. SELinux gives the file the label that programs need the right to read.
const KERNELS_FILE: &str = "/proc/meminfo";
/// The extended attribute that holds a label of SELinux.
const ATTRIBUTE: &str = "security.selinux";
/// The maximum length of a label, which is one page in `/proc/PID/attr`.
const MAX_LABEL_BYTES: usize = 4096;

/// Returns the label of the kernel's `/proc/meminfo`; `None` where SELinux is off.
pub(super) fn of_kernels_files() -> Option<String> {
    of(Path::new(KERNELS_FILE))
}

fn of(path: &Path) -> Option<String> {
    let mut value = vec![0; MAX_LABEL_BYTES];
    let length = rustix::fs::getxattr(path, ATTRIBUTE, &mut value[..]).ok()?;
    value.truncate(length);
    mount_option_value(value)
}

/// Converts the value of the attribute, which ends with a NUL. A quote would end the mount option.
fn mount_option_value(mut value: Vec<u8>) -> Option<String> {
    if value.last() == Some(&0) {
        value.pop();
    }
    let label = String::from_utf8(value).ok()?;
    let is_valid = !label.is_empty() && !label.contains(['"', '\0']);
    is_valid.then_some(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_ends_before_its_nul() {
        let label = |value: &[u8]| mount_option_value(value.to_vec());
        let expected = Some("system_u:object_r:proc_t:s0".to_owned());
        assert_eq!(label(b"system_u:object_r:proc_t:s0\0"), expected);
        assert_eq!(label(b"system_u:object_r:proc_t:s0"), expected);
        assert_eq!(label(b"\0"), None);
        assert_eq!(label(b"a\"b\0"), None);
    }

    #[test]
    fn a_file_that_does_not_exist_has_no_label() {
        assert_eq!(of(Path::new("/proc/none")), None);
    }
}
