//! The acts of a daemon: `serve::daemon` in the model.

use super::{
    How, Protocol,
    world::{End, Held, Packet, Pid, Role, Sent, Step, World},
};
use plimsoll::{base::state::Term, serve::handover::Message};

impl World {
    /// Lets a daemon act. `None` when it waits.
    pub(super) fn daemon_acts(&mut self, protocol: &Protocol, pid: Pid, how: How) -> Option<()> {
        let Role::Daemon(step) = self.processes[pid].role else {
            return None;
        };
        let can_be = match how {
            How::Normally => true,
            How::TooLate => step.waits(),
            How::Lost => step.tells(),
        };
        if !can_be {
            return None;
        }
        let one = &self.processes[pid];
        let acting = Acting {
            pid,
            step,
            how,
            supervision: one.supervision,
            handover: one.handover,
            held: one.held,
        };
        let next = match self.successor_acts(protocol, acting) {
            Some(next) => next,
            None => self.predecessor_acts(protocol, acting)?,
        };
        match next {
            Next::Step(step) => self.processes[pid].role = Role::Daemon(step),
            Next::Waits => return None,
            Next::Ends => self.end(pid),
        }
        self.tidy();
        Some(())
    }

    fn tell(&mut self, end: Option<End>, message: Message, how: How) -> bool {
        how != How::Lost && end.is_some_and(|end| self.send(end, Packet::Message(Sent(message))))
    }

    /// The acts up to the moment at which the daemon takes requests.
    fn successor_acts(&mut self, protocol: &Protocol, acting: Acting) -> Option<Next> {
        let Acting {
            pid,
            step,
            how,
            supervision,
            handover,
            held,
        } = acting;
        let is_late = how == How::TooLate;
        let ends_late = matches!(
            step,
            Step::Connects | Step::AwaitsDescriptors | Step::AwaitsDrained
        );
        if is_late && ends_late {
            return Some(Next::Ends);
        }
        Some(match step {
            Step::Connects => self.connect(pid),
            Step::AwaitsDescriptors => match self.receive(handover?) {
                Some(Packet::Hold(handed)) => {
                    self.processes[pid].held = handed;
                    Next::Step(Step::SendsReady)
                }
                Some(_) => Next::Ends,
                None if self.is_open(handover?.peer()) => Next::Waits,
                None => self.connect_again(pid),
            },
            Step::SendsReady => match self.tell(handover, Message::Ready, how) {
                true => Next::Step(Step::AwaitsDrained),
                false if how == How::Lost => Next::Ends,
                false => Next::Step(Step::AwaitsNextDaemon),
            },
            Step::AwaitsDrained => match self.receive(handover?) {
                Some(Packet::Message(Sent(Message::Drained))) => Next::Step(Step::GivesKeeperAll),
                Some(_) => Next::Ends,
                None if self.is_open(handover?.peer()) => Next::Waits,
                None => Next::Step(Step::AwaitsNextDaemon),
            },
            Step::AwaitsNextDaemon => self.await_next_daemon(protocol, pid, is_late),
            Step::GivesKeeperAll => {
                let one = &mut self.processes[pid];
                one.held.predecessor = one.handover.take();
                one.held.term = Some(Term {
                    lineage: u32::try_from(pid).unwrap(),
                    number: 0,
                });
                let all = Packet::Hold(one.held);
                match self.send(supervision?, all) {
                    true => Next::Step(Step::AnnouncesItself),
                    false => Next::Ends,
                }
            }
            Step::AnnouncesItself => {
                self.tell(supervision, Message::Serving, how);
                Next::Step(match protocol.has_terms {
                    true => Step::ClaimsRight,
                    false => Step::TellsPredecessor,
                })
            }
            Step::ClaimsRight => self.claim(pid, held.term?.lineage),
            Step::TellsPredecessor => {
                let end = held.predecessor;
                let is_told = end.is_none() || self.tell(end, Message::Serving, how);
                Next::Step(match is_told || protocol.has_terms {
                    true => Step::TellsItsKeeper,
                    false => Step::AsksPredecessor,
                })
            }
            Step::TellsItsKeeper => {
                let is_told =
                    held.keeper.is_none() || self.tell(held.keeper, Message::Leaving, how);
                Next::Step(match is_told || protocol.has_terms {
                    true => Step::GivesKeeperItsOwn,
                    false => Step::AsksItsKeeper,
                })
            }
            Step::AsksPredecessor => self.ask(held.predecessor?, is_late, Step::TellsItsKeeper),
            Step::AsksItsKeeper => self.ask(held.keeper?, is_late, Step::GivesKeeperItsOwn),
            Step::GivesKeeperItsOwn => {
                let own = Held {
                    term: held.term,
                    ..Held::default()
                };
                self.processes[pid].held = own;
                self.send(supervision?, Packet::Hold(own));
                Next::Step(Step::Listens)
            }
            Step::GivesUp => {
                self.tell(supervision, Message::Leaving, how);
                Next::Ends
            }
            _ => return None,
        })
    }

    /// The acts of a daemon that takes requests, and of a predecessor.
    fn predecessor_acts(&mut self, protocol: &Protocol, acting: Acting) -> Option<Next> {
        let Acting {
            pid,
            step,
            how,
            supervision,
            handover,
            held,
        } = acting;
        let lineage = held.term.map(|term| term.lineage);
        let is_late = how == How::TooLate;
        let fails = match protocol.has_terms {
            true => Next::Step(Step::KeepsRight),
            false => Next::Step(Step::SaysStaying),
        };
        Some(match step {
            Step::Listens => {
                self.listener = pid;
                Next::Step(Step::SaysServing)
            }
            Step::SaysServing => {
                self.tell(supervision, Message::Serving, how);
                Next::Step(Step::Serves)
            }
            Step::HandsOver => {
                let keeper = supervision;
                match self.send(handover?, Packet::Hold(Held { keeper, ..held })) {
                    true => Next::Step(Step::AwaitsReady),
                    false => self.serve_on(pid),
                }
            }
            Step::AwaitsReady if is_late => Next::Step(Step::SaysStaying),
            Step::AwaitsReady => match self.receive(handover?) {
                Some(Packet::Message(Sent(Message::Ready))) => Next::Step(Step::Offers),
                Some(_) => Next::Step(Step::SaysStaying),
                None if self.is_open(handover?.peer()) => Next::Waits,
                None => self.serve_on(pid),
            },
            Step::Offers if protocol.has_terms => match self.right.offered_by(lineage?) {
                Some(offered) => {
                    self.right = offered;
                    Next::Step(Step::SendsDrained)
                }
                None => Next::Step(Step::Leaves),
            },
            Step::Offers => Next::Step(Step::SendsDrained),
            Step::SendsDrained => match self.tell(handover, Message::Drained, how) {
                true => Next::Step(Step::AwaitsServing),
                false => fails,
            },
            Step::AwaitsServing if is_late => Next::Step(Step::StopsReading),
            Step::AwaitsServing => match self.receive(handover?) {
                Some(Packet::Message(Sent(Message::Serving))) => Next::Step(Step::Leaves),
                None if self.is_open(handover?.peer()) => Next::Waits,
                _ => Next::Step(Step::StopsReading),
            },
            Step::StopsReading => {
                let End { channel, side } = handover?;
                self.wires[channel].is_deaf[side] = true;
                Next::Step(Step::LooksOnceMore)
            }
            Step::LooksOnceMore => match self.receive(handover?) {
                Some(Packet::Message(Sent(Message::Serving))) => Next::Step(Step::Leaves),
                _ => fails,
            },
            Step::KeepsRight => match self.right.kept_by(lineage?) {
                Some(kept) => {
                    self.right = kept;
                    Next::Step(Step::SaysStaying)
                }
                None => Next::Step(Step::Leaves),
            },
            Step::SaysStaying => {
                self.tell(handover, Message::ServesOn, how);
                self.serve_on(pid)
            }
            Step::Leaves => {
                self.tell(supervision, Message::Leaving, how);
                Next::Ends
            }
            _ => Next::Waits,
        })
    }

    fn connect(&mut self, pid: Pid) -> Next {
        let listener = self.listener;
        if self.lives(listener) {
            if self.processes[listener].role != Role::Daemon(Step::Serves) {
                return Next::Waits;
            }
            let (ours, theirs) = self.channel();
            self.processes[pid].handover = Some(ours);
            self.processes[listener].handover = Some(theirs);
            self.processes[listener].role = Role::Daemon(Step::HandsOver);
            return Next::Step(Step::AwaitsDescriptors);
        }
        match self.is_locked_without(pid) {
            true => Next::Waits,
            false => Next::Ends,
        }
    }

    fn connect_again(&mut self, pid: Pid) -> Next {
        let one = &mut self.processes[pid];
        one.held = Held::default();
        one.handover = None;
        Next::Step(Step::Connects)
    }

    fn await_next_daemon(&mut self, protocol: &Protocol, pid: Pid, is_late: bool) -> Next {
        let held = self.processes[pid].held;
        let is_kept = held.keeper.is_some_and(|end| self.is_open(end.peer()));
        if !protocol.has_terms || self.lives(self.listener) {
            return match is_late {
                true => Next::Waits,
                false => self.connect_again(pid),
            };
        }
        match (is_kept, is_late) {
            (true, true) => Next::Ends,
            (false, false) => {
                self.processes[pid].dead = held.term;
                Next::Step(Step::GivesKeeperAll)
            }
            _ => Next::Waits,
        }
    }

    fn claim(&mut self, pid: Pid, lineage: u32) -> Next {
        let one = &mut self.processes[pid];
        let Some(claimed) = self.right.claimed_by(lineage, one.dead.take()) else {
            return Next::Step(Step::GivesUp);
        };
        one.held.term = Some(claimed.term);
        self.right = claimed;
        Next::Step(Step::TellsPredecessor)
    }

    /// Looks for `staying` at the other end of a channel on which a message could not be sent.
    fn ask(&self, end: End, is_late: bool, otherwise: Step) -> Next {
        match self.front(end) {
            Some(Packet::Message(Sent(Message::ServesOn))) => Next::Step(Step::GivesUp),
            None if !is_late && self.is_open(end.peer()) => Next::Waits,
            _ => Next::Step(otherwise),
        }
    }

    fn serve_on(&mut self, pid: Pid) -> Next {
        self.processes[pid].handover = None;
        Next::Step(Step::Serves)
    }
}

/// A daemon that acts, as it is before the act.
#[derive(Debug, Clone, Copy)]
struct Acting {
    pid: Pid,
    step: Step,
    how: How,
    supervision: Option<End>,
    handover: Option<End>,
    held: Held,
}

/// The step that follows an act of a daemon.
#[derive(Debug, Clone, Copy)]
enum Next {
    Step(Step),
    Waits,
    Ends,
}

impl Step {
    fn tells(self) -> bool {
        matches!(
            self,
            Step::SendsReady
                | Step::AnnouncesItself
                | Step::TellsPredecessor
                | Step::TellsItsKeeper
                | Step::GivesUp
                | Step::SaysServing
                | Step::SendsDrained
                | Step::SaysStaying
                | Step::Leaves
        )
    }

    fn waits(self) -> bool {
        matches!(
            self,
            Step::Connects
                | Step::AwaitsDescriptors
                | Step::AwaitsDrained
                | Step::AwaitsNextDaemon
                | Step::AsksPredecessor
                | Step::AsksItsKeeper
                | Step::AwaitsReady
                | Step::AwaitsServing
        )
    }
}
