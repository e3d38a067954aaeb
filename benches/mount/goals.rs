//! The goals of the mount, and their results.
//!
//! A file is *cached* if its size is constant and fits into a page, so that the kernel can serve the file from its
//! page cache. Any other file is *direct*: each open asks the daemon.

use crate::{
    results::{Figures, Results, Scene},
    support::{contestant::Whose, reader::Way, short},
};
use serde::Serialize;

const CACHED: [&str; 3] = ["proc/meminfo", "proc/stat", "proc/slabinfo"];

/// A goal for a file.
#[derive(Debug, Serialize)]
pub(crate) struct Goal {
    file: String,
    goal: &'static str,
    wanted: f64,
    measured: f64,
    met: bool,
}

/// Returns every goal for which there are measurements.
pub(crate) fn all(results: &Results) -> Vec<Goal> {
    let mut goals = Vec::new();
    for file in results.files() {
        let mut sheet = Sheet {
            results,
            file,
            goals: &mut goals,
        };
        let ours = sheet.of(Scene::OneReader, Way::Open, Whose::Plimsoll);
        let Some(ours) = ours else { continue };
        if CACHED.contains(&file) && ours.bytes <= 4096 {
            sheet.cached(ours);
        } else {
            sheet.direct(ours);
        }
    }
    silence(results, &mut goals);
    goals
}

struct Sheet<'a> {
    results: &'a Results,
    file: &'a str,
    goals: &'a mut Vec<Goal>,
}

impl Sheet<'_> {
    fn of(&self, scene: Scene, way: Way, whose: Whose) -> Option<Figures> {
        self.results.of(scene, way, self.file, whose)
    }

    fn cached(&mut self, open: Figures) {
        self.against_native(
            Way::Open,
            0.5,
            "open <= 0.5 native meminfo",
            "open <= native",
        );
        self.against_native(
            Way::Kept,
            0.15,
            "pread <= 0.15 native meminfo",
            "pread <= native",
        );
        self.against_lxcfs(40.0, "lxcfs >= 40 x");
        let mut crowd = |scene, goal| {
            if let Some(many) = self.of(scene, Way::Open, Whose::Plimsoll) {
                self.at_most(goal, 1.1 * open.median, many.median);
            }
        };
        crowd(Scene::Threads, "8 threads <= 1.1 x one");
        crowd(Scene::Containers, "8 containers <= 1.1 x one");
    }

    fn direct(&mut self, open: Figures) {
        if let Some(native) = self.of(Scene::OneReader, Way::Open, Whose::Native) {
            let wanted = 25.0 + 1.5 * native.median;
            self.at_most("open <= 25 us + 1.5 native", wanted, open.median);
        }
        self.at_most("daemon <= 16 us a read", 16.0, open.daemon);
        self.against_lxcfs(6.0, "lxcfs >= 6 x");
        for (scene, goal) in [
            (Scene::Threads, "8 threads: p99 <= lxcfs / 3"),
            (Scene::Containers, "8 containers: p99 <= lxcfs / 3"),
        ] {
            let ours = self.of(scene, Way::Open, Whose::Plimsoll);
            let lxcfs = self.of(scene, Way::Open, Whose::Lxcfs);
            if let (Some(ours), Some(lxcfs)) = (ours, lxcfs) {
                self.at_most(goal, lxcfs.p99 / 3.0, ours.p99);
            }
        }
    }

    fn against_native(
        &mut self,
        way: Way,
        share: f64,
        of_meminfo: &'static str,
        of_same: &'static str,
    ) {
        let Some(ours) = self.of(Scene::OneReader, way, Whose::Plimsoll) else {
            return;
        };
        let meminfo = (self.results).of(Scene::OneReader, way, "proc/meminfo", Whose::Native);
        if let Some(meminfo) = meminfo {
            self.at_most(of_meminfo, share * meminfo.median, ours.median);
        }
        if let Some(native) = self.of(Scene::OneReader, way, Whose::Native) {
            self.at_most(of_same, native.median, ours.median);
        }
    }

    fn against_lxcfs(&mut self, times: f64, goal: &'static str) {
        let ours = self.of(Scene::OneReader, Way::Open, Whose::Plimsoll);
        let lxcfs = self.of(Scene::OneReader, Way::Open, Whose::Lxcfs);
        if let (Some(ours), Some(lxcfs)) = (ours, lxcfs) {
            let measured = lxcfs.median / ours.median;
            self.goals.push(Goal {
                file: short(self.file).to_owned(),
                goal,
                wanted: times,
                measured,
                met: measured >= times,
            });
        }
    }

    fn at_most(&mut self, goal: &'static str, wanted: f64, measured: f64) {
        self.goals.push(Goal {
            file: short(self.file).to_owned(),
            goal,
            wanted,
            measured,
            met: measured <= wanted,
        });
    }
}

fn silence(results: &Results, goals: &mut Vec<Goal>) {
    let of = |whose| results.silence.get(&whose)?.figures();
    let Some(ours) = of(Whose::Plimsoll) else {
        return;
    };
    let mut at_most = |goal, wanted| {
        goals.push(Goal {
            file: "silence".to_owned(),
            goal,
            wanted,
            measured: ours.median,
            met: ours.median <= wanted,
        });
    };
    at_most("first read <= 100 us", 100.0);
    if let Some(lxcfs) = of(Whose::Lxcfs) {
        at_most("first read <= lxcfs / 4", lxcfs.median / 4.0);
    }
}

/// Prints the reads after a silence, and every goal.
pub(crate) fn print(results: &Results) {
    println!("\nfirst read of meminfo after 1 s without a read: median (p99), microseconds");
    for (whose, tally) in &results.silence {
        if let Some(figures) = tally.figures() {
            let name = format!("{whose:?}").to_lowercase();
            println!("{name:<15}{:.0} ({:.0})", figures.median, figures.p99);
        }
    }
    let goals = all(results);
    println!(
        "\n{:<11}{:<34}{:>10}{:>11}",
        "", "goal", "wanted", "measured"
    );
    for goal in &goals {
        println!(
            "{:<11}{:<34}{:>10.2}{:>11.2}  {}",
            goal.file,
            goal.goal,
            goal.wanted,
            goal.measured,
            if goal.met { "met" } else { "MISSED" }
        );
    }
    let met = goals.iter().filter(|goal| goal.met).count();
    println!("goals met: {met} of {}", goals.len());
}
