//! The instance that a daemon serves with: lock, state store and connections, made by this daemon or
//! resumed from a predecessor.

use super::{
    lock, mountpoint, right,
    settings::{Event, ServeSettings},
};
use crate::{
    base::{
        mountinfo,
        paths::FS_TYPE,
        state::{ServingRight, Store, Term, TermWord},
    },
    serve::{
        fuse::{Cached, Direct, Server},
        handover::{Descriptors, Manifest, Name},
        wire::{Connection, Handshake, Side, allow_background, refuse_request},
    },
    view::answer::Answers,
};
use anyhow::{Context, Result, bail};
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    sync::{Arc, mpsc::Sender},
    thread,
};

/// The maximum of threads that answer on one connection.
const MAX_THREADS: usize = 4;

/// The lock, the state store and the connections, and the server on them.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) mountpoint: PathBuf,
    lock: OwnedFd,
    store: Arc<Store>,
    server: Arc<Server>,
    answers: Arc<Answers>,
    /// The connections in the order in which they were mounted.
    connections: Vec<Connection>,
    /// The term in which this daemon serves.
    pub(super) term: Term,
    /// True when a predecessor began the connections.
    pub(super) is_resumed: bool,
}

/// Sessions that have made their handshake, and do not run yet.
pub(super) struct Sessions(Vec<Box<dyn FnOnce() -> io::Result<()> + Send>>);

impl Sessions {
    /// Runs each session on a thread until its connection ends, and sends [`Event::Disconnected`]
    /// then.
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
    /// Mounts the direct connection anew. Unmounts first what a dead daemon left on the mount point.
    ///
    /// # Errors
    /// When another file system is mounted there, or the kernel refuses the mount or memory.
    pub(super) fn begin(settings: &ServeSettings, lock: OwnedFd) -> Result<Instance> {
        mountpoint::clear(&settings.mountpoint)?;
        let store = Store::new().context("cannot make memory for a successor")?;
        let direct = Connection::begin(Side::Direct, &settings.mountpoint)?;
        let instance = Instance::new(settings, lock, store, vec![direct])?;
        let first = ServingRight::first_of(instance.term.lineage);
        let written = instance.term_word()?.change(|_| Some(first));
        written.context("cannot write the term")?;
        Ok(instance)
    }

    /// Mounts the cached connection, and returns its session. The path of its mount point leads
    /// through the direct connection, whose session must run.
    ///
    /// # Errors
    /// When the kernel refuses the mount.
    pub(super) fn extend(&mut self) -> Result<Sessions> {
        let mut cached = Connection::begin(Side::Cached, &self.mountpoint)?;
        let session = session(&mut cached, &self.server)?;
        self.connections.push(cached);
        Ok(Sessions(vec![session]))
    }

    /// Resumes the instance of a predecessor from its descriptors. The connections are not
    /// unmounted when the new instance is dropped, unless [`Instance::own`] was called.
    ///
    /// # Errors
    /// When the manifest is not understood or is of another mount point, a descriptor is missing, or
    /// the kernel has ended a connection.
    pub(super) fn resume(
        settings: &ServeSettings,
        descriptors: &mut Descriptors,
    ) -> Result<Instance> {
        let Manifest::V1 {
            mountpoint,
            connections: handshakes,
            term: _,
        } = descriptors.manifest()?;
        if mountpoint != settings.mountpoint {
            bail!("the predecessor served {}", mountpoint.display());
        }
        let store = descriptors.take(&Name::State);
        let store = Store::of(store.context("the state of the predecessor is missing")?)?;
        let sides: Vec<Option<Side>> = handshakes
            .iter()
            .map(|one| Side::from_name(&one.name))
            .collect();
        if sides != Side::BOTH.map(Some) {
            bail!("the predecessor has other connections than this program");
        }
        let mut connections = Vec::new();
        for (handshake, side) in handshakes.into_iter().zip(Side::BOTH) {
            let device = descriptors.take(&Name::Device(side));
            let device =
                device.with_context(|| format!("connection {} is missing", handshake.name));
            connections.push(Connection::resume(handshake, device?)?);
        }
        let lock = match descriptors.take(&Name::Lock) {
            Some(lock) => lock,
            None => lock::acquire_to_resume(&settings.mountpoint)?,
        };
        let mut instance = Instance::new(settings, lock, store, connections)?;
        instance.is_resumed = true;
        Ok(instance)
    }

    fn new(
        settings: &ServeSettings,
        lock: OwnedFd,
        store: Store,
        connections: Vec<Connection>,
    ) -> Result<Instance> {
        let store = Arc::new(store);
        // A fact may be half as old as an answer, which is kept for the other half.
        let answers = Answers::here()?.with_max_age(settings.max_age.half());
        let answers = Arc::new(answers.with_store(Arc::clone(&store)));
        Ok(Instance {
            mountpoint: settings.mountpoint.clone(),
            lock,
            server: Arc::new(Server::new(
                Arc::clone(&answers),
                Arc::clone(&store),
                settings.share,
            )),
            store,
            answers,
            connections,
            term: Term {
                lineage: right::new_lineage(),
                number: 1,
            },
            is_resumed: false,
        })
    }

    /// Makes the handshake of each connection, and returns the sessions.
    ///
    /// # Errors
    /// When this program answers the kernel's handshake otherwise than the predecessor did.
    pub(super) fn sessions(&mut self) -> Result<Sessions> {
        let server = &self.server;
        let connections = self.connections.iter_mut();
        let sessions = connections.map(|connection| session(connection, server));
        Ok(Sessions(sessions.collect::<Result<_>>()?))
    }

    /// Takes the ownership of the mounts, which are unmounted from now on when the instance is
    /// dropped. No other daemon may serve.
    pub(super) fn own(&mut self) {
        for connection in &mut self.connections {
            connection.unmount_on_drop();
        }
    }

    /// Opens the word that tells which daemon may serve.
    ///
    /// # Errors
    /// EMFILE when this process may open no more descriptors.
    pub(super) fn term_word(&self) -> Result<TermWord> {
        Ok(TermWord::of(self.store.as_fd().try_clone_to_owned()?)?)
    }

    /// Returns the answers that the server gives.
    pub(super) fn answers(&self) -> Arc<Answers> {
        Arc::clone(&self.answers)
    }

    /// Makes the kernel send each closed file at once, also on connections that a predecessor began.
    pub(super) fn allow_background(&self) {
        let mounts = mountinfo::own_of_kind(FS_TYPE).unwrap_or_default();
        for point in self.points() {
            if let Err(error) = allow_background(&mounts, &point) {
                tracing::warn!(point = %point.display(), %error, "the kernel sends closed files late");
            }
        }
    }

    /// Returns the server.
    pub(super) fn server(&self) -> Arc<Server> {
        Arc::clone(&self.server)
    }

    /// Makes the kernel send again the requests that a predecessor took and did not answer, but for
    /// those at which too many daemons died: these get EIO.
    pub(super) fn recover(&self) {
        for (side, unique) in self.server.count_death() {
            let connection = (self.connections.iter()).find(|one| one.side() == Some(side));
            if let Some(connection) = connection {
                refuse_request(connection.device(), unique);
            }
        }
        for (place, connection) in (0..).zip(&self.connections) {
            let last = self.store.marked(place);
            let side = connection.side();
            let oldest = side.and_then(|side| self.server.oldest_waiting(side));
            if !connection.recover(oldest.unwrap_or(last).min(last)..=last) {
                tracing::info!(
                    connection = connection.handshake().name,
                    "this kernel sends no request again: readers of that moment are interrupted"
                );
            }
        }
    }

    /// Returns the descriptors that a successor needs. The manifest is the last one, so that a set
    /// which is stored one by one is of no use before it is whole.
    ///
    /// # Errors
    /// When this process may open no more descriptors, or the kernel has no memory.
    pub(super) fn descriptors(&self) -> Result<Descriptors> {
        let mut descriptors = Descriptors::default();
        descriptors.add(Name::Lock, &self.lock)?;
        descriptors.add(Name::State, &*self.store)?;
        for (connection, side) in self.connections.iter().zip(Side::BOTH) {
            descriptors.add(Name::Device(side), connection.device())?;
        }
        descriptors.add_manifest(&Manifest::V1 {
            mountpoint: self.mountpoint.clone(),
            connections: self.handshakes().cloned().collect(),
            term: Some(self.term),
        })?;
        Ok(descriptors)
    }

    fn handshakes(&self) -> impl Iterator<Item = &Handshake> {
        self.connections.iter().map(Connection::handshake)
    }

    /// Returns the mount points of the connections.
    pub(super) fn points(&self) -> Vec<PathBuf> {
        let points = self.handshakes().map(|one| one.mountpoint.clone());
        points.collect()
    }

    /// Returns whether every connection is still mounted.
    ///
    /// # Errors
    /// When the mounts of this process cannot be listed.
    pub(super) fn is_mounted(&self) -> Result<bool> {
        Ok(mountpoint::is_view_at(&self.points())?)
    }

    /// Returns the number of threads that answer requests.
    pub(super) fn workers(&self) -> usize {
        self.connections.len() * threads()
    }

    /// Leaves everything mounted for a successor.
    pub(super) fn leave(self) {
        for connection in self.connections {
            connection.leave_mounted();
        }
    }

    /// Unmounts everything, the last mount first, and removes the lock of the mount point.
    pub(super) fn unmount(mut self) {
        while let Some(connection) = self.connections.pop() {
            drop(connection);
        }
        lock::remove(&self.lock, &self.mountpoint);
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

/// Returns the number of threads that answer on one connection.
fn threads() -> usize {
    thread::available_parallelism()
        .map_or(1, usize::from)
        .min(MAX_THREADS)
}
