//! The OCI runtime wrapper, in front of a runtime that prints its arguments.

use crate::harness::{oci::huge, stdout_of};
use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A directory with a runtime `runc` that prints its arguments, and with a bundle.
struct Place(TempDir);

/// The script of a runtime that prints its arguments, or `$FEATURES` for `features`.
const PRINTS_ARGUMENTS: &str =
    "#!/bin/sh\n[ \"$1\" != features ] || { echo \"$FEATURES\"; exit; }\nprintf '%s\\n' \"$@\"\n";

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        place.program("runc", PRINTS_ARGUMENTS);
        fs::create_dir(place.at("bundle")).unwrap();
        let program = env!("CARGO_BIN_EXE_plimsoll");
        symlink(program, place.at("plimsoll-runtime")).unwrap();
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn program(&self, name: &str, script: &str) {
        fs::write(self.at(name), script).unwrap();
        fs::set_permissions(self.at(name), Permissions::from_mode(0o755)).unwrap();
    }

    /// Calls the wrapper by the name that engines use.
    fn call(&self, args: &[&str]) -> Output {
        let mut command = Command::new(self.at("plimsoll-runtime"));
        command.args(args).env("PATH", self.0.path());
        command.output().unwrap()
    }

    fn configure(&self, text: &str) {
        fs::write(self.at("bundle/config.json"), text).unwrap();
    }

    fn configuration(&self) -> String {
        fs::read_to_string(self.at("bundle/config.json")).unwrap()
    }

    fn create(&self) -> Output {
        let bundle = self.at("bundle");
        self.call(&[
            "--root",
            "/r",
            "create",
            "--bundle",
            bundle.to_str().unwrap(),
            "--new",
            "ab12",
        ])
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // The daemon's directory keeps the features of a runtime.
        let runtime = self.at("runc").to_string_lossy().replace('/', "-");
        let _ = fs::remove_file(Path::new("/run/plimsoll").join(format!("features{runtime}")));
    }
}

#[test]
fn every_other_call_reaches_the_runtime_unchanged() {
    let place = Place::new();
    for args in [
        &["--version"][..],
        &["--help"],
        &["--root", "/r", "state", "ab12"],
        &["exec", "-d", "ab12", "sh", "-c", "echo  two  spaces", ""],
        &["--unheard-of", "x", "kill", "--all", "ab12", "9"],
    ] {
        let expected: String = args.iter().map(|arg| format!("{arg}\n")).collect();
        assert_eq!(stdout_of(&place.call(args)), expected);
    }
}

#[test]
fn a_created_container_gets_the_hook_and_keeps_all_else() {
    let place = Place::new();
    place.configure(
        r#"{"z": 1, "hooks": {"poststop": [{"path": "/p"}]}, "new": {"b": 1.5, "a": null}}"#,
    );
    fs::set_permissions(
        place.at("bundle/config.json"),
        Permissions::from_mode(0o640),
    )
    .unwrap();
    let bundle = place.at("bundle");
    let said = stdout_of(&place.create());
    assert_eq!(
        said,
        format!(
            "--root\n/r\ncreate\n--bundle\n{}\n--new\nab12\n",
            bundle.display()
        )
    );
    let hook = serde_json::json!({
        "path": env!("CARGO_BIN_EXE_plimsoll"),
        "args": ["plimsoll", "hook"],
        "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
        "timeout": 30,
    });
    let expected = format!(
        r#"{{"z":1,"hooks":{{"poststop":[{{"path":"/p"}}],"createRuntime":[{hook}]}},"new":{{"b": 1.5, "a": null}}}}"#
    );
    assert_eq!(place.configuration(), expected);
    let mode = fs::metadata(place.at("bundle/config.json"))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o7777, 0o640);
    assert_eq!(fs::read_dir(bundle).unwrap().count(), 1);
    // The second call is as if another wrapper called this one.
    place.create();
    assert_eq!(place.configuration(), expected);
}

#[test]
fn a_container_that_declines_the_view_stays_as_its_engine_made_it() {
    let place = Place::new();
    let text = r#"{"annotations": {"plimsoll.io/view": "false"}, "linux": {"namespaces": [{"type": "pid"}]}}"#;
    place.program(
        "runc",
        &PRINTS_ARGUMENTS.replace("$FEATURES", r#"{\"linux\": {\"namespaces\": [\"time\"]}}"#),
    );
    place.configure(text);
    assert!(stdout_of(&place.create()).contains("ab12"));
    assert_eq!(place.configuration(), text);
}

#[test]
fn a_container_gets_clocks_where_the_runtime_has_time_namespaces() {
    for (features, has) in [
        (r#"{"linux": {"namespaces": ["time"]}}"#, true),
        ("{}", false),
    ] {
        let place = Place::new();
        place.program(
            "runc",
            &PRINTS_ARGUMENTS.replace("$FEATURES", &features.replace('"', "\\\"")),
        );
        place.configure(r#"{"linux": {"namespaces": [{"type": "pid"}]}}"#);
        place.create();
        assert_eq!(place.configuration().contains(r#"{"type":"time"}"#), has);
        assert_eq!(place.configuration().contains("timeOffsets"), has);
    }
}

#[test]
fn a_configuration_that_cannot_be_edited_is_passed_on_unchanged_with_a_warning() {
    let place = Place::new();
    for text in ["[1, 2]", "{\"hooks\": 1}", "no json", ""] {
        place.configure(text);
        let output = place.create();
        assert!(output.status.success(), "{text}");
        assert_eq!(place.configuration(), text);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(
            said.starts_with("plimsoll: a container gets no view: cannot "),
            "{said}"
        );
        assert!(said.contains("bundle/config.json: "), "{said}");
    }
}

#[test]
fn a_runtime_that_calls_the_wrapper_ends_with_one_line_that_the_engine_also_gets() {
    let place = Place::new();
    let again = format!(
        "#!/bin/sh\nexec {} \"$@\"\n",
        place.at("plimsoll-runtime").display()
    );
    place.program("runc", &again);
    place.configure("{}");
    let log = place.at("log.json");
    let bundle = place.at("bundle");
    let output = place.call(&[
        "--log",
        log.to_str().unwrap(),
        "--log-format",
        "json",
        "create",
        "-b",
        bundle.to_str().unwrap(),
        "ab12",
    ]);
    assert_eq!(output.status.code(), Some(125));
    let said = String::from_utf8(output.stderr).unwrap();
    let runc = place.at("runc");
    let expected = format!(
        "plimsoll: the runtime {} calls plimsoll again",
        runc.display()
    );
    assert_eq!(said.trim_end(), expected);
    let line = fs::read_to_string(log).unwrap();
    let line: serde_json::Value = serde_json::from_str(line.lines().last().unwrap()).unwrap();
    assert_eq!(line["level"], "error");
    assert_eq!(line["msg"], expected);
}

/// Runs the wrapper with at most 512 MiB of memory to create a container of that configuration. Returns its time.
fn create_with_little_memory(place: &Place, text: &str) -> (Output, Duration) {
    place.configure(text);
    let mut command = Command::new("/bin/sh");
    let script = "ulimit -v 524288; exec \"$0\" create --bundle \"$1\" ab12";
    command.args(["-c", script]).env("PATH", place.0.path());
    let begun = Instant::now();
    let output = command
        .arg(place.at("plimsoll-runtime"))
        .arg(place.at("bundle"))
        .output();
    (output.unwrap(), begun.elapsed())
}

#[test]
fn a_huge_configuration_is_edited_or_passed_on_in_bounded_memory_and_time() {
    let place = Place::new();
    for (what, text, said) in [
        ("many values", huge("[],", "1", ""), ""),
        ("one inside the other", huge("[", "", "]"), ""),
        (
            "a long text",
            huge("a", "", "")
                .replace("[a", "[\"a")
                .replace("a]", "a\"]"),
            "",
        ),
        (
            "longer than any",
            format!("{{\"a\": \"{}\"}}", "a".repeat(64 << 20)),
            "config.json is longer than 64 MiB",
        ),
        (
            "endless",
            format!("{{\"linux\": {}", "[".repeat(32 << 20)),
            "cannot parse",
        ),
    ] {
        let (output, took) = create_with_little_memory(&place, &text);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{what}: {error}");
        assert!(took < Duration::from_secs(60), "{what}: {took:?}");
        let lines = usize::from(!said.is_empty());
        assert_eq!(error.lines().count(), lines, "{what}: {error}");
        assert!(error.contains(said), "{what}: {error}");
        let configuration = place.configuration();
        assert_eq!(
            configuration.contains("createRuntime"),
            said.is_empty(),
            "{what}"
        );
        // All but the end is unchanged.
        assert!(configuration.starts_with(&text[..text.len() - 8]), "{what}");
    }
}
