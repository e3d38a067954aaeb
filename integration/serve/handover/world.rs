//! The processes of a hand-over, their channels, and the descriptors that travel.

use plimsoll::{
    base::state::{ServingRight, Term},
    serve::handover::Message,
};

/// A process by its place in the world.
pub(super) type Pid = usize;

/// One of the two ends of a channel. Several processes may hold duplicates of one end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct End {
    pub(super) channel: usize,
    pub(super) side: usize,
}

impl End {
    pub(super) fn peer(self) -> End {
        let side = 1 - self.side;
        End { side, ..self }
    }
}

/// A set of descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Held {
    /// The connections to the kernel, the state, the lock and the manifest, by the term that the
    /// manifest names.
    pub(super) term: Option<Term>,
    /// The successor's end of its connection to the predecessor.
    pub(super) predecessor: Option<End>,
    /// The predecessor's end of the channel to its keeper.
    pub(super) keeper: Option<End>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Packet {
    Message(Sent),
    Hold(Held),
}

/// A message of the code, which has no hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent(pub(super) Message);

impl std::hash::Hash for Sent {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.text().hash(state);
    }
}

/// The packets that each side of a channel has yet to read, and whether the side has stopped reading.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Wire {
    pub(super) queues: [Vec<Packet>; 2],
    pub(super) is_deaf: [bool; 2],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Life {
    Runs,
    /// Stopped by a signal: nothing happens until the process continues.
    Stopped,
    Dead,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Process {
    pub(super) life: Life,
    pub(super) held: Held,
    /// A daemon's channel to its keeper, or a keeper's to its daemon.
    pub(super) supervision: Option<End>,
    /// The connection between a predecessor and a successor.
    pub(super) handover: Option<End>,
    /// The term of a predecessor that died before it was drained, as did its keeper.
    pub(super) dead: Option<Term>,
    pub(super) role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Role {
    Daemon(Step),
    Keeper(Watch),
}

/// A keeper: its daemon, what the daemon has told, and the keeper's next act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Watch {
    pub(super) daemon: Pid,
    pub(super) has_served: bool,
    pub(super) has_left: bool,
    pub(super) act: Act,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Act {
    Watches,
    StopsReading,
    ReadsTheRest,
    Decides,
    Announces,
    Forks,
}

/// The next act of a daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// A successor, before it has the right to serve.
    Connects,
    AwaitsDescriptors,
    SendsReady,
    AwaitsDrained,
    /// The predecessor has died before `drained`.
    AwaitsNextDaemon,
    GivesKeeperAll,
    AnnouncesItself,
    ClaimsRight,
    /// A successor that dismisses its predecessor.
    TellsPredecessor,
    AsksPredecessor,
    TellsItsKeeper,
    AsksItsKeeper,
    GivesKeeperItsOwn,
    /// A daemon that must not serve.
    GivesUp,
    /// A daemon that takes requests.
    Listens,
    SaysServing,
    Serves,
    HandsOver,
    AwaitsReady,
    /// A predecessor that takes no requests.
    Offers,
    SendsDrained,
    AwaitsServing,
    StopsReading,
    LooksOnceMore,
    KeepsRight,
    SaysStaying,
    Leaves,
}

impl Step {
    pub(super) fn takes_requests(self) -> bool {
        use Step::{AwaitsReady, HandsOver, Listens, SaysServing, Serves};
        matches!(
            self,
            Listens | SaysServing | Serves | HandsOver | AwaitsReady
        )
    }

    /// Returns whether the thread runs that attends to the keeper.
    pub(super) fn attends(self) -> bool {
        use Step::{
            AwaitsServing, KeepsRight, LooksOnceMore, Offers, SaysStaying, SendsDrained,
            StopsReading,
        };
        let has_started =
            self.takes_requests() && !matches!(self, Step::Listens | Step::SaysServing);
        has_started
            || matches!(
                self,
                Offers
                    | SendsDrained
                    | AwaitsServing
                    | StopsReading
                    | LooksOnceMore
                    | KeepsRight
                    | SaysStaying
            )
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) processes: Vec<Process>,
    pub(super) wires: Vec<Wire>,
    /// The daemon whose socket a successor finds.
    pub(super) listener: Pid,
    /// The word in the state.
    pub(super) right: ServingRight,
    /// The number of faults that are still to come.
    pub(super) faults: u8,
}

impl World {
    pub(super) fn lives(&self, pid: Pid) -> bool {
        self.processes[pid].life != Life::Dead
    }

    fn living(&self) -> impl Iterator<Item = &Process> {
        self.processes.iter().filter(|one| one.life != Life::Dead)
    }

    fn ends_of_living(&self) -> impl Iterator<Item = End> + '_ {
        let ends = |one: &Process| {
            [
                one.supervision,
                one.handover,
                one.held.predecessor,
                one.held.keeper,
            ]
        };
        self.living().flat_map(ends).flatten()
    }

    /// Returns whether a packet that a process may still read carries such a set.
    fn travels(&self, is: impl Fn(&Held) -> bool) -> bool {
        let carries = |packet: &Packet| matches!(packet, Packet::Hold(held) if is(held));
        let places =
            (0..self.wires.len()).flat_map(|channel| [0, 1].map(|side| End { channel, side }));
        let mut places = places.filter(|end| self.ends_of_living().any(|other| other == *end));
        places.any(|end| self.wires[end.channel].queues[end.side].iter().any(carries))
    }

    /// Returns whether a process holds the end, or can receive it.
    pub(super) fn is_open(&self, end: End) -> bool {
        self.ends_of_living().any(|other| other == end)
            || self.travels(|held| held.predecessor == Some(end) || held.keeper == Some(end))
    }

    /// Returns whether a process holds the connections to the kernel, or can receive them.
    pub(super) fn is_connected(&self) -> bool {
        self.living().any(|one| one.held.term.is_some()) || self.travels(|held| held.term.is_some())
    }

    /// Returns whether another process holds the lock.
    pub(super) fn is_locked_without(&self, pid: Pid) -> bool {
        let mut others = (0..self.processes.len()).filter(|other| *other != pid);
        others.any(|other| self.processes[other].held.term.is_some())
            || self.travels(|held| held.term.is_some())
    }

    /// Returns the number of daemons that take requests.
    pub(super) fn servers(&self) -> usize {
        let serves =
            |one: &&Process| matches!(one.role, Role::Daemon(step) if step.takes_requests());
        self.living().filter(serves).count()
    }

    /// Sends a packet. Returns false in place of EPIPE.
    pub(super) fn send(&mut self, from: End, packet: Packet) -> bool {
        let End { channel, side } = from.peer();
        let arrives = self.is_open(from.peer()) && !self.wires[channel].is_deaf[side];
        if arrives {
            self.wires[channel].queues[side].push(packet);
        }
        arrives
    }

    pub(super) fn front(&self, at: End) -> Option<Packet> {
        self.wires[at.channel].queues[at.side].first().copied()
    }

    pub(super) fn receive(&mut self, at: End) -> Option<Packet> {
        let queue = &mut self.wires[at.channel].queues[at.side];
        (!queue.is_empty()).then(|| queue.remove(0))
    }

    /// Makes both ends of a new channel, in the place of one that no process holds.
    pub(super) fn channel(&mut self) -> (End, End) {
        let is_used = |channel| {
            [0, 1].iter().any(|side| {
                self.is_open(End {
                    channel,
                    side: *side,
                })
            })
        };
        let unused = (0..self.wires.len()).find(|channel| !is_used(*channel));
        let channel = unused.unwrap_or(self.wires.len());
        if unused.is_none() {
            self.wires.push(Wire::default());
        }
        (End { channel, side: 0 }, End { channel, side: 1 })
    }

    pub(super) fn end(&mut self, pid: Pid) {
        let one = &mut self.processes[pid];
        *one = Process {
            life: Life::Dead,
            held: Held::default(),
            supervision: None,
            handover: None,
            dead: None,
            role: match one.role {
                Role::Daemon(_) => Role::Daemon(Step::Serves),
                keeper @ Role::Keeper(_) => keeper,
            },
        };
        self.tidy();
    }

    /// Removes what no process can read, so that equal worlds are equal.
    pub(super) fn tidy(&mut self) {
        for channel in 0..self.wires.len() {
            let open = [0, 1].map(|side| self.is_open(End { channel, side }));
            for (queue, is_open) in self.wires[channel].queues.iter_mut().zip(open) {
                if !is_open {
                    queue.clear();
                }
            }
            if open == [false, false] {
                self.wires[channel] = Wire::default();
            }
        }
    }
}
