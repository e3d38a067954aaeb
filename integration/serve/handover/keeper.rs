//! The acts of a keeper: `serve::keeper` in the model.

use super::{
    How, Protocol,
    world::{Act, Held, Life, Packet, Pid, Process, Role, Sent, Step, Watch, World},
};
use plimsoll::serve::handover::Message;

impl World {
    /// Lets a keeper act. `None` when it has nothing to do.
    pub(super) fn keeper_acts(&mut self, protocol: &Protocol, pid: Pid, how: How) -> Option<()> {
        let at = self.processes[pid].supervision?;
        let Role::Keeper(mut watch) = self.processes[pid].role else {
            return None;
        };
        let can_be = match how {
            How::Normally => true,
            How::TooLate => false,
            How::Lost => watch.act == Act::Announces,
        };
        if !can_be {
            return None;
        }
        watch.act = match watch.act {
            Act::Watches | Act::ReadsTheRest => match self.receive(at) {
                Some(packet) => {
                    self.note(pid, packet, &mut watch);
                    watch.act
                }
                None if watch.act == Act::ReadsTheRest => Act::Decides,
                None if self.lives(watch.daemon) => return None,
                None => Act::StopsReading,
            },
            Act::StopsReading => {
                self.wires[at.channel].is_deaf[at.side] = true;
                Act::ReadsTheRest
            }
            Act::Decides if watch.has_left || !watch.has_served => {
                self.end(pid);
                return Some(());
            }
            Act::Decides => Act::Announces,
            Act::Announces => {
                if how == How::Normally {
                    self.send(at, Packet::Message(Sent(Message::ServesOn)));
                }
                Act::Forks
            }
            Act::Forks => {
                watch.daemon = self.fork(protocol, pid);
                Act::Watches
            }
        };
        self.processes[pid].role = Role::Keeper(watch);
        self.tidy();
        Some(())
    }

    fn note(&mut self, pid: Pid, packet: Packet, watch: &mut Watch) {
        match packet {
            Packet::Hold(held) => self.processes[pid].held = held,
            Packet::Message(Sent(Message::Serving)) => watch.has_served = true,
            Packet::Message(Sent(Message::Leaving)) => watch.has_left = true,
            Packet::Message(_) => {}
        }
    }

    fn fork(&mut self, protocol: &Protocol, pid: Pid) -> Pid {
        // The keeper closes the channel to the dead daemon first.
        self.processes[pid].supervision = None;
        self.tidy();
        let (ours, theirs) = self.channel();
        let held = self.processes[pid].held;
        let first = match held.predecessor {
            _ if protocol.has_terms => Step::ClaimsRight,
            Some(_) => Step::TellsPredecessor,
            None => Step::Listens,
        };
        self.processes[pid].supervision = Some(ours);
        self.processes.push(Process {
            life: Life::Runs,
            held,
            supervision: Some(theirs),
            handover: None,
            dead: None,
            role: Role::Daemon(first),
        });
        self.processes.len() - 1
    }

    /// Lets a daemon whose keeper has died start another one.
    pub(super) fn starts_keeper(&mut self, pid: Pid) -> Option<()> {
        let before = self.processes[pid].supervision?;
        let is_attended = matches!(self.processes[pid].role, Role::Daemon(step) if step.attends());
        if self.is_open(before.peer()) || !is_attended {
            return None;
        }
        let (ours, theirs) = self.channel();
        self.processes[pid].supervision = Some(theirs);
        self.tidy();
        let watch = Watch {
            daemon: pid,
            has_served: false,
            has_left: false,
            act: Act::Watches,
        };
        self.processes.push(Process {
            life: Life::Runs,
            held: Held::default(),
            supervision: Some(ours),
            handover: None,
            dead: None,
            role: Role::Keeper(watch),
        });
        let term = self.processes[pid].held.term;
        let own = Held {
            term,
            ..Held::default()
        };
        let queue = &mut self.wires[ours.channel].queues[ours.side];
        queue.push(Packet::Hold(own));
        queue.push(Packet::Message(Sent(Message::Serving)));
        Some(())
    }
}
