//! Pure. The runtime `plimsoll` in Docker's `daemon.json`, as the default.

use jsonc_parser::{
    ParseOptions,
    cst::{CstInputValue, CstObject, CstRootNode},
};

use super::{
    EditError,
    runtimes::{NAME, Runtimes, is_our_program},
};

/// The runtimes that `plimsoll-runtime` finds by itself, by every name that Docker has for them.
const FOUND: [&str; 3] = ["runc", "crun", "io.containerd.runc.v2"];

/// Returns the configuration with the runtime at the path `runtime` as the default. Everything else
/// stays as it is written.
///
/// # Errors
///
/// [`EditError`] when the text is no configuration, or its default is a runtime that
/// `plimsoll-runtime` neither finds by itself nor is configured to call (`is_chained`): nothing would
/// call that runtime any more.
pub(super) fn set(text: &str, runtime: &str, is_chained: bool) -> Result<String, EditError> {
    let (root, object) = parse(text)?;
    let default = string(&object, "default-runtime");
    let is_lost = |name: &&String| *name != NAME && !FOUND.contains(&name.as_str());
    if let Some(lost) = default.as_ref().filter(is_lost).filter(|_| !is_chained) {
        return Err(EditError::OtherDefault(lost.clone()));
    }
    register(&object, runtime)?;
    if default.as_deref() != Some(NAME) {
        let name = CstInputValue::String(NAME.to_owned());
        put(&object, "default-runtime", name);
    }
    Ok(root.to_string())
}

/// Returns the configuration with the runtime `plimsoll` as a name of the program `runtime`, and with
/// the default that it has.
///
/// # Errors
///
/// [`EditError`] when the text is no configuration.
pub(super) fn alias(text: &str, runtime: &str) -> Result<String, EditError> {
    let (root, object) = parse(text)?;
    register(&object, runtime)?;
    Ok(root.to_string())
}

/// Adds the runtime `plimsoll` with that program.
fn register(object: &CstObject, program: &str) -> Result<(), EditError> {
    let runtimes = match object.get("runtimes") {
        Some(runtimes) => runtimes
            .object_value()
            .ok_or(EditError::Misshapen("runtimes"))?,
        None => object.object_value_or_set("runtimes"),
    };
    let ours = runtimes.object_value(NAME);
    if ours.and_then(|ours| string(&ours, "path")).as_deref() != Some(program) {
        let path = CstInputValue::String(program.to_owned());
        let path = CstInputValue::Object(vec![("path".to_owned(), path)]);
        put(&runtimes, NAME, path);
    }
    Ok(())
}

/// Returns the program of the runtime `plimsoll`; `None` if the configuration does not have it.
///
/// # Errors
///
/// [`EditError`] when the text is no configuration.
pub(super) fn program(text: &str) -> Result<Option<String>, EditError> {
    let (_, object) = parse(text)?;
    let ours = object
        .object_value("runtimes")
        .and_then(|all| all.object_value(NAME));
    Ok(ours.and_then(|ours| string(&ours, "path")))
}

/// Returns the configuration without the entries of [`set`], with the default runtime of the
/// configuration `before`; `None` if nothing is left.
///
/// # Errors
///
/// [`EditError`] when the text is no configuration.
pub(super) fn unset(text: &str, before: Option<&str>) -> Result<Option<String>, EditError> {
    let (root, object) = parse(text)?;
    let was_empty = object.properties().is_empty();
    if string(&object, "default-runtime").as_deref() == Some(NAME) {
        let before = before.and_then(|before| parse(before).ok());
        let before = before.and_then(|(_, object)| string(&object, "default-runtime"));
        match before.filter(|before| before != NAME) {
            Some(before) => put(&object, "default-runtime", CstInputValue::String(before)),
            None => remove(&object, "default-runtime"),
        }
    }
    let runtimes = object.object_value("runtimes");
    if let Some(runtimes) = runtimes.filter(|runtimes| runtimes.get(NAME).is_some()) {
        remove(&runtimes, NAME);
        if runtimes.properties().is_empty() {
            remove(&object, "runtimes");
        }
    }
    let is_emptied = !was_empty && object.properties().is_empty();
    Ok((!is_emptied).then(|| root.to_string()))
}

/// Returns Plimsoll's runtimes in the configuration, by their program, and the default runtime.
///
/// # Errors
///
/// [`EditError`] when the text is no configuration.
pub(super) fn runtimes(text: &str) -> Result<Runtimes, EditError> {
    let (_, object) = parse(text)?;
    let all = object.object_value("runtimes");
    let all = all.into_iter().flat_map(|all| all.properties());
    let ours = all.filter_map(|property| {
        let name = property.name()?.decoded_value().ok()?;
        let path = property
            .object_value()
            .and_then(|runtime| string(&runtime, "path"));
        path.is_some_and(|path| is_our_program(&path))
            .then_some(name)
    });
    Ok(Runtimes {
        ours: ours.collect(),
        default: string(&object, "default-runtime"),
    })
}

fn parse(text: &str) -> Result<(CstRootNode, CstObject), EditError> {
    // Docker accepts strict JSON only: no comments, no trailing commas.
    let strict = ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let garbled = |error: &dyn std::error::Error| EditError::Garbled(error.to_string());
    let root = CstRootNode::parse(text, &strict).map_err(|error| garbled(&error))?;
    if root.value().is_some() {
        // jsonc_parser overlooks text behind the object.
        serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|error| garbled(&error))?;
    }
    let object = root.object_value_or_create();
    let object = object.ok_or(EditError::Misshapen("the file"))?;
    Ok((root, object))
}

fn string(object: &CstObject, name: &str) -> Option<String> {
    let value = object.get(name)?.value()?;
    value.as_string_lit()?.decoded_value().ok()
}

fn put(object: &CstObject, name: &str, value: CstInputValue) {
    match object.get(name) {
        Some(there) => there.set_value(value),
        None => drop(object.append(name, value)),
    }
}

fn remove(object: &CstObject, name: &str) {
    if let Some(there) = object.get(name) {
        there.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNTIME: &str = "/usr/bin/plimsoll-runtime";

    fn installed(text: &str) -> String {
        set(text, RUNTIME, false).unwrap()
    }

    const TABS: &str = "{\n\t\"log-driver\": \"journald\",\n\n\t\"dns\": [ \"10.0.0.1\",\"10.0.0.2\" ],\n\t\"runtimes\": {\n\t\t\"crun\": { \"path\": \"/usr/bin/crun\" }\n\t}\n}\n";

    #[test]
    fn what_is_there_stays_as_it_is_written() {
        assert_eq!(
            installed(TABS),
            TABS.replace(
                "/usr/bin/crun\" }\n\t}\n}",
                "/usr/bin/crun\" },\n\t\t\"plimsoll\": {\n\t\t\t\"path\": \"/usr/bin/plimsoll-runtime\"\n\t\t}\n\t},\n\t\"default-runtime\": \"plimsoll\"\n}"
            )
        );
    }

    #[test]
    fn a_file_that_is_not_there_or_empty_is_made() {
        let expected = "{\n  \"runtimes\": {\n    \"plimsoll\": {\n      \"path\": \"/usr/bin/plimsoll-runtime\"\n    }\n  },\n  \"default-runtime\": \"plimsoll\"\n}\n";
        for text in ["", "\n", "{}\n"] {
            assert_eq!(installed(text).trim_start(), expected, "{text:?}");
            assert_eq!(unset(&installed(text), None), Ok(None));
        }
    }

    #[test]
    fn what_never_had_the_runtime_is_left_as_it_is() {
        for text in ["{}\n", TABS] {
            assert_eq!(unset(text, None), Ok(Some(text.to_owned())));
        }
    }

    #[test]
    fn what_is_installed_is_not_changed_again() {
        for text in ["", TABS, r#"{"debug": true}"#] {
            let once = installed(text);
            assert_eq!(installed(&once), once);
        }
        let moved = set(&installed(TABS), "/opt/plimsoll-runtime", false).unwrap();
        let expected = installed(TABS).replace(RUNTIME, "/opt/plimsoll-runtime");
        assert_eq!(moved, expected);
    }

    #[test]
    fn what_others_have_added_since_stays() {
        let later = installed(TABS).replace("journald", "local");
        let left = unset(&later, Some(TABS)).unwrap().unwrap();
        assert_eq!(left, TABS.replace("journald", "local"));
    }

    #[test]
    fn an_alias_is_no_runtime_of_plimsoll_and_keeps_the_default() {
        let text = alias(r#"{"default-runtime": "crun"}"#, "/usr/bin/runc").unwrap();
        assert_eq!(program(&text), Ok(Some("/usr/bin/runc".to_owned())));
        let expected = Runtimes {
            ours: Vec::new(),
            default: Some("crun".to_owned()),
        };
        assert_eq!(runtimes(&text), Ok(expected));
        assert_eq!(alias(&text, "/usr/bin/runc").unwrap(), text);
    }

    #[test]
    fn the_default_of_before_comes_back() {
        let before = "{\n  \"default-runtime\": \"crun\"\n}\n";
        let later = installed(before).replace("{\n  \"def", "{\n  \"debug\": true,\n  \"def");
        let left = unset(&later, Some(before)).unwrap().unwrap();
        assert!(left.contains("\"default-runtime\": \"crun\"") && left.contains("debug"));
        assert!(!left.contains("plimsoll"));
    }

    #[test]
    fn a_default_that_nothing_would_call_any_more_is_not_replaced() {
        let nvidia = r#"{"default-runtime": "nvidia"}"#;
        assert_eq!(
            set(nvidia, RUNTIME, false),
            Err(EditError::OtherDefault("nvidia".to_owned()))
        );
        assert!(set(nvidia, RUNTIME, true).is_ok());
    }

    #[test]
    fn what_docker_does_not_accept_is_refused() {
        for text in ["{", "{} // no", "[]", r#"{"runtimes": []}"#, r#"{"a": 1,}"#] {
            assert!(set(text, RUNTIME, false).is_err(), "{text}");
        }
    }
}
