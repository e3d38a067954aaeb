//! The protocol of the hand-over as a model, every state of which is examined.
//!
//! The model has the processes of `plimsoll::serve::handover`: a keeper with its daemon, and a
//! successor with its keeper. Each process does one act at a time, in every order. The faults are: a
//! process is killed, a keeper is stopped for as long as one likes, and a message does not fit into a
//! full socket. A timeout may come at any moment. The right to serve is the code's own type, as are
//! the messages.
//!
//! The model leaves out: systemd, which starts one daemon at a time; a second successor at the same
//! time, since a daemon talks with one; and the requests of the kernel, which repeats them to whoever
//! holds the connection.

mod daemon;
mod keeper;
mod world;

use plimsoll::{
    base::state::{ServingRight, Term},
    serve::handover::Message,
};
use stateright::{Checker, Model, Property};
use world::{Act, Held, Life, Packet, Pid, Process, Role, Step, Watch, World};

/// The predecessor, its keeper, the successor and its keeper, by their places in the world.
const PREDECESSORS_KEEPER: Pid = 0;
const PREDECESSOR: Pid = 1;
const SUCCESSORS_KEEPER: Pid = 2;
const SUCCESSOR: Pid = 3;
/// The first process that starts later.
const LATER: Pid = 4;

const ONE_SERVES: &str = "at most one daemon takes requests";
const KEPT: &str = "the connections last as long as a process that had them";
const ANSWERED: &str = "a daemon takes requests when nothing is left to do";
/// The protocol, with terms or with messages alone, and the number of faults.
#[derive(Debug, Clone)]
struct Protocol {
    has_terms: bool,
    faults: u8,
}

/// The way in which an act ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum How {
    Normally,
    /// The time to wait is over.
    TooLate,
    /// The message does not fit into the socket.
    Lost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Action {
    Acts(Pid, How),
    StartsKeeper(Pid),
    Continues(Pid),
    Dies(Pid),
    Stops(Pid),
}

impl Protocol {
    /// Returns the actions without a fault.
    fn regular(world: &World) -> Vec<Action> {
        let all = |(pid, one): (Pid, &Process)| match one.life {
            Life::Dead => vec![],
            Life::Stopped => vec![Action::Continues(pid)],
            Life::Runs => vec![
                Action::Acts(pid, How::Normally),
                Action::Acts(pid, How::TooLate),
                Action::StartsKeeper(pid),
            ],
        };
        world.processes.iter().enumerate().flat_map(all).collect()
    }

    fn faults(world: &World) -> Vec<Action> {
        let all = |(pid, one): (Pid, &Process)| match (one.life, one.role) {
            (Life::Dead, _) => vec![],
            (Life::Stopped, _) => vec![Action::Dies(pid)],
            (Life::Runs, Role::Daemon(_)) => vec![Action::Dies(pid), Action::Acts(pid, How::Lost)],
            (Life::Runs, Role::Keeper(_)) => vec![
                Action::Dies(pid),
                Action::Acts(pid, How::Lost),
                Action::Stops(pid),
            ],
        };
        world.processes.iter().enumerate().flat_map(all).collect()
    }

    fn is_quiet(&self, world: &World) -> bool {
        let mut actions = Protocol::regular(world).into_iter();
        actions.all(|action| self.next_state(world, action).is_none())
    }
}

/// Returns whether a process that is left had the connections once.
fn is_left_with_connections(world: &World) -> bool {
    let never_had = |one: &Process| match one.role {
        Role::Daemon(step) => matches!(step, Step::Connects | Step::AwaitsDescriptors),
        Role::Keeper(watch) => !watch.has_served,
    };
    let mut living = world.processes.iter().filter(|one| one.life != Life::Dead);
    living.any(|one| !never_had(one))
}

fn has_sent(world: &World, message: Message) -> bool {
    let mut queues = world.wires.iter().flat_map(|wire| &wire.queues);
    queues.any(|queue| queue.contains(&Packet::Message(world::Sent(message))))
}

/// Returns what has to be possible, so that the checker is known to get there: each message is sent,
/// and each daemon serves in the end.
fn possibilities() -> Vec<Property<Protocol>> {
    vec![
        Property::sometimes("ready", |_, world| has_sent(world, Message::Ready)),
        Property::sometimes("drained", |_, world| has_sent(world, Message::Drained)),
        Property::sometimes("serving", |_, world| has_sent(world, Message::Serving)),
        Property::sometimes("leaving", |_, world| has_sent(world, Message::Leaving)),
        Property::sometimes("staying", |_, world| has_sent(world, Message::ServesOn)),
        Property::sometimes("the successor is the only one", |_, world: &World| {
            serves(world, SUCCESSOR) && !world.lives(PREDECESSORS_KEEPER)
        }),
        Property::sometimes("the predecessor's keeper starts another one", |_, world| {
            serves(world, LATER) && has_forked(world, PREDECESSORS_KEEPER)
        }),
        Property::sometimes("the successor's keeper starts another one", |_, world| {
            serves(world, LATER) && has_forked(world, SUCCESSORS_KEEPER)
        }),
        Property::sometimes("a daemon starts a keeper", |_, world: &World| {
            let later = world.processes.get(LATER);
            later.is_some_and(|one| matches!(one.role, Role::Keeper(_)))
        }),
    ]
}

fn serves(world: &World, pid: Pid) -> bool {
    let one = world.processes.get(pid);
    one.is_some_and(|one| one.life == Life::Runs && one.role == Role::Daemon(Step::Serves))
}

fn has_forked(world: &World, keeper: Pid) -> bool {
    matches!(world.processes[keeper].role, Role::Keeper(watch) if watch.daemon == LATER)
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let lineage = u32::try_from(PREDECESSOR).unwrap();
        let right = ServingRight::first_of(lineage);
        let mut world = World {
            processes: Vec::new(),
            wires: Vec::new(),
            listener: PREDECESSOR,
            right,
            faults: self.faults,
        };
        for (daemon, term, step) in [
            (PREDECESSOR, Some(right.term), Step::Serves),
            (SUCCESSOR, None::<Term>, Step::Connects),
        ] {
            let (ours, theirs) = world.channel();
            let keeper = Role::Keeper(Watch {
                daemon,
                has_served: term.is_some(),
                has_left: false,
                act: Act::Watches,
            });
            for (end, role) in [(ours, keeper), (theirs, Role::Daemon(step))] {
                world.processes.push(Process {
                    life: Life::Runs,
                    held: Held {
                        term,
                        ..Held::default()
                    },
                    supervision: Some(end),
                    handover: None,
                    dead: None,
                    role,
                });
            }
        }
        vec![world]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        actions.extend(Protocol::regular(world));
        if world.faults > 0 {
            actions.extend(Protocol::faults(world));
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        match action {
            Action::Acts(_, How::Normally | How::TooLate)
            | Action::StartsKeeper(_)
            | Action::Continues(_) => {}
            _ => next.faults = next.faults.checked_sub(1)?,
        }
        match action {
            Action::Acts(pid, how) => match next.processes[pid].role {
                Role::Daemon(_) => next.daemon_acts(self, pid, how)?,
                Role::Keeper(_) => next.keeper_acts(self, pid, how)?,
            },
            Action::StartsKeeper(pid) => next.starts_keeper(pid)?,
            Action::Continues(pid) => next.processes[pid].life = Life::Runs,
            Action::Stops(pid) => next.processes[pid].life = Life::Stopped,
            Action::Dies(pid) => next.end(pid),
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = vec![
            Property::always(ONE_SERVES, |_, world: &World| world.servers() <= 1),
            Property::always(KEPT, |_, world: &World| {
                world.is_connected() || !is_left_with_connections(world)
            }),
            Property::always(ANSWERED, |protocol: &Protocol, world: &World| {
                world.servers() == 1 || !world.is_connected() || !protocol.is_quiet(world)
            }),
        ];
        all.extend(possibilities());
        all
    }
}

/// Examines every state, and returns the property that does not hold, with the actions that lead there.
fn violations(protocol: Protocol) -> Vec<String> {
    let checker = protocol.checker().threads(2).spawn_bfs().join();
    let properties = checker.model().properties();
    let of_kind = |found| {
        let name = |property: &Property<Protocol>| property.name;
        let kind = move |property: &&Property<Protocol>| {
            let is_always = property.expectation == stateright::Expectation::Always;
            is_always == found
        };
        properties.iter().filter(kind).map(name).collect::<Vec<_>>()
    };
    let found = checker.discoveries();
    let broken = of_kind(true).into_iter().filter_map(|name| {
        let path = found.get(name)?.clone();
        Some(format!("{name}: {:?}", path.into_actions()))
    });
    let unseen = of_kind(false)
        .into_iter()
        .filter(|name| !found.contains_key(name));
    broken
        .chain(unseen.map(|name| format!("never: {name}")))
        .collect()
}

#[test]
fn with_two_faults_one_daemon_serves_and_readers_are_answered() {
    let protocol = Protocol {
        has_terms: true,
        faults: 2,
    };
    let violations = violations(protocol);
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn messages_alone_let_two_daemons_serve() {
    let protocol = Protocol {
        has_terms: false,
        faults: 1,
    };
    let violations = violations(protocol);
    assert!(
        violations.iter().any(|one| one.starts_with(ONE_SERVES)),
        "{violations:#?}"
    );
}

#[test]
fn each_message_between_daemons_is_in_the_model() {
    let all = [
        Message::Serving,
        Message::Alive,
        Message::Leaving,
        Message::Ready,
        Message::Drained,
        Message::UnderSystemd,
        Message::ServesOn,
    ];
    let possible = possibilities();
    for message in all {
        let is_modelled = match message {
            Message::Serving
            | Message::Leaving
            | Message::Ready
            | Message::Drained
            | Message::ServesOn => true,
            // The watchdog of the keeper, and the refusal of a daemon under systemd.
            Message::Alive | Message::UnderSystemd => false,
        };
        let is_named = possible.iter().any(|one| one.name == message.text());
        assert_eq!(is_modelled, is_named, "{message:?}");
    }
}
