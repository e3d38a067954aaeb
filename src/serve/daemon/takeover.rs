//! The start of a daemon: with what a running predecessor hands over, with what a dead one left, or
//! anew.

use super::{
    instance::{Instance, Sessions},
    lock, mountpoint,
    predecessor::{HandedOver, Predecessor},
    right,
    settings::{Event, Mode, ServeSettings},
    supervisor::Supervisor,
};
use crate::{
    base::state::Term,
    serve::{
        handover::{Descriptors, Name},
        wire::Side,
    },
};
use anyhow::{Result, bail};
use std::sync::mpsc::Sender;

/// Makes the instance and runs its sessions. `descriptors` are those that the supervisor held for
/// this daemon; none for a first one. On return the supervisor holds the descriptors of the
/// instance, and no other daemon serves on the mount point.
///
/// Connections that cannot be resumed end: their readers get errors, and do not wait for ever.
///
/// # Errors
/// When another daemon serves on, or the kernel refuses.
pub(super) fn start(
    settings: &ServeSettings,
    mut descriptors: Descriptors,
    supervisor: &Supervisor,
    events: &Sender<Event>,
) -> Result<Instance> {
    if let Mode::Replace { .. } = settings.mode
        && descriptors.is_empty()
    {
        let (instance, sessions) = replace(settings, supervisor)?;
        sessions.run(events);
        return Ok(instance);
    }
    let mut held_lock = None;
    if !descriptors.is_empty() {
        let term = right::claim(&mut descriptors, supervisor, None)?;
        held_lock = descriptors.duplicate(&Name::Lock)?;
        match resume_mounted(settings, &mut descriptors) {
            Ok((mut instance, sessions)) => {
                instance.term = term;
                instance.recover();
                sessions.run(events);
                return Ok(instance);
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(error, "cannot resume the connections of the predecessor");
                supervisor.hold_only(held_lock.as_ref());
            }
        }
    }
    drop(descriptors);
    let is_first = held_lock.is_none();
    let lock = match held_lock {
        Some(lock) => lock,
        None if settings.mode == Mode::Embedded => lock::private()?,
        None => lock::acquire(&settings.mountpoint)?,
    };
    let copy = lock.try_clone()?;
    let begun = Instance::begin(settings, lock);
    if is_first && begun.is_err() {
        lock::remove(&copy, &settings.mountpoint);
    }
    drop(copy);
    let mut instance = begun?;
    instance.sessions()?.run(events);
    instance.extend()?.run(events);
    supervisor.hold(&instance.descriptors()?)?;
    Ok(instance)
}

/// Takes the place of the daemon that serves. Returns the sessions, which do not run yet.
fn replace(settings: &ServeSettings, supervisor: &Supervisor) -> Result<(Instance, Sessions)> {
    let HandedOver {
        predecessor,
        descriptors: mut handed,
        dead,
    } = Predecessor::drained(&settings.mountpoint)?;
    if handed.manifest()?.term().is_none() {
        right::term_word(&handed)?.clear();
    }
    let (mut instance, sessions) = resume(settings, &mut handed)?;
    instance.term = Term {
        lineage: right::new_lineage(),
        number: 0,
    };
    // The keeper gets everything before the predecessor is dismissed: from that moment on the
    // predecessor's keeper starts no other daemon, so this daemon's keeper must be able to. A daemon
    // that the keeper starts claims the right to serve once more.
    let mut descriptors = instance.descriptors()?;
    predecessor.add_to(&mut descriptors)?;
    drop(predecessor);
    supervisor.hold(&descriptors)?;
    supervisor.serving()?;
    instance.term = right::claim(&mut descriptors, supervisor, dead)?;
    instance.recover();
    Ok((instance, sessions))
}

/// Resumes the instance that `descriptors` belong to, whose mounts must be there still.
fn resume_mounted(
    settings: &ServeSettings,
    descriptors: &mut Descriptors,
) -> Result<(Instance, Sessions)> {
    let points = Side::BOTH.map(|side| side.mountpoint(&settings.mountpoint));
    if !mountpoint::is_view_at(&points)? {
        bail!("the view was unmounted");
    }
    resume(settings, descriptors)
}

/// Resumes the instance that `descriptors` belong to. Returns its sessions, which do not run yet.
fn resume(settings: &ServeSettings, descriptors: &mut Descriptors) -> Result<(Instance, Sessions)> {
    let mut instance = Instance::resume(settings, descriptors)?;
    let sessions = instance.sessions()?;
    Ok((instance, sessions))
}
