//! A daemon takes its place: handed over by one that serves, left by one that died, or new.

use super::{
    Config,
    supervisor::Overseer,
    lock,
    predecessor::Predecessor,
    instance::{Sessions, Station},
};
use crate::serve::handover::{Held, LOCK};
use anyhow::Result;

/// The station, and its sessions, which are not running; from now on nobody else serves there.
pub(super) fn take(
    config: &Config,
    mut held: Held,
    overseer: &Overseer,
) -> Result<(Station, Sessions)> {
    if config.replaces && held.is_empty() {
        let (predecessor, mut held) = Predecessor::drained(&config.mountpoint)?;
        let (station, sessions) = resumed(config, &mut held)?;
        // As soon as the other one's keeper has none follow, ours must, and that one does this again.
        let mut held = station.held()?;
        predecessor.enter(&mut held)?;
        drop(predecessor);
        overseer.hold(&held)?;
        overseer.serving()?;
        relieve(&mut held, overseer)?;
        station.recover();
        return Ok((station, sessions));
    }
    if !held.is_empty() {
        relieve(&mut held, overseer)?;
        match resumed(config, &mut held) {
            Ok((station, sessions)) => {
                station.recover();
                return Ok((station, sessions));
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
    let mut station = Station::begin(config, lock)?;
    let sessions = station.sessions()?;
    Ok((station, sessions))
}

/// The station that was handed over or left, and its sessions.
fn resumed(config: &Config, held: &mut Held) -> Result<(Station, Sessions)> {
    let mut station = Station::resume(config, held)?;
    let sessions = station.sessions()?;
    Ok((station, sessions))
}

/// Has the daemon end that was entered there, if any was, and the keeper hold the rest. It has
/// answered all that it took, and this one takes nothing before: two never serve at once.
fn relieve(held: &mut Held, overseer: &Overseer) -> Result<()> {
    let Some(predecessor) = Predecessor::left_in(held) else {
        return Ok(());
    };
    // If it serves on, nobody is to follow this daemon.
    predecessor
        .dismiss()
        .inspect_err(|_| overseer.leaving(&Held::default()))?;
    if let Err(error) = overseer.hold(held) {
        // Another keeper will be told.
        tracing::warn!(error = format!("{error:#}"), "serving without a keeper");
    }
    Ok(())
}
