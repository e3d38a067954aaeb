//! Brings a container that runs its files, or takes them away again; nothing is needed inside.
//!
//! What the container has mounted is looked at from outside and by descriptor; its mount namespace is
//! entered only for the mounting itself, by a process that holds all it needs by then. An older or a
//! dead file of ours is replaced from beneath, so that the kernel's own never shows.

use super::{
    Bind, binds, bounded,
    deliver::Delivered,
    hook::HookError,
    own::{Own, OwnError, Tree, Whose},
    target::{OpenFiles, Root, Target},
};
use crate::{
    mounts::{self, KIND},
    sys::{
        chain, fd,
        mount::{self, Reach},
    },
};
use nix::{
    errno::Errno,
    fcntl::{OFlag, open},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sched::{CloneFlags, setns},
    sys::stat::Mode,
    unistd::{Pid, chroot, fchdir},
};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
    time::Duration,
};

/// How often what is taken away may have lain on another one of ours.
const LAYERS: usize = 8;

/// Why a container cannot be entered.
#[derive(Debug, thiserror::Error)]
enum EnterError {
    #[error("process {0} has ended")]
    Ended(u32),
    #[error("it has the host's mounts and no others")]
    Host,
    #[error(transparent)]
    Refused(#[from] HookError),
    #[error("its mounts cannot be changed")]
    Locked(#[source] io::Error),
}

/// How far it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Everything.
    Done,
    /// All but the mounting: what would be done is found out.
    Planned,
}

/// A container, seen from outside.
struct Inside {
    lifeline: OwnedFd,
    namespace: File,
    root: Root,
    /// This process's, as long as the container's root is not its own.
    open: OpenFiles,
    pid: u32,
}

/// Puts the files of the container with that key, from the view that is served at `view`, over the
/// kernel's in the container of the process `pid`; unless its limits leave it the whole machine,
/// where `unlimited` does not ask for it. `None` if nothing has come of it within `patience`.
///
/// The caller must have one thread only.
#[must_use]
pub fn attach(
    view: &Path,
    (pid, key): (u32, u64),
    unlimited: bool,
    extent: Extent,
    patience: Duration,
) -> Option<Delivered> {
    in_time(patience, || {
        let inside = match enter(pid) {
            Ok(inside) => inside,
            Err(error) => return Delivered::Failed(chain(&error)),
        };
        let here = match mounts::own() {
            Ok(here) => here,
            Err(error) => return Delivered::Failed(error.to_string()),
        };
        let own = match Own::open(view, Whose::Container(key), &here) {
            Ok(own) => own,
            Err(error) => return unserved(&error),
        };
        if !unlimited && !own.is_limited().unwrap_or(true) {
            return Delivered::Unlimited;
        }
        put(&own, &inside, extent)
    })
}

/// Takes every file of ours out of the container of the process `pid`, whichever view it is of.
/// `None` if nothing has come of it within `patience`.
///
/// The caller must have one thread only.
#[must_use]
pub fn detach(pid: u32, extent: Extent, patience: Duration) -> Option<Delivered> {
    let mut mounts = 0;
    for _ in 0..LAYERS {
        let taken = in_time(patience, || match enter(pid) {
            Ok(inside) => take(&inside, extent),
            Err(error) => Delivered::Failed(chain(&error)),
        })?;
        match taken {
            Delivered::Given {
                mounts: taken,
                refused,
                ..
            } if taken > 0 && refused.is_empty() && extent == Extent::Done => mounts += taken,
            Delivered::Given {
                mounts: taken,
                refused,
                ..
            } => {
                return Some(Delivered::Given {
                    mounts: mounts + taken,
                    kept: 0,
                    refused,
                });
            }
            other => return Some(other),
        }
    }
    Some(Delivered::Given {
        mounts,
        kept: 0,
        refused: Vec::new(),
    })
}

/// Whether the container of that process is still being made: its root is the host's as yet.
#[must_use]
pub fn is_being_made(pid: u32) -> bool {
    let number = |path: &str| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    let root = number(&format!("/proc/{pid}/root"));
    root.is_some() && root == number("/")
}

fn in_time(patience: Duration, work: impl FnOnce() -> Delivered) -> Option<Delivered> {
    match bounded::within(patience, || work().text()) {
        Ok(said) => said.map(|said| Delivered::parse(&said)),
        Err(error) => Some(Delivered::Failed(format!("no process: {}", error.desc()))),
    }
}

fn unserved(error: &OwnError) -> Delivered {
    match error {
        OwnError::NotServed { .. } => Delivered::NotServed(chain(error)),
        OwnError::Refused { .. } => Delivered::Failed(chain(error)),
    }
}

/// Looks at the container of that process.
fn enter(pid: u32) -> Result<Inside, EnterError> {
    let refused = |path: &str, source: io::Error| {
        let path = PathBuf::from(path);
        EnterError::Refused(HookError::Refused { path, source })
    };
    let number = i32::try_from(pid).map_err(|_| EnterError::Ended(pid))?;
    let lifeline = fd::of_process(Pid::from_raw(number)).map_err(|_| EnterError::Ended(pid))?;
    let path = format!("/proc/{pid}/ns/mnt");
    let namespace = File::open(&path).map_err(|error| refused(&path, error))?;
    let own = fs::metadata("/proc/self/ns/mnt").map_err(|error| refused(&path, error))?;
    let theirs = namespace
        .metadata()
        .map_err(|error| refused(&path, error))?;
    if own.ino() == theirs.ino() {
        return Err(EnterError::Host);
    }
    let path = format!("/proc/{pid}/root");
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let directory = open(path.as_str(), flags, Mode::empty());
    let directory = directory.map_err(|error| refused(&path, error.into()))?;
    let path = format!("/proc/{pid}/mountinfo");
    let mounts = mounts::of(pid).map_err(|error| refused(&path, error))?;
    let here = mounts::own().map_err(|error| refused("/proc/self/mountinfo", error))?;
    let shared: BTreeSet<u32> = here.iter().filter_map(|mount| mount.peers).collect();
    let inside = Inside {
        lifeline,
        namespace,
        root: Root {
            directory,
            path: PathBuf::from("/"),
            mounts,
            shared,
        },
        open: OpenFiles::of_this().map_err(|error| refused("/proc/self/fd", error))?,
        pid,
    };
    // If it has ended by now, what was looked at may be another's.
    match inside.lives() {
        true => Ok(inside),
        false => Err(EnterError::Ended(pid)),
    }
}

impl Inside {
    fn lives(&self) -> bool {
        let mut fds = [PollFd::new(self.lifeline.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO) == Ok(0)
    }

    /// Makes its mounts and its root this process's.
    fn go(&self) -> Result<(), EnterError> {
        let gone = setns(&self.namespace, CloneFlags::CLONE_NEWNS)
            .and_then(|()| fchdir(&self.root.directory))
            .and_then(|()| chroot("."));
        gone.map_err(|error| EnterError::Locked(error.into()))?;
        match self.lives() {
            true => Ok(()),
            false => Err(EnterError::Ended(self.pid)),
        }
    }
}

fn put(own: &Own, inside: &Inside, extent: Extent) -> Delivered {
    let mut plan: Vec<(Bind, Tree, Target<'_>)> = Vec::new();
    let mut refused = Vec::new();
    let mut kept = 0;
    for bind in binds() {
        let tree = own.tree(bind).map_err(|error| chain(&error));
        let target = inside.root.target(bind).map_err(|error| chain(&error));
        match (tree, target) {
            (Ok(Some(tree)), Ok(Some(target))) if tree.is_at(target.mount) => kept += 1,
            (Ok(Some(tree)), Ok(Some(target))) => plan.push((bind, tree, target)),
            (Err(error), Ok(Some(_)) | Err(_)) | (Ok(Some(_)), Err(error)) => refused.push(error),
            (_, Ok(None)) | (Ok(None), _) => {}
        }
    }
    if extent == Extent::Done
        && !plan.is_empty()
        && let Err(error) = inside.go()
    {
        return Delivered::Failed(chain(&error));
    }
    let mut mounts = 0;
    for (bind, tree, target) in &plan {
        let put = match extent {
            Extent::Planned => Ok(()),
            Extent::Done if target.mount.kind == KIND => {
                target.replace(tree.fd.as_fd(), &inside.open)
            }
            Extent::Done => target.cover(tree.fd.as_fd()),
        };
        match put {
            Ok(()) => mounts += 1,
            Err(error) => refused.push(format!("cannot cover /{}: {}", bind.path, error.desc())),
        }
    }
    Delivered::Given {
        mounts,
        kept,
        refused,
    }
}

fn take(inside: &Inside, extent: Extent) -> Delivered {
    let mut plan = Vec::new();
    let mut refused = Vec::new();
    for bind in binds() {
        match inside.root.target(bind) {
            Ok(Some(target)) if target.mount.kind == KIND => plan.push((bind, hosts(bind), target)),
            // What is not ours is none of our business, whatever it is.
            Ok(_) | Err(_) => {}
        }
    }
    if extent == Extent::Done
        && !plan.is_empty()
        && let Err(error) = inside.go()
    {
        return Delivered::Failed(chain(&error));
    }
    let mut mounts = 0;
    for (bind, hosts, target) in &plan {
        let taken = match extent {
            Extent::Planned => Ok(()),
            Extent::Done => match (target.uncover(&inside.open), hosts) {
                // A container with a user namespace of its own may not lose a mount that it was
                // given; it may get another one on top.
                (Err(Errno::EINVAL | Errno::EPERM), Some(hosts)) => target.cover(hosts.as_fd()),
                (result, _) => result,
            },
        };
        match taken {
            Ok(()) => mounts += 1,
            Err(error) => refused.push(format!("cannot uncover /{}: {}", bind.path, error.desc())),
        }
    }
    Delivered::Given {
        mounts,
        kept: 0,
        refused,
    }
}

/// The host's own file, to be put on top.
fn hosts(bind: Bind) -> Option<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let path = Path::new("/").join(bind.path);
    let file = open(&path, flags, Mode::empty()).ok()?;
    let tree = mount::copied(file.as_fd(), Reach::Alone).ok()?;
    mount::part(tree.as_fd()).ok()?;
    Some(tree)
}
