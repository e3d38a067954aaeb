//! Pure. Edits of the OCI configuration of another's container: they add, and change nothing that is
//! there.

use serde_json::{Map, Value, json};

use super::hook_spec::{CREATE_CONTAINER, CREATE_RUNTIME, HookSpec, is_our_hook};
use crate::base::units::Clocks;

/// A part of a configuration has another JSON type than the OCI specification gives it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part} is no {expected}")]
pub struct ShapeError {
    /// The path of the part in the configuration.
    pub part: &'static str,
    /// The JSON type that the specification gives it.
    pub expected: &'static str,
}

/// Adds [the hook of engines](HookSpec::of_engines) for `program`, after the hooks that are there.
///
/// Returns whether the configuration has changed: one that names the hook already, at stage
/// `createRuntime` or `createContainer`, stays as it is.
///
/// # Errors
///
/// When the configuration, its hooks or that stage of them is misshapen; nothing is changed then.
pub fn add_hook(configuration: &mut Value, program: &str) -> Result<bool, ShapeError> {
    let hooks = object(configuration, "the configuration")?;
    let hooks = hooks.entry("hooks").or_insert(Value::Null);
    let hooks = object(hooks, "hooks")?;
    // The hook works at either stage, and twice is not better.
    let others = hooks.get(CREATE_CONTAINER).and_then(Value::as_array);
    if others.is_some_and(|hooks| hooks.iter().any(is_our_hook)) {
        return Ok(false);
    }
    let stage = hooks.entry(CREATE_RUNTIME).or_insert(Value::Null);
    if stage.is_null() {
        *stage = json!([]);
    }
    let Value::Array(stage) = stage else {
        return Err(ShapeError {
            part: "hooks.createRuntime",
            expected: "array",
        });
    };
    if stage.iter().any(is_our_hook) {
        return Ok(false);
    }
    stage.push(HookSpec::of_engines(program).value());
    Ok(true)
}

/// Gives the container a time namespace whose clocks begin now, at 0.
///
/// Returns whether the configuration has changed. A container that has a time namespace or joins one
/// stays as it is. So does a container with a user namespace, whose clocks crun cannot set, and a
/// container that joins a namespace of another one, as in a pod, which crun cannot start with clocks
/// of its own (1.21). A container without a pid namespace keeps the clocks of the processes that it
/// sees: those started before its clocks would begin.
///
/// # Errors
///
/// When a part is misshapen; nothing is changed then.
pub fn add_clocks(configuration: &mut Value, now: Clocks) -> Result<bool, ShapeError> {
    let configuration = object(configuration, "the configuration")?;
    let Some(linux) = configuration.get_mut("linux").filter(|it| !it.is_null()) else {
        return Ok(false);
    };
    let linux = object(linux, "linux")?;
    let Some(namespaces) = linux.get_mut("namespaces").filter(|it| !it.is_null()) else {
        return Ok(false);
    };
    let Value::Array(namespaces) = namespaces else {
        return Err(ShapeError {
            part: "linux.namespaces",
            expected: "array",
        });
    };
    let forbids_clocks = |namespace: &Value| {
        let text = |key| namespace.get(key).and_then(Value::as_str);
        let kind = text("type").unwrap_or_default();
        ["time", "user"].contains(&kind) || text("path").is_some_and(|path| !path.is_empty())
    };
    let is_pid = |namespace: &Value| namespace.get("type").and_then(Value::as_str) == Some("pid");
    if namespaces.iter().any(forbids_clocks) || !namespaces.iter().any(is_pid) {
        return Ok(false);
    }
    namespaces.push(json!({ "type": "time" }));
    let offsets = now.offsets().into_iter().map(|(clock, by)| {
        let by = json!({ "secs": by.seconds, "nanosecs": by.nanoseconds });
        (clock.to_owned(), by)
    });
    linux.insert(
        "timeOffsets".to_owned(),
        offsets.collect::<Map<_, _>>().into(),
    );
    Ok(true)
}

/// Returns the object in `value`; null becomes an empty one.
fn object<'a>(
    value: &'a mut Value,
    part: &'static str,
) -> Result<&'a mut Map<String, Value>, ShapeError> {
    if value.is_null() {
        *value = json!({});
    }
    value.as_object_mut().ok_or(ShapeError {
        part,
        expected: "object",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Clocks = Clocks {
        monotonic: 1_500_000_000,
        boottime: 2_000_000_000,
    };

    fn read(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_hook_comes_after_those_that_are_there() {
        let mut configuration = read(
            r#"{"z": 1, "hooks": {"prestart": [{"path": "/p"}], "createRuntime": [{"path": "/c"}]}, "a": 2}"#,
        );
        assert_eq!(add_hook(&mut configuration, "/usr/bin/plimsoll"), Ok(true));
        let stage = &configuration["hooks"]["createRuntime"];
        assert_eq!(stage[0], json!({"path": "/c"}));
        assert_eq!(stage[1]["path"], "/usr/bin/plimsoll");
        assert_eq!(stage[1]["args"], json!(["plimsoll", "hook"]));
        assert_eq!(
            stage[1]["env"],
            json!(["PATH=/usr/sbin:/usr/bin:/sbin:/bin"])
        );
        assert_eq!(configuration["hooks"]["prestart"], json!([{"path": "/p"}]));
    }

    #[test]
    fn what_is_not_known_here_stays_in_its_order() {
        let text =
            r#"{"z":18446744073709551615,"hooks":null,"a":[1.5,-1,{"b":null,"a":"\u00e9"}]}"#;
        let mut configuration = read(text);
        add_hook(&mut configuration, "/p").unwrap();
        configuration["hooks"] = Value::Null;
        let expected = text.replace("\\u00e9", "\u{e9}");
        assert_eq!(configuration.to_string(), expected);
    }

    #[test]
    fn a_hook_is_not_added_twice() {
        let mut configuration = json!({});
        assert_eq!(add_hook(&mut configuration, "/usr/bin/plimsoll"), Ok(true));
        let once = configuration.clone();
        assert_eq!(add_hook(&mut configuration, "/opt/plimsoll"), Ok(false));
        assert_eq!(configuration, once);
        let ours = &once["hooks"]["createRuntime"];
        let mut inside = json!({"hooks": {"createContainer": ours}});
        assert_eq!(add_hook(&mut inside, "/opt/plimsoll"), Ok(false));
    }

    #[test]
    fn a_misshapen_configuration_is_refused() {
        for (text, part) in [
            ("[]", "the configuration"),
            (r#"{"hooks": 1}"#, "hooks"),
            (r#"{"hooks": {"createRuntime": {}}}"#, "hooks.createRuntime"),
        ] {
            let refused = add_hook(&mut read(text), "/p").unwrap_err();
            let ShapeError { part: said, .. } = refused;
            assert_eq!(said, part);
        }
    }

    #[test]
    fn both_clocks_begin_at_0() {
        let mut configuration = json!({"linux": {"namespaces": [{"type": "pid"}]}});
        assert_eq!(add_clocks(&mut configuration, NOW), Ok(true));
        assert_eq!(
            configuration["linux"],
            json!({
                "namespaces": [{"type": "pid"}, {"type": "time"}],
                "timeOffsets": {
                    "monotonic": {"secs": -2, "nanosecs": 500_000_000},
                    "boottime": {"secs": -2, "nanosecs": 0},
                },
            })
        );
    }

    #[test]
    fn a_container_that_cannot_have_clocks_or_has_them_stays_as_it_is() {
        for namespaces in [
            json!([{"type": "time"}]),
            json!([{"type": "time", "path": "/proc/1/ns/time"}]),
            json!([{"type": "pid"}, {"type": "user"}]),
            json!([{"type": "pid"}, {"type": "ipc", "path": "/proc/7/ns/ipc"}]),
            Value::Null,
        ] {
            let mut configuration = json!({"linux": {"namespaces": namespaces}});
            let before = configuration.clone();
            assert_eq!(add_clocks(&mut configuration, NOW), Ok(false));
            assert_eq!(configuration, before);
        }
        assert_eq!(add_clocks(&mut json!({}), NOW), Ok(false));
    }

    #[test]
    fn a_container_among_the_processes_of_the_host_or_of_another_keeps_their_clocks() {
        for namespaces in [
            json!([]),
            json!([{"type": "mount"}, {"type": "ipc"}]),
            json!([{"type": "mount"}, {"type": "pid", "path": "/proc/7/ns/pid"}]),
        ] {
            let mut configuration = json!({"linux": {"namespaces": namespaces}});
            assert_eq!(add_clocks(&mut configuration, NOW), Ok(false));
            assert_eq!(configuration["linux"].get("timeOffsets"), None);
        }
    }
}
