//! Captured machines and the container on each. One machine is another one without most of its CPUs.

use super::harness::{fixture, fixture_copy, fixture_root};
use anyhow::{Context, bail};
use plimsoll::{
    base::{sys, units::Micros},
    facts::container::{Caller, Container},
    view::answer::Answers,
};
use std::sync::Arc;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};
use tempfile::TempDir;

/// A captured machine with the answers for its container.
pub(crate) struct Captured {
    /// The name.
    pub(crate) name: &'static str,
    /// The root directory.
    pub(crate) root: PathBuf,
    _directory: Option<TempDir>,
    /// The answers.
    pub(crate) answers: Answers,
    /// The container on the machine.
    pub(crate) container: Arc<Container>,
}

static SKIPPED: AtomicU64 = AtomicU64::new(0);

/// Moves the clock of all captured machines on by a second, so that their cached facts are old.
pub(crate) fn skip_a_second() {
    SKIPPED.fetch_add(1_000_000, Ordering::Relaxed);
}

/// Returns the real time plus 100 days, which is later than the start of any captured container.
fn now() -> Micros {
    const DAYS: u64 = 100 * 86_400 * 1_000_000;
    Micros(DAYS + sys::since_boot().0 + SKIPPED.load(Ordering::Relaxed))
}

impl Captured {
    /// Opens the machines of 2, 16 and 128 CPUs.
    pub(crate) fn curve() -> anyhow::Result<[Captured; 3]> {
        Ok([
            Captured::open("v1-2cpu")?,
            Captured::with_fewer_cpus("big-16cpu", "big-128cpu", 40..56)?,
            Captured::open("big-128cpu")?,
        ])
    }

    /// Opens the machine of that name below `integration/fixtures`.
    pub(crate) fn open(name: &'static str) -> anyhow::Result<Captured> {
        let root = fixture_root(name);
        let captured = Captured::at(name, &fixture(name), root.path())?;
        Ok(captured.keeping(root))
    }

    /// Makes the machine `name` of the machine `of`, with these CPUs only.
    fn with_fewer_cpus(
        name: &'static str,
        of: &str,
        cpus: std::ops::Range<u32>,
    ) -> anyhow::Result<Captured> {
        let root = fixture_copy(of);
        let edit = |file: &str, edited: &dyn Fn(&str) -> String| -> anyhow::Result<()> {
            let path = root.path().join(file);
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            Ok(fs::write(path, edited(&text))?)
        };
        let is_kept = |number: Option<u32>| number.is_none_or(|number| cpus.contains(&number));
        edit("proc/stat", &|text| {
            let number = |line: &str| line.split(' ').next()?.strip_prefix("cpu")?.parse().ok();
            text.split_inclusive('\n')
                .filter(|line| is_kept(number(line)))
                .collect()
        })?;
        edit("proc/cpuinfo", &|text| {
            let number = |paragraph: &str| {
                let first = paragraph.lines().next()?;
                first
                    .strip_prefix("processor")?
                    .split(": ")
                    .nth(1)?
                    .parse()
                    .ok()
            };
            text.split_inclusive("\n\n")
                .filter(|paragraph| is_kept(number(paragraph)))
                .collect()
        })?;
        let list = format!("{}-{}\n", cpus.start, cpus.end - 1);
        for file in ["online", "present", "possible"] {
            edit(&format!("sys/devices/system/cpu/{file}"), &|_| list.clone())?;
        }
        let captured = Captured::at(name, root.path(), root.path())?;
        Ok(captured.keeping(root))
    }

    /// Keeps a temporary directory until this machine is dropped.
    fn keeping(self, directory: TempDir) -> Captured {
        Captured {
            _directory: Some(directory),
            ..self
        }
    }

    /// Opens the machine `name` whose root directory is `root`, with the container of the captured machine
    /// `fixture`.
    pub(crate) fn at(name: &'static str, fixture: &Path, root: &Path) -> anyhow::Result<Captured> {
        let answers = Answers::at(root, now)?;
        let pid = fs::read_to_string(fixture.join("pid"))?;
        let Caller::Container(container) = answers.caller(pid.trim().parse()?)? else {
            bail!("{name}: the container is taken for the host");
        };
        Ok(Captured {
            name,
            root: root.to_owned(),
            _directory: None,
            answers,
            container,
        })
    }

    /// Returns the text of a file, or an empty text if there is no such file.
    pub(crate) fn text(&self, file: &str) -> String {
        fs::read_to_string(self.root.join(file)).unwrap_or_default()
    }

    /// Returns the number of CPUs.
    pub(crate) fn cpus(&self) -> usize {
        let stat = self.text("proc/stat");
        let cpus = stat.lines().filter(|line| line.starts_with("cpu"));
        cpus.count() - 1
    }
}
