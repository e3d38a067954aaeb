//! The engines that are installed on a machine.

use super::table::{Engine, EnginePackage, PACKAGES};
use std::path::{Path, PathBuf};

/// An engine that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledEngine {
    /// The row of the table: the first one of the engine whose program is there.
    pub package: &'static EnginePackage,
    /// The program, below the machine's root directory.
    pub program: PathBuf,
}

impl InstalledEngine {
    fn of(package: &'static EnginePackage, root: &Path) -> Option<InstalledEngine> {
        let below = |path: &str| root.join(path.trim_start_matches('/'));
        let mut programs = package
            .directories
            .iter()
            .map(|directory| below(directory).join(package.program));
        let program = programs.find(|program| program.exists())?;
        Some(InstalledEngine { package, program })
    }
}

/// Returns the engine as it is installed on the machine whose root directory is `root`; `None` if
/// none of its programs is there.
#[must_use]
pub fn installed(engine: Engine, root: &Path) -> Option<InstalledEngine> {
    let mut rows = PACKAGES.iter().filter(|row| row.engine == engine);
    rows.find_map(|package| InstalledEngine::of(package, root))
}
