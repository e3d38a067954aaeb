//! Plimsoll shows every container its own machine.
//!
//! A container reads `/proc/meminfo`, `/proc/stat` and the CPUs below `/sys`, and finds the limits
//! and the use of its own cgroup, not those of the host.
//!
//! # The wings
//!
//! The crate has eight wings; a wing has rooms. A wing uses only wings above it, and a room only
//! rooms above it in its wing, each as its paragraph names them. A test (`integration/house`)
//! compares these paragraphs with the code.
//!
//! ```text
//! base     units, paths, configuration, system calls, state that outlives a daemon
//! facts    parse and read: the machine, cgroups, containers, engines
//! view     the served files: model (what a container sees), render (bytes), answer (both)
//! inject   mounts of the view in containers: hook, attach, repair, OCI shim, install
//! run      the bundled container runtime
//! serve    the daemon: FUSE, hand-over to the next daemon, keeper
//! ops      doctor
//! cli      the commands
//! ```
//!
//! # A read
//!
//! A process in a container reads `/proc/meminfo`, which is a file of the daemon's file system.
//!
//! ```text
//! kernel -> serve::fuse      the request: an inode, a thread or a container's key
//!           serve::tree      inode -> the served file
//!           view::answer     the whole answer, from here on:
//!             facts::container   thread -> the caller's container: its key and cgroup paths
//!             facts::cgroup      limits and use     (held open, read at most once per max-age)
//!             facts::host        the machine's own numbers
//!             view::model        facts -> what the container sees    (pure)
//!             view::render       typed view -> the kernel's format   (pure)
//! kernel <- serve::fuse      a slice of the bytes
//! ```
//!
//! Two connections serve two trees: on the *cached* one the kernel keeps the pages of a file and
//! asks again when they are older than the maximum age; on the *direct* one each open is answered
//! for the thread that opens. A container gets its files from the cached one.
//!
//! # An attach
//!
//! ```text
//! cli -> inject::attach          a running container, by engine and name, or by pid
//!          facts::container        pid -> key
//!          inject::subprocess      a child process, because a file system may block for ever
//!            inject::namespace       enters the container's mount namespace
//!            inject::tree            the container's directory in the view
//!            inject::target          the file of the container to cover, checked like an enemy's
//!            base::sys               clone_tree, make_unbindable, attach
//! ```
//!
//! # A hook call
//!
//! ```text
//! engine -> runc or crun -> plimsoll hook, with an OCI state on standard input
//!          cli -> inject::hook     where the container is made: around us, or beside us
//!                 inject::deliver    the same mounts as an attach
//!                 inject::notes      without a daemon: a note, and the next daemon attaches
//! ```
//!
//! # A takeover
//!
//! ```text
//! old daemon  --+ descriptors: both FUSE devices, lock, state     serve::handover
//! old keeper    |
//! new daemon  <-+ asks over the replace socket                    serve::daemon
//! new keeper      holds the same descriptors and starts the       serve::keeper
//!                 next daemon when this one dies
//! ```
//!
//! At no moment do two daemons serve. `serve::handover` has the whole sequence of messages.
//!
//! # A run
//!
//! ```text
//! cli -> run::options      words -> a request for a container
//!        run::check        the machine, before anything is created
//!        run::cgroups      cgroups with the limits
//!        run::root         layers, volumes, /etc
//!        run::tree         the host daemon's view, or an embedded daemon
//!        run::bundle       the OCI configuration, with our hook
//!        run::launch       libcontainer creates and starts; process 1 is run::process
//! ```
//!
//! # Glossary
//!
//! - **answer**: the content of a served file for one container, as typed view or bytes.
//! - **attach**: mounting the served files into a container that runs already.
//! - **cached connection**: the FUSE connection whose files the kernel keeps in its page cache.
//! - **caller**: the process that made a request: of the host, or of a container.
//! - **claim**: the right to force one early re-check of a cached file.
//! - **container**: a cgroup that is the root of a set of processes, identified by its key.
//! - **direct connection**: the FUSE connection on which the daemon answers every open.
//! - **embedded daemon**: the daemon of one `plimsoll run`, for a machine without a host daemon.
//! - **engine**: a program that manages containers: Docker, Podman, containerd, CRI-O, LXC, Incus.
//! - **fact**: a number or text that the kernel states, as a type.
//! - **fingerprint**: a hash of a file's content, with which a new content is recognized.
//! - **gate**: the lock that stops every worker between two requests.
//! - **hand-over**: the transfer of descriptors and state from a daemon to its successor.
//! - **handshake**: the FUSE_INIT exchange of a connection, replayed to each successor.
//! - **hook**: the program that an OCI runtime calls before a container starts.
//! - **host**: the machine on which the daemon runs, and its processes outside of containers.
//! - **instance**: a serving daemon with all that it holds: lock, state, connections.
//! - **keeper**: the process that holds a daemon's descriptors and starts the next daemon.
//! - **key**: the inode number of the cgroup directory of a container; never reused until reboot.
//! - **layer**: a directory that an overlay mount combines with others.
//! - **manifest**: the description of the descriptors in a hand-over, with a version.
//! - **mark**: a number in the state that tells the next daemon which request was in work.
//! - **max-age**: the largest age of the facts in an answer.
//! - **note**: a file that records a container whose files are attached or pending.
//! - **peer**: a mount that shares mounts and unmounts with another one.
//! - **pending attach**: the attach of a container that started while no daemon served.
//! - **predecessor**, **successor**: the daemons before and after a takeover.
//! - **repair**: removing or replacing mounts of a view whose daemon is dead.
//! - **room**: a module of a wing.
//! - **rule**: the way in which a file below `/sys` is made for a container.
//! - **seen CPU**: a CPU that a container may use, by the host's number.
//! - **served file**: a file that the daemon answers, with a row in `view::files`.
//! - **shim**: the OCI runtime that adds our hook and becomes runc or crun.
//! - **state**: the entries that outlive a daemon: counters of containers, open files.
//! - **supervisor**: the keeper or systemd, whoever starts the next daemon.
//! - **takeover**: the moment at which a successor serves instead of its predecessor.
//! - **trigger**: a threshold on a pressure file, with a poll that wakes the container.
//! - **view**: the numbers that a container sees, as a type; on disk, the mounted tree of them.
//! - **wing**: one of the eight top-level modules.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "a test that fails should fail loudly"
    )
)]

/// The ground of every other wing: quantities, names, system calls, configuration, state.
pub mod base;

/// Typed facts about the machine, its cgroups, its containers and its engines.
///
/// Uses [`base`].
pub mod facts;

/// The view of a container: the served files, their numbers and their bytes.
///
/// Uses [`base`], [`facts`].
pub mod view;

/// The mounts of the view in containers, and the configuration of engines that makes them.
///
/// Uses [`base`], [`facts`], [`view`].
pub mod inject;

/// The bundled container runtime, one command for one container.
///
/// Uses [`base`], [`inject`].
pub mod run;

/// The daemon that answers the kernel, and the processes with which it survives its own death.
///
/// Uses [`base`], [`facts`], [`view`], [`inject`].
pub mod serve;

/// The commands with which an administrator examines a machine.
///
/// Uses [`base`], [`facts`], [`inject`], [`serve`].
pub mod ops;

/// The command line. Each subcommand parses words and makes one call into a room.
///
/// Uses every wing.
pub mod cli;
