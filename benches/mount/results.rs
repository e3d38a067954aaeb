//! The measurements as tables and as JSON. Pure but for printing.

use crate::support::{
    contestant::Whose,
    machine::Machine,
    reader::{Done, Way},
    short,
};
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};

/// The number of readers at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scene {
    /// A single thread.
    OneReader,
    /// Eight threads in one container.
    Threads,
    /// A thread in each of eight containers.
    Containers,
}

impl Scene {
    /// Returns the number of containers.
    pub(crate) fn containers(self) -> usize {
        if self == Scene::Containers { 8 } else { 1 }
    }

    /// Returns the number of threads that read in each container.
    pub(crate) fn threads(self) -> usize {
        if self == Scene::Threads { 8 } else { 1 }
    }

    /// Lists the ways of reading that are measured in the scene.
    pub(crate) fn ways(self) -> &'static [Way] {
        match self {
            Scene::Containers => &[Way::Open],
            _ => &[Way::Open, Way::Kept],
        }
    }

    /// Returns a name for a directory.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Scene::OneReader => "one",
            Scene::Threads => "threads",
            Scene::Containers => "many",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Scene::OneReader => "one reader",
            Scene::Threads => "8 threads in one container",
            Scene::Containers => "8 containers at once, one reader each",
        }
    }
}

/// The conditions of one measurement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Case {
    /// The readers at the same time.
    pub(crate) scene: Scene,
    /// The way of reading.
    pub(crate) way: Way,
    /// The path of the file.
    pub(crate) file: String,
    /// The contestant that serves the file.
    pub(crate) whose: Whose,
}

/// The results of one case in all rounds.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    done: Done,
    cpu: Duration,
}

impl Tally {
    /// Adds one burst and the CPU time of the daemon in it.
    pub(crate) fn add(&mut self, done: &Done, cpu: Duration) {
        self.done.add(done);
        self.cpu += cpu;
    }

    /// Returns the numbers, or none without a read.
    pub(crate) fn figures(&self) -> Option<Figures> {
        Some(Figures {
            median: self.done.took.quantile(0.5)?,
            p99: self.done.took.quantile(0.99)?,
            daemon: self.cpu.as_secs_f64() * 1e6 / self.done.reads as f64,
            reads: self.done.took.count(),
            bad: self.done.bad,
            bytes: self.done.bytes,
        })
    }
}

/// The numbers of one case. Times are in microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Figures {
    /// The median time of a read.
    #[serde(rename = "median_us")]
    pub(crate) median: f64,
    /// The 99th percentile of the time of a read.
    #[serde(rename = "p99_us")]
    pub(crate) p99: f64,
    /// The CPU time of the daemon for each read.
    #[serde(rename = "daemon_us_per_read")]
    pub(crate) daemon: f64,
    /// The number of measured reads.
    pub(crate) reads: u64,
    /// The number of reads that failed or were not whole.
    pub(crate) bad: u64,
    /// The length of the content.
    pub(crate) bytes: usize,
}

/// All measurements.
pub(crate) struct Results {
    /// The machine and the time.
    pub(crate) machine: Machine,
    /// The bursts of reads.
    pub(crate) cases: BTreeMap<Case, Tally>,
    /// The first read after a second without a read.
    pub(crate) silence: BTreeMap<Whose, Tally>,
    /// The number of periods in which a quota throttled a container.
    pub(crate) throttled: u64,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    case: &'a Case,
    #[serde(flatten)]
    figures: Figures,
}

impl Results {
    /// Returns empty results.
    pub(crate) fn new(machine: Machine) -> Results {
        Results {
            machine,
            cases: BTreeMap::new(),
            silence: BTreeMap::new(),
            throttled: 0,
        }
    }

    /// Returns the numbers of one case.
    pub(crate) fn of(&self, scene: Scene, way: Way, file: &str, whose: Whose) -> Option<Figures> {
        let file = file.to_owned();
        let case = Case {
            scene,
            way,
            file,
            whose,
        };
        self.cases.get(&case)?.figures()
    }

    /// Lists the files in the order of the options.
    pub(crate) fn files(&self) -> Vec<&str> {
        let order = |file: &str| crate::FILES.iter().position(|other| *other == file);
        let mut files: Vec<&str> = self.cases.keys().map(|case| case.file.as_str()).collect();
        files.sort_by_key(|file| (order(file).unwrap_or(usize::MAX), *file));
        files.dedup();
        files
    }

    /// Asserts that the contestant was measured.
    pub(crate) fn has(&self, whose: Whose) -> bool {
        self.cases.keys().any(|case| case.whose == whose)
    }

    /// Returns all results for a program.
    pub(crate) fn json(&self) -> serde_json::Value {
        let rows = self.cases.iter().filter_map(|(case, tally)| {
            let figures = tally.figures()?;
            Some(Row { case, figures })
        });
        let silence: Vec<_> = (self.silence.iter())
            .map(
                |(whose, tally)| serde_json::json!({"whose": whose, "first_read": tally.figures()}),
            )
            .collect();
        serde_json::json!({
            "machine": self.machine,
            "rows": rows.collect::<Vec<_>>(),
            "after_a_second_of_silence": silence,
            "throttled_periods": self.throttled,
            "goals": crate::goals::all(self),
        })
    }

    /// Prints all results for a person.
    pub(crate) fn print(&self) {
        self.machine.print();
        for scene in [Scene::OneReader, Scene::Threads, Scene::Containers] {
            for way in scene.ways() {
                self.print_table(scene, *way);
            }
        }
        if self.throttled > 0 {
            println!(
                "\nWARNING: containers were throttled in {} periods",
                self.throttled
            );
        }
    }

    fn print_table(&self, scene: Scene, way: Way) {
        let way_title = match way {
            Way::Open => "open + read + close",
            Way::Kept => "pread of a kept descriptor",
        };
        println!(
            "\n{way_title}, {}: median (p99), microseconds",
            scene.title()
        );
        let shared = self.has(Whose::PlimsollShared);
        let optional = |is_here: bool, text: &str| {
            if is_here {
                format!("{text:>17}")
            } else {
                String::new()
            }
        };
        let column = |text: &str| optional(shared, text);
        let floor = |text: &str| optional(self.has(Whose::Floor), text);
        let copy = |text: &str| optional(self.has(Whose::Passthrough), text);
        println!(
            "{:<11}{:>15}{}{}{:>17}{}{:>17}{:>10}{:>11}{:>9}{:>12}{:>14}{}",
            "",
            "native",
            floor("tmpfs"),
            copy("fuse copy"),
            "lxcfs",
            column("shared tree"),
            "plimsoll",
            "/ native",
            "/ meminfo",
            "lxcfs /",
            "daemon CPU",
            "(of lxcfs)",
            copy("(of the copy)")
        );
        let meminfo = self.of(scene, way, "proc/meminfo", Whose::Native);
        for file in self.files() {
            let of = |whose| self.of(scene, way, file, whose);
            let (native, lxcfs, ours) = (of(Whose::Native), of(Whose::Lxcfs), of(Whose::Plimsoll));
            let ratio = |over: Option<Figures>, under: Option<Figures>| match (over, under) {
                (Some(over), Some(under)) => format!("{:.2}", over.median / under.median),
                _ => "-".to_owned(),
            };
            let daemon = |figures: Option<Figures>| {
                figures.map_or("-".to_owned(), |figures| format!("{:.1}", figures.daemon))
            };
            println!(
                "{:<11}{:>15}{}{}{:>17}{}{:>17}{:>10}{:>11}{:>9}{:>12}{:>14}{}",
                short(file),
                cell(native),
                floor(&cell(of(Whose::Floor))),
                copy(&cell(of(Whose::Passthrough))),
                cell(lxcfs),
                column(&cell(of(Whose::PlimsollShared))),
                cell(ours),
                ratio(ours, native),
                ratio(ours, meminfo),
                ratio(lxcfs, ours),
                daemon(ours),
                daemon(lxcfs),
                copy(&daemon(of(Whose::Passthrough))),
            );
            for (who, figures) in [("native", native), ("lxcfs", lxcfs), ("plimsoll", ours)] {
                if let Some(bad) = figures.map(|figures| figures.bad).filter(|bad| *bad > 0) {
                    println!(
                        "{:<11}WARNING: {bad} reads of {who} failed or were not whole",
                        ""
                    );
                }
            }
        }
    }
}

fn cell(figures: Option<Figures>) -> String {
    figures.map_or("-".to_owned(), |figures| {
        format!("{:.1} ({:.0})", figures.median, figures.p99)
    })
}
