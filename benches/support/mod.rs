//! Programs, machines and readers for the benches that run the real program.

#[allow(
    dead_code,
    unused_imports,
    reason = "written for the integration tests, which use the rest"
)]
#[path = "../../integration/harness/mod.rs"]
pub(crate) mod harness;

pub(crate) mod captured;
pub(crate) mod contestant;
pub(crate) mod histogram;
pub(crate) mod machine;
pub(crate) mod passthrough;
pub(crate) mod reader;
pub(crate) mod world;

/// Returns a file's name for a table.
pub(crate) fn short(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some((_, "online")) => "cpu/online",
        Some((_, name)) => name,
        None => path,
    }
}
