//! Pure. The runtimes in an engine's configuration: Plimsoll's, and the default.

/// The name of Plimsoll's runtime, in the configuration of every engine.
pub(super) const NAME: &str = "plimsoll";

/// Plimsoll's runtimes in a configuration, and the default runtime.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Runtimes {
    /// The names of Plimsoll's runtimes.
    pub(super) ours: Vec<String>,
    /// The name of the default runtime; `None` where the configuration names none.
    pub(super) default: Option<String>,
}

impl Runtimes {
    /// Returns true if the default runtime is one of Plimsoll's.
    pub(super) fn is_ours_default(&self) -> bool {
        let default = self.default.as_ref();
        default.is_some_and(|default| self.ours.contains(default))
    }
}

/// Returns true if a program is Plimsoll, by the name of its file: `plimsoll`, `plimsoll-runtime`.
pub(super) fn is_our_program(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.starts_with("plimsoll")
}
