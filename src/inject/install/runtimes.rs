//! Pure. The runtimes in an engine's configuration, as far as they concern us.

/// The runtimes of ours in a configuration, and the default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Runtimes {
    /// The names under which the configuration has a runtime of ours.
    pub(super) ours: Vec<String>,
    /// The name of the default runtime; `None` where the configuration names none.
    pub(super) default: Option<String>,
}

impl Runtimes {
    /// Tells whether the default runtime is one of ours.
    pub(super) fn is_ours_default(&self) -> bool {
        let default = self.default.as_ref();
        default.is_some_and(|default| self.ours.contains(default))
    }
}

/// Tells whether a program is ours, by the name of its file: `plimsoll`, `plimsoll-runtime`.
pub(super) fn is_our_program(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.starts_with("plimsoll")
}
