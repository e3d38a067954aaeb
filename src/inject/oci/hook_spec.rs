//! Pure. The hook of Plimsoll as OCI configurations name it: one value, from which each is made.

use std::iter;

use serde_json::{Value, json};

/// The stage of an OCI runtime outside of the container, which has its mounts and has not run yet.
pub const CREATE_RUNTIME: &str = "createRuntime";

/// The stage of an OCI runtime inside the container's namespaces, before the root changes.
pub const CREATE_CONTAINER: &str = "createContainer";

/// The path of the program in the packaged files.
pub const PACKAGED_PROGRAM: &str = "/usr/bin/plimsoll";

/// The hook's environment: some runtimes hand the container's environment to a hook that has none.
pub const ENVIRONMENT: [&str; 1] = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"];

/// The timeout after which a runtime kills the hook and does not start the container, in seconds:
/// much longer than any wait of the hook itself.
const RUNTIME_TIMEOUT: u32 = 30;

/// A hook in an OCI configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookSpec {
    /// The stage at which the runtime calls the hook: [`CREATE_RUNTIME`] or [`CREATE_CONTAINER`].
    pub stage: &'static str,
    /// The absolute path of the program.
    pub path: String,
    /// The arguments, the program's name first.
    pub args: Vec<String>,
    /// The seconds after which the runtime kills the hook; `None` for never.
    pub timeout: Option<u32>,
}

impl HookSpec {
    /// The hook that engines call: `plimsoll hook` of that program at stage `createRuntime`.
    #[must_use]
    pub fn of_engines(program: &str) -> HookSpec {
        HookSpec {
            stage: CREATE_RUNTIME,
            path: program.to_owned(),
            args: arguments(["hook".to_owned()]),
            timeout: Some(RUNTIME_TIMEOUT),
        }
    }

    /// The hook that the bundled runtime calls: `plimsoll ARGS` of that program at stage
    /// `createContainer`, with no timeout but the hook's own. The first of `args` is `hook`.
    #[must_use]
    pub fn of_bundled_runtime(program: &str, args: impl IntoIterator<Item = String>) -> HookSpec {
        HookSpec {
            stage: CREATE_CONTAINER,
            path: program.to_owned(),
            args: arguments(args),
            timeout: None,
        }
    }

    /// Returns the hook as a member of `hooks` in an OCI `config.json`.
    #[must_use]
    pub fn value(&self) -> Value {
        let (path, args) = (&self.path, &self.args);
        match self.timeout {
            Some(timeout) => {
                json!({ "path": path, "args": args, "env": ENVIRONMENT, "timeout": timeout })
            }
            None => json!({ "path": path, "args": args, "env": ENVIRONMENT }),
        }
    }

    /// Returns the file that Podman and CRI-O read, oci-hooks(5): the hook for every container.
    #[must_use]
    pub fn hooks_d(&self) -> String {
        format!(
            r#"{{
  "version": "1.0.0",
  "hook": {{
    {}
  }},
  "when": {{ "always": true }},
  "stages": [{}]
}}
"#,
            self.members(4),
            Value::from(self.stage),
        )
    }

    /// Returns the specification of a device of the Container Device Interface, `plimsoll.io/view`,
    /// whose container gets the hook.
    #[must_use]
    pub fn cdi(&self) -> String {
        format!(
            r#"{{
  "cdiVersion": "0.5.0",
  "kind": "plimsoll.io/view",
  "devices": [
    {{
      "name": "container",
      "containerEdits": {{
        "hooks": [
          {{
            "hookName": {},
            {}
          }}
        ]
      }}
    }}
  ]
}}
"#,
            Value::from(self.stage),
            self.members(12),
        )
    }

    /// The members of [`value`](Self::value) in its order, one a line, indented by that many spaces.
    fn members(&self, indent: usize) -> String {
        let value = self.value();
        let members = value.as_object().into_iter().flatten();
        let lines = members.map(|(name, value)| match value {
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(Value::to_string).collect();
                format!("{}: [{}]", Value::from(name.as_str()), items.join(", "))
            }
            value => format!("{}: {value}", Value::from(name.as_str())),
        });
        let lines: Vec<String> = lines.collect();
        lines.join(&format!(",\n{}", " ".repeat(indent)))
    }
}

fn arguments(args: impl IntoIterator<Item = String>) -> Vec<String> {
    iter::once("plimsoll".to_owned()).chain(args).collect()
}

/// Returns true for a hook of Plimsoll in an OCI configuration, wherever the program lies.
#[must_use]
pub fn is_our_hook(hook: &Value) -> bool {
    let args = hook.get("args");
    let named = |at: usize| args.and_then(|args| args.get(at)).and_then(Value::as_str);
    let name = named(0).and_then(|name| name.rsplit('/').next());
    name == Some("plimsoll") && named(1) == Some("hook")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packaged_files_name_the_hook_of_engines() {
        let hook = HookSpec::of_engines(PACKAGED_PROGRAM);
        let packaged = include_str!("../../../packaging/hooks.d/plimsoll.json");
        assert_eq!(hook.hooks_d(), packaged);
        let packaged = include_str!("../../../packaging/cdi/plimsoll.json");
        assert_eq!(hook.cdi(), packaged);
    }

    #[test]
    fn every_file_names_the_same_hook_whatever_the_path_of_the_program() {
        let hook = HookSpec::of_engines("/opt/a \"b\"\\/plimsoll");
        let file: Value = serde_json::from_str(&hook.hooks_d()).unwrap();
        assert_eq!(file["hook"], hook.value());
        assert_eq!(file["stages"], json!([CREATE_RUNTIME]));
        let file: Value = serde_json::from_str(&hook.cdi()).unwrap();
        let mut edit = file["devices"][0]["containerEdits"]["hooks"][0].clone();
        let stage = edit.as_object_mut().unwrap().shift_remove("hookName");
        assert_eq!(stage, Some(json!(CREATE_RUNTIME)));
        assert_eq!(edit, hook.value());
    }

    #[test]
    fn our_hook_is_known_wherever_the_program_lies() {
        for hook in [
            HookSpec::of_engines("/opt/plimsoll"),
            HookSpec::of_bundled_runtime("/proc/self/exe", ["hook".to_owned()]),
        ] {
            assert!(is_our_hook(&hook.value()));
        }
        for other in [
            json!({"path": "/usr/bin/plimsoll"}),
            json!({"args": ["x", "hook"]}),
        ] {
            assert!(!is_our_hook(&other), "{other}");
        }
    }
}
