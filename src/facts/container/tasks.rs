//! Counts the tasks of a container, in turns of bounded work.
//!
//! | container | the count is |
//! |---|---|
//! | all its tasks are listed and read in one turn | that of the moment |
//! | all are listed in one turn | the number of tasks of the moment; the part of each state is that of the tasks that the latest turns read, as many as there are tasks |
//! | not all are listed in one turn | as before, with the tasks of the last whole listing, which takes several turns; before the first one, with those listed so far |
//!
//! A task is read once before another one is read twice, and tasks are read in no order of their
//! age, so that the first turn reads a fair sample.

use super::{Container, Tasks, pids};
use crate::{
    base::{
        metrics,
        sys::{Effort, ReadError},
        units::{Micros, Pid, Tid},
    },
    facts::{
        cgroup::{Layout, Members},
        host::Machine,
    },
};
use std::collections::VecDeque;

/// The maximum CPU time of one turn for listing tasks. Readers of a container cause one turn a
/// second.
const LISTING_TIME: Micros = Micros(4_000);
/// The maximum CPU time of one turn for reading the states of tasks.
const READING_TIME: Micros = Micros(8_000);
/// The maximum number of tasks that are remembered by id. More tasks are counted, but not read.
const MAX_LISTED: usize = 256 << 10;

/// The count of the tasks of one container and its descendants, from one turn to the next.
#[derive(Debug, Default)]
pub struct Census {
    /// The listing that the next turn goes on with; `None` to begin anew.
    listing: Option<Members<Tid>>,
    /// The tasks that `listing` has returned.
    listed: Listed,
    /// The result of the last whole listing.
    known: Option<Listed>,
    /// The place in the list at which the next turn begins to read.
    next: usize,
    /// The results of the latest turns, the oldest first: together at least one of each task.
    samples: VecDeque<Sample>,
    youngest: Option<Youngest>,
}

/// The tasks of a listing.
#[derive(Debug, Default)]
struct Listed {
    tids: Vec<Tid>,
    /// The number of tasks, of which `tids` has the first ones.
    total: usize,
}

/// The tasks that one turn has read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sample {
    /// The number of tasks that the turn tried to read.
    read: usize,
    living: usize,
    running: usize,
    blocked: usize,
    youngest: Option<(Micros, Tid)>,
}

/// The youngest task of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Youngest {
    started: Micros,
    tid: Tid,
    /// The task's id in the container's pid namespace.
    own: Pid,
}

// The kernel shows a task that the freezer holds in state D, and leaves it out of its own load
// (__task_state_index in include/linux/sched.h, task_contributes_to_load before Linux 5.14).
fn is_frozen(machine: &Machine, tid: Tid) -> bool {
    let place = machine.proc_text(format!("{tid}/wchan"));
    place.is_ok_and(|function| function.trim() == "__refrigerator")
}

impl Census {
    /// Works one turn of at most 12 ms CPU time, and returns the present count. A task that ends
    /// during the count is left out.
    ///
    /// # Errors
    /// When the container's cgroup cannot be read.
    pub fn count(
        &mut self,
        container: &Container,
        cgroups: &Layout,
        machine: &Machine,
    ) -> Result<Tasks, ReadError> {
        self.list(container, cgroups)?;
        let (known, next) = (self.known.as_ref(), self.next);
        let known = known.unwrap_or(&self.listed);
        let sample = read(&known.tids, next, machine);
        let (all, total) = (known.tids.len(), known.total);
        self.next = next.saturating_add(sample.read) % all.max(1);
        if sample.read < all {
            metrics::PARTIAL_READS.count();
        }
        let sample = self.window(sample, all);
        self.find_youngest(sample.youngest, machine);
        Ok(Tasks {
            last_pid: self.youngest.map_or(0, |youngest| youngest.own.0),
            ..sample.of_all(total)
        })
    }

    /// Lists tasks for one turn.
    fn list(&mut self, container: &Container, cgroups: &Layout) -> Result<(), ReadError> {
        let mut listing = match self.listing.take() {
            Some(listing) => listing,
            None => cgroups.threads(&container.paths)?,
        };
        let mut effort = Effort::of(LISTING_TIME);
        while effort.permits_step() {
            let Some(tids) = listing.next() else {
                if listing.is_cut() {
                    metrics::PARTIAL_READS.count();
                }
                self.known = Some(std::mem::take(&mut self.listed));
                return Ok(());
            };
            self.listed.add(&tids);
        }
        metrics::PARTIAL_READS.count();
        self.listing = Some(listing);
        Ok(())
    }

    /// Adds a sample, drops those that newer ones make up for in a container of that many tasks, and
    /// returns the sum.
    fn window(&mut self, sample: Sample, tasks: usize) -> Sample {
        self.samples.push_back(sample);
        while let Some(oldest) = self.samples.front()
            && self.samples.len() > 1
            && self.sum().read - oldest.read >= tasks
        {
            self.samples.pop_front();
        }
        self.sum()
    }

    fn sum(&self) -> Sample {
        let samples = self.samples.iter().copied();
        samples.fold(Sample::default(), Sample::and)
    }

    fn find_youngest(&mut self, youngest: Option<(Micros, Tid)>, machine: &Machine) {
        let is_it = |known: &Youngest| youngest == Some((known.started, known.tid));
        if self.youngest.as_ref().is_none_or(|known| !is_it(known)) {
            self.youngest = youngest.map(|(started, tid)| Youngest {
                started,
                tid,
                own: pids(machine, tid).last().copied().unwrap_or_default(),
            });
        }
    }
}

impl Listed {
    fn add(&mut self, tids: &[Tid]) {
        self.total += tids.len();
        let room = MAX_LISTED.saturating_sub(self.tids.len());
        self.tids.extend(tids.iter().take(room));
    }
}

/// Reads the states of tasks for one turn, from the place `next` in the order of reading.
fn read(tids: &[Tid], next: usize, machine: &Machine) -> Sample {
    let mut effort = Effort::of(READING_TIME);
    let stride = stride(tids.len());
    let mut sample = Sample::default();
    while sample.read < tids.len() && effort.permits_step() {
        let at = next.saturating_add(sample.read).saturating_mul(stride) % tids.len();
        sample.read += 1;
        let Some((tid, task)) =
            (tids.get(at)).and_then(|tid| Some((*tid, machine.thread(*tid).ok()?)))
        else {
            continue;
        };
        sample.living += 1;
        match task.state {
            'R' => sample.running += 1,
            'D' if !is_frozen(machine, tid) => sample.blocked += 1,
            _ => {}
        }
        sample.youngest = sample.youngest.max(Some((task.started, tid)));
    }
    sample
}

/// Returns a step with which a walk round a list of that length meets each place once, far from the
/// one before: without a common divisor, and near the golden section.
fn stride(length: usize) -> usize {
    let near = length.saturating_mul(618) / 1000;
    let divisor = |mut a: usize, mut b: usize| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    (near.max(1)..length)
        .find(|step| divisor(*step, length) == 1)
        .unwrap_or(1)
}

impl Sample {
    fn and(self, other: Sample) -> Sample {
        Sample {
            read: self.read + other.read,
            living: self.living + other.living,
            running: self.running + other.running,
            blocked: self.blocked + other.blocked,
            youngest: self.youngest.max(other.youngest),
        }
    }

    /// Returns the number of tasks by state among `total`, of which these are a sample. A state that
    /// a task was found in has one task at least.
    fn of_all(&self, total: usize) -> Tasks {
        let scaled = |count: usize| {
            let (count, total) = (widened(count), widened(total));
            let read = widened(self.read).max(1);
            let scaled =
                (u128::from(count) * u128::from(total) + u128::from(read / 2)) / u128::from(read);
            u64::try_from(scaled).unwrap_or(u64::MAX).max(count.min(1))
        };
        Tasks {
            running: scaled(self.running),
            blocked: scaled(self.blocked),
            total: scaled(self.living),
            last_pid: 0,
        }
    }
}

fn widened(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(read: usize, running: usize) -> Sample {
        Sample {
            read,
            living: read,
            running,
            ..Sample::default()
        }
    }

    #[test]
    fn each_task_is_read_once_before_one_is_read_twice() {
        for length in [1, 2, 3, 64, 100, 5000, 8192] {
            let step = stride(length);
            let mut seen: Vec<usize> = (0..length).map(|at| at * step % length).collect();
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..length), "{length}");
        }
    }

    #[test]
    fn a_sample_stands_for_all_tasks() {
        let tasks = sample(100, 10).of_all(5000);
        assert_eq!((tasks.total, tasks.running), (5000, 500));
        assert_eq!(sample(100, 10).of_all(100).running, 10);
        assert_eq!(sample(0, 0).of_all(0), Tasks::default());
        assert_eq!(sample(5000, 1).of_all(100).running, 1);
    }

    #[test]
    fn the_latest_turns_that_read_every_task_count_and_none_before() {
        let mut census = Census::default();
        for turn in 1..=5 {
            census.window(sample(100, turn), 250);
        }
        assert_eq!(census.window(sample(100, 6), 250).running, 4 + 5 + 6);
        assert_eq!(census.window(sample(250, 1), 250), sample(250, 1));
    }

    #[test]
    fn tasks_beyond_those_that_are_remembered_are_counted_still() {
        let mut listed = Listed::default();
        for _ in 0..=MAX_LISTED / 1000 {
            listed.add(&[Tid(1); 1000]);
        }
        assert!(listed.total > MAX_LISTED && listed.tids.len() == MAX_LISTED);
    }
}
