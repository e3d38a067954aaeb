//! Plimsoll shows every container its own machine.
//!
//! A container reads `/proc/meminfo`, `/proc/stat` and the CPUs below `/sys`, and finds the limits
//! and the use of its own cgroup, not those of the host.
//!
//! `.github/CONTRIBUTING.md` has the steps for a new served file, and the rules of style.
//!
//! # The wings
//!
//! The crate has nine wings, its top-level modules; a wing has rooms, the modules of the wing. A
//! wing uses only wings above it, and a room only rooms above it in its wing. The doc comment of
//! each module lists the modules that it uses, and a test (`integration/house`) compares the lists
//! with the code.
//!
//! ```text
//! base     units, paths, configuration, system calls, state that outlives a daemon
//! facts    parse and read: the machine, cgroups, containers, engines
//! view     the served files: model (what a container sees), render (bytes), answer (both)
//! calls    programs in the kernel that answer sysinfo(2) and sched_getaffinity(2)
//! inject   mounts of the view in containers: hook, attach, NRI plugin, repair, OCI shim, install
//! run      the bundled container runtime
//! serve    the daemon: FUSE, hand-over to the next daemon, keeper
//! ops      doctor, ps, status, demo
//! cli      the commands
//! ```
//!
//! # A read
//!
//! A process in a container reads `/proc/meminfo`, which is a file of the daemon's file system.
//!
//! ```text
//! kernel -> serve::fuse      the request: an inode, and the thread that opens
//!           serve::tree      inode -> the served file, and the container if the inode names one
//!           view::answer     the whole answer, from here on:
//!             facts::container   thread -> the container: its key and cgroup paths
//!             facts::cgroup      limits and use, from files that are held open
//!             facts::host        the machine's own numbers
//!             view::model        facts -> what the container sees    (pure)
//!             view::render       typed view -> the kernel's format   (pure)
//! kernel <- serve::fuse      a slice of the bytes
//! ```
//!
//! Every file is byte for byte what a kernel could have printed. The daemon has two FUSE
//! connections. On the *cached* one a file has a constant size and lies on one page, which the
//! kernel keeps and reads without the daemon until a TTL of 1 ms is over (`view::answer`). On the
//! *direct* one the daemon answers every open. A container's directory is on the cached connection;
//! its files that may not be cached are links to the direct one (`serve::tree`).
//!
//! # An attach
//!
//! ```text
//! cli -> inject::attach          the containers to reach: by name, by pid, or all
//!          facts::engines          name -> process
//!          facts::container        process -> key
//!          inject::subprocess      a child process, because a file system may block for ever
//!            inject::namespace       opens the container's root and mounts from outside
//!            inject::tree            the container's directory in the view
//!            inject::target          opens each file to cover: no symbolic link, only proc or sysfs
//!            inject::deliver         the plan: served file -> file to cover
//!            inject::namespace       enters the container's mount namespace, last of all
//!            inject::target          mounts by descriptor
//! ```
//!
//! # A hook call
//!
//! ```text
//! Docker, containerd -> inject::oci   adds the hook to the configuration, then executes
//!                         |           the real runtime
//! runc, crun, LXC ------> cli         `plimsoll hook`, with an OCI state or LXC's variables
//!                         inject::hook      inside the new mount namespace, or outside of it
//!                           inject::deliver   the same plan as for an attach
//!                         inject::notes     without a daemon: a note for the next daemon
//! ```
//!
//! # A pod starts
//!
//! ```text
//! containerd, CRI-O -> inject::nri   `plimsoll nri`: the runtime waits for the answer
//!                        inject::leave_out   the pod and the container, as the runtime describes them
//!                        inject::subprocess  a child process for each start
//!                          inject::attach      the same as for a container that runs
//! containerd, CRI-O <- inject::nri   at the end of the child, or after 500 ms
//! ```
//!
//! # A daemon dies, a daemon is replaced
//!
//! ```text
//!                     serve::keeper                    systemd
//! holds               both FUSE devices, state, lock,  both FUSE devices, state, manifest
//!                     manifest
//! kill -9, or hang    the keeper notices, forks the    systemd starts the next daemon with
//!                     next daemon                      the descriptors
//! upgrade             plimsoll daemon --replace        systemctl restart
//!
//! readers             wait; the kernel holds their requests. The next daemon resumes both
//!                     connections (serve::wire) and asks for requests that were in work.
//! ```
//!
//! At no moment do two daemons serve: one word of the state says which may (`base::state::term`).
//! `serve::handover` has the whole sequence of messages.
//!
//! # A run
//!
//! ```text
//! cli -> run::options      arguments -> a request for a container
//!        run::launch       does the rest in this order:
//!          run::check        the machine, before anything is created
//!          run::tree         the host daemon's view, or an embedded daemon
//!          run::root         layers, volumes, /etc
//!          run::cgroups      cgroups with the limits
//!          run::bundle       the OCI configuration for our hook
//!          run::process      process 1 sets up the container, and starts the command
//! ```
//!
//! # An install
//!
//! ```text
//! cli -> inject::install     plan (a diff), then carry out
//!          facts::engines      the table of engines: programs, files, the way in for the hook
//!          inject::oci         the one description of the hook
//!          base::paths         INSTALL_RECORDS: each file as it was, for the way back
//! ```
//!
//! # Glossary
//!
//! - **answer**: the content of a served file for one container, as typed view or bytes.
//! - **attach**: mounting the served files into a container that runs already.
//! - **cached connection**: the FUSE connection whose files the kernel keeps in its page cache.
//! - **caller**: the process that made a request: of the host, or of a container.
//! - **claim**: the right to force one early re-check of a cached file.
//! - **container**: a set of processes, known by the topmost cgroup that holds all of them.
//! - **counter**: a number that only grows, in the table of metrics.
//! - **delivery**: the result of mounting the served files into one container.
//! - **direct connection**: the FUSE connection on which the daemon answers every open.
//! - **embedded daemon**: the daemon of one `plimsoll run`, for a machine without a host daemon.
//! - **engine**: a program that manages containers, such as Docker, Podman, containerd, LXC, Incus.
//! - **fact**: a number or text that the kernel or an engine states, as a type.
//! - **fingerprint**: a hash of a file's content, with which a new content is recognized.
//! - **gate**: the barrier at which each worker waits after its request while the gate is closed.
//! - **hand-over**: the transfer of descriptors and state from a daemon to its successor.
//! - **handshake**: the FUSE_INIT exchange of a connection, replayed to each successor.
//! - **hook**: the program that an OCI runtime calls before a container starts.
//! - **host**: the machine on which the daemon runs, and its processes outside of containers.
//! - **instance**: a serving daemon with all that it holds: lock, state, connections.
//! - **keeper**: the process that holds a daemon's descriptors and starts the next daemon.
//! - **key**: the inode number of the cgroup directory of a container; never reused until reboot.
//! - **layer**: a directory that an overlay mount combines with others.
//! - **level**: one cgroup on the way from a container up to the root, with its limit.
//! - **manifest**: the description of the descriptors in a hand-over, with a version.
//! - **mark**: the last request number of a connection, in the state, for kernels before 6.9.
//! - **max-age**: the largest age of an answer.
//! - **note**: a file that records a container whose files are attached or pending.
//! - **peer**: a mount that shares mounts and unmounts with another one.
//! - **pending attach**: the attach of a container that started while no daemon served.
//! - **predecessor**, **successor**: the daemons before and after a takeover.
//! - **repair**: removing our mounts from containers, or replacing mounts of a dead daemon.
//! - **rule**: the derivation of an attribute below `/sys` from the host's text.
//! - **seen CPU**: a CPU that a container may use, by the host's number.
//! - **served file**: a file that the daemon answers, with a row in `view::files`.
//! - **shim**: the OCI runtime that adds our hook and then executes the real runtime.
//! - **state**: the entries that outlive a daemon: counters of containers, open files.
//! - **supervisor**: the keeper or systemd, whichever starts the next daemon.
//! - **takeover**: the start of a daemon in the place of a running or a dead one.
//! - **trigger**: a threshold on a pressure file, for which the kernel wakes a `poll(2)`.
//! - **view**: the numbers that a container sees, as a type; also the mounted file system.

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

/// Code that every other wing uses: quantities, names, system calls, configuration, state.
pub mod base;

/// Typed facts about the machine, its cgroups, its containers and its engines.
///
/// Uses [`base`].
pub mod facts;

/// The view of a container: the served files, their numbers and their bytes.
///
/// Uses [`base`], [`facts`].
pub mod view;

/// The programs that answer, in the kernel, the system calls that tell a container of its machine.
///
/// Uses [`base`], [`facts`], [`view`].
pub mod calls;

/// The mounts of the view in containers, and the configuration of engines that makes them.
///
/// Uses [`base`], [`facts`], [`view`].
pub mod inject;

/// The bundled container runtime, one command for one container.
///
/// Uses [`base`], [`inject`].
pub mod run;

/// The daemon that answers the kernel, and the processes that start the next daemon when one dies.
///
/// Uses [`base`], [`facts`], [`view`], [`inject`].
pub mod serve;

/// The commands with which an administrator examines a machine, and tries what Plimsoll does.
///
/// Uses [`base`], [`facts`], [`view`], [`inject`], [`run`], [`serve`].
pub mod ops;

/// The command line. Each subcommand parses arguments, calls the wings above, and prints.
///
/// Uses [`base`], [`facts`], [`view`], [`inject`], [`run`], [`serve`], [`ops`].
pub mod cli;
