//! What a daemon serves with: the lock, the store and the connections, its own or another's.

use super::{Event, ServeSettings, lock};
use crate::{
    base::{paths, state::Store},
    serve::{
        fuse::{Cached, Direct, Server},
        handover::{Descriptors, LOCK, Manifest, STATE},
        wire::{Connection, Handshake, Side},
    },
    view::answer::Answers,
};
use anyhow::{Context, Result, bail};
use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{Arc, mpsc::Sender},
    thread,
};

/// Lock, store and connections, and what is served on them.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) mountpoint: PathBuf,
    lock: OwnedFd,
    store: Arc<Store>,
    server: Arc<Server>,
    answers: Arc<Answers>,
    /// In the order in which they were mounted.
    connections: Vec<Connection>,
    /// Whether a daemon before this one began them.
    pub(super) is_resumed: bool,
}

/// Sessions that are agreed on, and not yet running.
pub(super) struct Sessions(Vec<Box<dyn FnOnce() -> io::Result<()> + Send>>);

impl Sessions {
    /// Runs each until its connection ends, which is told.
    pub(super) fn run(self, events: &Sender<Event>) {
        for session in self.0 {
            let events = events.clone();
            thread::spawn(move || {
                if let Err(error) = session() {
                    tracing::error!(%error, "a session ended");
                }
                let _ = events.send(Event::Disconnected);
            });
        }
    }
}

impl Instance {
    /// Mounts the direct connection anew; what a dead daemon has left there is taken away first.
    pub(super) fn begin(config: &ServeSettings, lock: OwnedFd) -> Result<Instance> {
        lock::clear(&config.mountpoint)?;
        let store = Store::new().context("cannot make memory for a successor")?;
        let direct = Connection::begin(Side::Direct, &config.mountpoint)?;
        Instance::of(config, lock, store, vec![direct])
    }

    /// Mounts the cached connection too. The way to its mount point leads through the direct
    /// connection, whose session must be running.
    pub(super) fn extend(&mut self) -> Result<Sessions> {
        let mut cached = Connection::begin(Side::Cached, &self.mountpoint)?;
        let session = session(&mut cached, &self.server)?;
        self.connections.push(cached);
        Ok(Sessions(vec![session]))
    }

    /// Goes on where the daemon stopped that held this.
    pub(super) fn resume(config: &ServeSettings, held: &mut Descriptors) -> Result<Instance> {
        let Manifest::V1 {
            mountpoint,
            connections: agreed,
        } = held.roster()?;
        if mountpoint != config.mountpoint {
            bail!("it was served on {}", mountpoint.display());
        }
        let store = Store::of(held.take(STATE).context("its state is missing")?)?;
        let mut connections = Vec::new();
        for agreed in agreed {
            let device = held.take(&agreed.name);
            let device = device.with_context(|| format!("connection {} is missing", agreed.name));
            connections.push(Connection::resume(agreed, device?)?);
        }
        let sides: Vec<Option<Side>> = connections.iter().map(Connection::side).collect();
        if sides != Side::BOTH.map(Some) {
            bail!("it has other connections than this program");
        }
        let lock = match held.take(LOCK) {
            Some(lock) => lock,
            None => lock::lock(&config.mountpoint)?,
        };
        let mut instance = Instance::of(config, lock, store, connections)?;
        instance.is_resumed = true;
        Ok(instance)
    }

    fn of(
        config: &ServeSettings,
        lock: OwnedFd,
        store: Store,
        connections: Vec<Connection>,
    ) -> Result<Instance> {
        let store = Arc::new(store);
        // A fact may be half as old as an answer, which is kept for the other half.
        let answers = Answers::here()?.with_max_age(config.max_age.half());
        let answers = Arc::new(answers.with_store(Arc::clone(&store)));
        Ok(Instance {
            mountpoint: config.mountpoint.clone(),
            lock,
            server: Arc::new(Server::new(Arc::clone(&answers), Arc::clone(&store))),
            store,
            answers,
            connections,
            is_resumed: false,
        })
    }

    /// A session for each connection.
    pub(super) fn sessions(&mut self) -> Result<Sessions> {
        let server = &self.server;
        let connections = self.connections.iter_mut();
        let sessions = connections.map(|connection| session(connection, server));
        Ok(Sessions(sessions.collect::<Result<_>>()?))
    }

    /// From now on nobody else serves on these connections.
    pub(super) fn own(&mut self) -> Result<()> {
        self.connections
            .iter_mut()
            .for_each(Connection::unmount_on_drop);
        lock::sign(&self.lock)
    }

    /// What is answered.
    pub(super) fn answers(&self) -> Arc<Answers> {
        Arc::clone(&self.answers)
    }

    /// Has the kernel give out again what a daemon before this one took and did not answer.
    pub(super) fn recover(&self) {
        for (place, connection) in (0..).zip(&self.connections) {
            if !connection.recover(self.store.marked(place)) {
                tracing::info!(
                    connection = connection.handshake().name,
                    "this kernel gives out no request twice: readers of that moment are interrupted"
                );
            }
        }
    }

    /// What a successor needs.
    pub(super) fn held(&self) -> Result<Descriptors> {
        let mut held = Descriptors::default();
        held.enter(&Manifest::V1 {
            mountpoint: self.mountpoint.clone(),
            connections: self.agreed().cloned().collect(),
        })?;
        held.add(LOCK, &self.lock)?;
        held.add(STATE, &*self.store)?;
        for connection in &self.connections {
            held.add(&connection.handshake().name, connection.device())?;
        }
        Ok(held)
    }

    fn agreed(&self) -> impl Iterator<Item = &Handshake> {
        self.connections.iter().map(Connection::handshake)
    }

    /// Where the connections are mounted.
    pub(super) fn points(&self) -> Vec<PathBuf> {
        self.agreed()
            .map(|agreed| agreed.mountpoint.clone())
            .collect()
    }

    /// Whether all of it is still mounted where it was.
    pub(super) fn is_mounted(&self) -> Result<bool> {
        let is_ours = |point: &Path| -> Result<bool> {
            Ok(lock::mounted_at(point)?.as_deref() == Some(paths::FS_TYPE))
        };
        let ours: Result<Vec<bool>> = self.points().iter().map(|point| is_ours(point)).collect();
        Ok(ours?.into_iter().all(|is_ours| is_ours))
    }

    /// How many threads answer.
    pub(super) fn workers(&self) -> usize {
        self.connections.len() * threads()
    }

    /// Leaves everything mounted for a successor.
    pub(super) fn leave(self) {
        self.connections
            .into_iter()
            .for_each(Connection::leave_mounted);
    }

    /// Unmounts, the last first.
    pub(super) fn end(mut self) {
        while let Some(connection) = self.connections.pop() {
            drop(connection);
        }
    }
}

fn session(
    connection: &mut Connection,
    server: &Arc<Server>,
) -> Result<Box<dyn FnOnce() -> io::Result<()> + Send>> {
    let server = Arc::clone(server);
    Ok(match connection.side() {
        Some(Side::Cached) => {
            let session = connection.session(Cached(server), threads())?;
            Box::new(|| session.run())
        }
        _ => {
            let session = connection.session(Direct(server), threads())?;
            Box::new(|| session.run())
        }
    })
}

/// The threads that answer on one connection.
fn threads() -> usize {
    thread::available_parallelism()
        .map_or(1, usize::from)
        .min(4)
}
