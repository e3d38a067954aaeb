//! The containers that the engines of a machine run, and the engines themselves, as a table.
//!
//! | engine | its containers' cgroups | their names |
//! |---|---|---|
//! | docker | `docker-ID.scope`, `docker/ID` | `/var/lib/docker/containers/ID/config.v2.json` |
//! | podman | `libpod-ID.scope`, `libpod-ID` | `/var/lib/containers/storage/overlay-containers/containers.json` |
//! | containerd (CRI) | `cri-containerd-ID.scope`, `kubepods.../ID` | `/run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json` |
//! | containerd (ctr) | `NAMESPACE/ID`, where `/run/containerd/io.containerd.runtime.v2.task/NAMESPACE/ID` is | the id |
//! | CRI-O | `crio-ID.scope` | `/run/containers/storage/overlay-containers/ID/userdata/config.json` |
//! | LXC | `lxc.payload.NAME`, `lxc.payload/NAME` | the id |
//! | Incus | as LXC, where `/var/lib/incus/containers/NAME` is | the id |
//! | systemd-nspawn | `machine-NAME.scope`, `systemd-nspawn@NAME.service` | the id |

mod installed;
mod names;
mod running;
mod shapes;
mod table;

pub use installed::{InstalledEngine, installed};
pub use running::{FindError, RunningContainer, all, find};
pub use shapes::{Label, labelled};
pub use table::{CDI_DIRECTORIES, Engine, EnginePackage, HookMethod, PACKAGES};
