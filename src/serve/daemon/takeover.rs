//! A daemon takes its place: handed over by one that serves, left by one that died, or new.

use super::{
    ServeSettings,
    instance::{Instance, Sessions},
    lock,
    predecessor::Predecessor,
    supervisor::Supervisor,
};
use crate::serve::handover::{Descriptors, LOCK};
use anyhow::Result;

/// The instance, and its sessions, which are not running; from now on nobody else serves there.
pub(super) fn take(
    config: &ServeSettings,
    mut held: Descriptors,
    supervisor: &Supervisor,
) -> Result<(Instance, Sessions)> {
    if config.replaces && held.is_empty() {
        let (predecessor, mut held) = Predecessor::drained(&config.mountpoint)?;
        let (instance, sessions) = resumed(config, &mut held)?;
        // As soon as the other one's keeper has none follow, ours must, and that one does this again.
        let mut held = instance.held()?;
        predecessor.enter(&mut held)?;
        drop(predecessor);
        supervisor.hold(&held)?;
        supervisor.serving()?;
        relieve(&mut held, supervisor)?;
        instance.recover();
        return Ok((instance, sessions));
    }
    if !held.is_empty() {
        relieve(&mut held, supervisor)?;
        match resumed(config, &mut held) {
            Ok((instance, sessions)) => {
                instance.recover();
                return Ok((instance, sessions));
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(error, "cannot go on where the daemon before stopped");
            }
        }
    }
    let lock = match held.take(LOCK) {
        Some(lock) => lock,
        None => lock::lock(&config.mountpoint)?,
    };
    drop(held);
    let mut instance = Instance::begin(config, lock)?;
    let sessions = instance.sessions()?;
    Ok((instance, sessions))
}

/// The instance that was handed over or left, and its sessions.
fn resumed(config: &ServeSettings, held: &mut Descriptors) -> Result<(Instance, Sessions)> {
    let mut instance = Instance::resume(config, held)?;
    let sessions = instance.sessions()?;
    Ok((instance, sessions))
}

/// Has the daemon end that was entered there, if any was, and the keeper hold the rest. It has
/// answered all that it took, and this one takes nothing before: two never serve at once.
fn relieve(held: &mut Descriptors, supervisor: &Supervisor) -> Result<()> {
    let Some(predecessor) = Predecessor::left_in(held) else {
        return Ok(());
    };
    // If it serves on, nobody is to follow this daemon.
    predecessor
        .dismiss()
        .inspect_err(|_| supervisor.leaving(&Descriptors::default()))?;
    if let Err(error) = supervisor.hold(held) {
        // Another keeper will be told.
        tracing::warn!(error = format!("{error:#}"), "serving without a keeper");
    }
    Ok(())
}
