//! Finds out once per program whether a runtime supports time namespaces.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::base::sys;

/// Returns whether the output of `runc features` promises a time namespace.
///
/// runc names time namespaces since 1.2. crun does not name them, but has had them since 1.8.4, and
/// `crun features` since 1.8.6.
#[must_use]
pub fn supports_time_namespace(features: &str) -> bool {
    let Ok(features) = serde_json::from_str::<Value>(features) else {
        return false;
    };
    let namespaces = features.pointer("/linux/namespaces");
    let namespaces = namespaces.and_then(Value::as_array);
    let is_named = namespaces.is_some_and(|list| list.iter().any(|name| name == "time"));
    let is_crun = features.pointer("/annotations/run.oci.crun.version");
    is_named || is_crun.is_some()
}

/// Returns whether the runtime `program` supports time namespaces. Reads the answer that is cached in
/// the directory `cache`, or runs `PROGRAM features` and caches the answer. The cache entry is
/// invalid when the program file changes.
pub(super) fn supports_time_namespace_cached(program: &Path, cache: &Path) -> bool {
    let Ok(stamp) = stamp(program) else {
        return false;
    };
    let file = file(program, cache);
    let cached = fs::read_to_string(&file).unwrap_or_default();
    if let Some(answer) = cached.strip_prefix(&stamp) {
        return answer == " time\n";
    }
    let output = Command::new(program)
        .arg("features")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let is_supported = output.is_ok_and(|output| {
        output.status.success() && supports_time_namespace(&String::from_utf8_lossy(&output.stdout))
    });
    let word = if is_supported { "time" } else { "none" };
    // If the cache cannot be written (an engine without root), the program is run each time.
    let _ = fs::create_dir_all(cache);
    let _ = sys::write_atomic(&file, format!("{stamp} {word}\n").as_bytes());
    is_supported
}

/// Returns the path of the cache entry of `program`.
fn file(program: &Path, cache: &Path) -> PathBuf {
    let name = program.to_string_lossy();
    cache.join(format!("features{}", name.replace('/', "-")))
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
        assert!(!supports_time_namespace(runc_1_1));
        assert!(supports_time_namespace(runc_1_2));
        assert!(supports_time_namespace(crun_1_21));
        assert!(!supports_time_namespace("unknown command \"features\""));
    }

    /// A runtime that reports these namespaces, and writes a line at each run.
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
        let cache = directory.path().join("cache");
        let program = runtime(directory.path(), "\"time\"");
        assert!(supports_time_namespace_cached(&program, &cache));
        assert!(supports_time_namespace_cached(&program, &cache));
        let asked = || fs::read_to_string(directory.path().join("asked")).unwrap();
        assert_eq!(asked(), "features\n");
        runtime(directory.path(), "");
        assert!(!supports_time_namespace_cached(&program, &cache));
        assert!(!supports_time_namespace_cached(&program, &cache));
        assert_eq!(asked(), "features\nfeatures\n");
    }
}
