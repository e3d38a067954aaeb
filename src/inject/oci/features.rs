//! The question whether a runtime has time namespaces, asked once for each program.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::base::sys;

/// Tells whether the output of `runc features` promises a time namespace.
///
/// runc names time namespaces since 1.2. crun does not name them, but has had them since 1.8.4, and
/// `crun features` since 1.8.6.
fn has_clocks(features: &str) -> bool {
    let Ok(features) = serde_json::from_str::<Value>(features) else {
        return false;
    };
    let namespaces = features.pointer("/linux/namespaces");
    let namespaces = namespaces.and_then(Value::as_array);
    let is_named = namespaces.is_some_and(|list| list.iter().any(|name| name == "time"));
    let is_crun = features.pointer("/annotations/run.oci.crun.version");
    is_named || is_crun.is_some()
}

/// Tells whether a runtime has time namespaces, by a file in the directory `memory` or by asking the
/// program, whose answer then goes to such a file. A program that has been replaced is asked again.
pub(super) fn with_clocks(program: &Path, memory: &Path) -> bool {
    let Ok(stamp) = stamp(program) else {
        return false;
    };
    let file = file(program, memory);
    let known = fs::read_to_string(&file).unwrap_or_default();
    if let Some(known) = known.strip_prefix(&stamp) {
        return known == " time\n";
    }
    let said = Command::new(program)
        .arg("features")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let has = said.is_ok_and(|said| {
        said.status.success() && has_clocks(&String::from_utf8_lossy(&said.stdout))
    });
    let word = if has { "time" } else { "none" };
    // Without such a file, as for an engine without root, the program is asked each time.
    let _ = fs::create_dir_all(memory);
    let _ = sys::write_atomic(&file, format!("{stamp} {word}\n").as_bytes());
    has
}

/// Returns the file with the answer of `program`.
fn file(program: &Path, memory: &Path) -> PathBuf {
    let name = program.to_string_lossy();
    memory.join(format!("features{}", name.replace('/', "-")))
}

/// Returns a text that changes when the program is replaced.
fn stamp(program: &Path) -> io::Result<String> {
    let file = fs::metadata(program)?;
    Ok(format!(
        "{}:{} {} {}.{:09}",
        file.dev(),
        file.ino(),
        file.size(),
        file.mtime(),
        file.mtime_nsec()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    #[test]
    fn a_runtime_has_time_namespaces_that_names_them_or_is_crun() {
        let runc_1_1 = r#"{"linux": {"namespaces": ["pid", "uts"]}, "annotations": {}}"#;
        let runc_1_2 = r#"{"linux": {"namespaces": ["pid", "time", "uts"]}}"#;
        let crun_1_21 = r#"{"linux": {"namespaces": ["pid"]},
            "annotations": {"run.oci.crun.version": "1.21"}}"#;
        assert!(!has_clocks(runc_1_1));
        assert!(has_clocks(runc_1_2));
        assert!(has_clocks(crun_1_21));
        assert!(!has_clocks("unknown command \"features\""));
    }

    /// A runtime that says that it has time namespaces, and counts how often it is asked.
    fn runtime(directory: &Path, namespaces: &str) -> PathBuf {
        let path = directory.join("runtime");
        let asked = directory.join("asked");
        let script = format!(
            "#!/bin/sh\necho $1 >>{}\necho '{{\"linux\": {{\"namespaces\": [{namespaces}]}}}}'\n",
            asked.display()
        );
        fs::write(directory.join("new"), script).unwrap();
        fs::set_permissions(directory.join("new"), Permissions::from_mode(0o755)).unwrap();
        fs::rename(directory.join("new"), &path).unwrap();
        path
    }

    #[test]
    fn a_runtime_is_asked_once_and_again_when_it_was_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let memory = directory.path().join("memory");
        let program = runtime(directory.path(), "\"time\"");
        assert!(with_clocks(&program, &memory));
        assert!(with_clocks(&program, &memory));
        let asked = || fs::read_to_string(directory.path().join("asked")).unwrap();
        assert_eq!(asked(), "features\n");
        runtime(directory.path(), "");
        assert!(!with_clocks(&program, &memory));
        assert!(!with_clocks(&program, &memory));
        assert_eq!(asked(), "features\nfeatures\n");
    }
}
