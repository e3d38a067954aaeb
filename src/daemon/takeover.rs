//! A daemon takes its place: handed over by one that serves, left by one that died, or new.

use super::{
    Config,
    overseer::Overseer,
    place,
    predecessor::Predecessor,
    station::{Sessions, Station},
};
use crate::handover::{Held, LOCK};
use anyhow::Result;

/// The station, and its sessions, which are not running; from now on nobody else serves there.
pub(super) fn take(
    config: &Config,
    mut held: Held,
    overseer: &Overseer,
) -> Result<(Station, Sessions)> {
    if config.replaces && held.is_empty() {
        let (predecessor, mut held) = Predecessor::drained(&config.mountpoint)?;
        let mut station = Station::resume(config, &mut held)?;
        let sessions = station.sessions()?;
        relieve(&predecessor, &station, overseer)?;
        return Ok((station, sessions));
    }
    if !held.is_empty() {
        let predecessor = Predecessor::left_in(&mut held);
        let resumed = Station::resume(config, &mut held).and_then(|mut station| {
            let sessions = station.sessions()?;
            Ok((station, sessions))
        });
        match (resumed, predecessor) {
            (Ok((station, sessions)), Some(predecessor)) => {
                relieve(&predecessor, &station, overseer)?;
                return Ok((station, sessions));
            }
            (Ok((station, sessions)), None) => {
                station.recover();
                return Ok((station, sessions));
            }
            (Err(error), predecessor) => {
                let error = format!("{error:#}");
                tracing::warn!(error, "cannot go on where the daemon before stopped");
                if let Some(predecessor) = predecessor {
                    // It would serve below what is mounted here.
                    dismiss(&predecessor, overseer)?;
                }
            }
        }
    }
    let lock = match held.take(LOCK) {
        Some(lock) => lock,
        None => place::lock(&config.mountpoint)?,
    };
    drop(held);
    let mut station = Station::begin(config, lock)?;
    let sessions = station.sessions()?;
    Ok((station, sessions))
}

/// Has the daemon end whose place this one takes. It has answered all that it took, and this one
/// takes nothing before: two never serve at once.
fn relieve(predecessor: &Predecessor, station: &Station, overseer: &Overseer) -> Result<()> {
    // As soon as the other one's keeper has none follow, ours must, and that one does this again.
    let mut held = station.held()?;
    predecessor.enter(&mut held)?;
    overseer.hold(&held)?;
    overseer.serving()?;
    dismiss(predecessor, overseer)?;
    station.recover();
    let held = station.held()?;
    if let Err(error) = overseer.hold(&held) {
        // Another keeper will be told.
        tracing::warn!(error = format!("{error:#}"), "serving without a keeper");
    }
    Ok(())
}

fn dismiss(predecessor: &Predecessor, overseer: &Overseer) -> Result<()> {
    let dismissed = predecessor.dismiss();
    // It serves on: nobody is to follow this daemon.
    dismissed.inspect_err(|_| overseer.leaving(&Held::default()))
}
