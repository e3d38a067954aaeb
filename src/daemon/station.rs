//! What a daemon serves with: the lock, the shelf and the connections, its own or another's.

use super::place;
use crate::{
    answer::Answers,
    fuse::{Connection, Server},
    handover::{Held, LOCK, Roster, STATE},
    mounts,
    shelf::Shelf,
};
use anyhow::{Context, Result, bail};
use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

/// Lock, shelf and connections.
#[derive(Debug)]
pub(super) struct Station {
    pub(super) mountpoint: PathBuf,
    pub(super) lock: OwnedFd,
    pub(super) shelf: Arc<Shelf>,
    /// In the order in which they were mounted.
    pub(super) connections: Vec<Connection>,
    /// Whether a daemon before this one began them.
    pub(super) is_resumed: bool,
}

/// What a station serves.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) answers: Arc<Answers>,
    pub(super) sessions: Vec<fuser::Session<Server>>,
}

impl Station {
    /// Mounts anew; what a dead daemon has left there is taken away first.
    pub(super) fn begin(mountpoint: &Path, lock: OwnedFd) -> Result<Station> {
        place::clear(mountpoint)?;
        let shelf = Arc::new(Shelf::new().context("cannot make memory for a successor")?);
        let direct = Connection::begin("direct", mountpoint)?;
        Ok(Station {
            mountpoint: mountpoint.to_owned(),
            lock,
            shelf,
            connections: vec![direct],
            is_resumed: false,
        })
    }

    /// Goes on where the daemon stopped that held this. What is held is not changed on failure.
    pub(super) fn resume(mountpoint: &Path, held: &mut Held) -> Result<Station> {
        let roster = held.roster()?;
        let Roster::V1 {
            mountpoint: served,
            connections: agreed,
        } = roster;
        if served != mountpoint {
            bail!("it was served on {}", served.display());
        }
        let lock = match held.take(LOCK) {
            Some(lock) => place::sign(lock)?,
            None => place::lock(mountpoint)?,
        };
        let shelf = Shelf::of(held.take(STATE).context("its state is missing")?)?;
        let mut connections = Vec::new();
        for agreed in agreed {
            let device = held.take(&agreed.name);
            let device = device.with_context(|| format!("connection {} is missing", agreed.name));
            connections.push(Connection::resume(agreed, device?)?);
        }
        Ok(Station {
            mountpoint: mountpoint.to_owned(),
            lock,
            shelf: Arc::new(shelf),
            connections,
            is_resumed: true,
        })
    }

    /// What it serves: the answers, which go on where those before stopped, and a session for each
    /// connection.
    pub(super) fn service(&mut self) -> Result<Service> {
        let answers = Answers::here()?.kept_on(Arc::clone(&self.shelf));
        let answers = Arc::new(answers);
        let mut sessions = Vec::new();
        for (place, connection) in (0..).zip(&mut self.connections) {
            let server = Server::new(Arc::clone(&answers), Arc::clone(&self.shelf), place);
            sessions.push(connection.session(server, threads())?);
        }
        Ok(Service { answers, sessions })
    }

    /// Has the kernel give out again what a daemon before this one took and did not answer.
    pub(super) fn recover(&self) {
        for (place, connection) in (0..).zip(&self.connections) {
            if !connection.recover(self.shelf.marked(place)) {
                tracing::info!(
                    connection = connection.agreed().name,
                    "this kernel gives out no request twice: readers of that moment are interrupted"
                );
            }
        }
    }

    /// What a successor needs.
    pub(super) fn held(&self) -> Result<Held> {
        let mut held = Held::default();
        held.enter(&Roster::V1 {
            mountpoint: self.mountpoint.clone(),
            connections: self.agreed(),
        })?;
        held.add(LOCK, &self.lock)?;
        held.add(STATE, &*self.shelf)?;
        for connection in &self.connections {
            held.add(&connection.agreed().name, connection.device())?;
        }
        Ok(held)
    }

    fn agreed(&self) -> Vec<crate::fuse::Agreed> {
        let connections = self.connections.iter();
        connections.map(|one| one.agreed().clone()).collect()
    }

    /// Where the connections are mounted.
    pub(super) fn points(&self) -> Vec<PathBuf> {
        let connections = self.connections.iter();
        connections.map(|one| one.agreed().point.clone()).collect()
    }

    /// Whether all of it is still mounted where it was.
    pub(super) fn is_mounted(&self) -> Result<bool> {
        for point in self.points() {
            if place::mounted_at(&point)?.as_deref() != Some(mounts::KIND) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// How many threads answer.
    pub(super) fn workers(&self) -> usize {
        self.connections.len() * threads()
    }

    /// Leaves everything mounted for a successor.
    pub(super) fn leave(self) {
        self.connections.into_iter().for_each(Connection::leave);
    }

    /// Unmounts, the last first.
    pub(super) fn end(mut self) {
        while let Some(connection) = self.connections.pop() {
            drop(connection);
        }
    }
}

/// The threads that answer on one connection.
fn threads() -> usize {
    thread::available_parallelism()
        .map_or(1, usize::from)
        .min(4)
}
