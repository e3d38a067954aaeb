//! Containers on captured machines. The expected bytes stand beside each fixture.

mod calls;
mod cases;
mod counts;
mod expected;
mod explained;
mod limits;
mod odd_lines;
mod scale;
mod sums;

use crate::harness::{fixture, fixture_copy, fixture_root};
use plimsoll::{
    base::units::Micros,
    facts::container::{Caller, Container},
    view::{
        answer::Answers,
        files::{Attribute, FILES, File},
    },
};
use std::{
    cell::Cell,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};
use tempfile::TempDir;

pub(super) const MACHINES: [&str; 7] = [
    "v1-2cpu",
    "v2-4cpu",
    "hybrid-v1",
    "big-128cpu",
    "arm64-4cpu",
    "arm32-4cpu",
    "unknown-fields",
];

thread_local! {
    static NOW: Cell<Micros> = const { Cell::new(Micros::ZERO) };
}

pub(super) fn now() -> Micros {
    NOW.get()
}

/// Sets the boot clock of the machines that this thread opens.
pub(super) fn set_now(now: Micros) {
    NOW.set(now);
}

/// A captured machine and the container on it.
pub(super) struct Captured {
    pub(super) path: PathBuf,
    pub(super) answers: Answers,
    pub(super) container: Arc<Container>,
    _root: TempDir,
}

impl Captured {
    pub(super) fn open(name: &str) -> Captured {
        Captured::at(fixture(name), fixture_root(name))
    }

    /// Opens a copy of a machine whose files can be changed.
    pub(super) fn copy(name: &str) -> Captured {
        let root = fixture_copy(name);
        Captured::at(root.path().to_owned(), root)
    }

    pub(super) fn at(path: PathBuf, root: TempDir) -> Captured {
        let text = |file: &str| fs::read_to_string(path.join(file)).unwrap();
        let uptime = text("proc/uptime")
            .split(' ')
            .next()
            .unwrap()
            .replace('.', "");
        NOW.set(Micros(uptime.parse::<u64>().unwrap() * 10_000));
        let answers = Answers::at(root.path(), now).unwrap();
        let Caller::Container(container) =
            answers.caller(text("pid").trim().parse().unwrap()).unwrap()
        else {
            panic!("{}: the container is taken for the host", path.display());
        };
        Captured {
            path,
            answers,
            container,
            _root: root,
        }
    }

    /// Writes a file of a [copy](Captured::copy).
    pub(super) fn write(&self, file: &str, text: &str) {
        fs::write(self.path.join(file), text).unwrap_or_else(|error| panic!("{file}: {error}"));
    }

    /// Lists the files that the container has. Without cgroup v2 it has no pressure files.
    pub(super) fn files(&self) -> Vec<File> {
        let caller = Caller::Container(self.container.clone());
        let has =
            |file: &File| file.pressure().is_none() || self.answers.has_pressure(*file, &caller);
        FILES.into_iter().filter(has).collect()
    }

    pub(super) fn read(&self, file: File) -> String {
        let bytes = self.answers.render(file, &self.container).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    pub(super) fn kib(&self, name: &str) -> u64 {
        crate::harness::field(&self.read(File::Meminfo), name)
    }

    pub(super) fn processors(&self) -> Vec<u32> {
        let text = self.read(File::Cpuinfo);
        let lines = text.lines().filter(|line| line.starts_with("processor"));
        lines
            .map(|line| line.split(": ").nth(1).unwrap().parse().unwrap())
            .collect()
    }
}

/// Collects the files below a directory, by their paths from `root`.
pub(super) fn files_below(root: &Path, directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files_below(root, &path, found),
            false => found.push(path.strip_prefix(root).unwrap().to_owned()),
        }
    }
}

/// Lists the attributes below `/sys/devices/system` of a captured machine that are served.
pub(super) fn attributes(captured: &Captured) -> Vec<Attribute> {
    let mut paths = Vec::new();
    let directory = captured.path.join("sys/devices/system");
    files_below(&captured.path, &directory, &mut paths);
    paths.sort();
    let attribute = |path: &PathBuf| Attribute::at(path.to_str().unwrap());
    paths.iter().filter_map(attribute).collect()
}
