//! The containers that the engines of a machine run, and the engines themselves, as a table.
//!
//! The cgroups of each engine's containers are the rows of `shape_table`. A container without such a
//! cgroup is found by its namespaces (`strangers`) and named by its cgroup. The names of containers
//! are in files of the engines (`names`):
//!
//! | engine | the file with the names |
//! |---|---|
//! | docker | `containers/ID/config.v2.json` below the data directory |
//! | podman | `overlay-containers/containers.json` below the storage |
//! | containerd (CRI, nerdctl) | `io.containerd.runtime.v2.task/NAMESPACE/ID/config.json` below the state directory |
//! | containerd (ctr) | the id; its cgroup is `NAMESPACE/ID` |
//! | CRI-O | `overlay-containers/ID/userdata/config.json` below `/run/containers/storage` or the `runroot` |
//! | LXC | the id; on Proxmox VE also the host name in `/etc/pve/lxc/ID.conf` |
//! | Incus | as LXC, where `/var/lib/incus/containers/NAME` is; `PROJECT_NAME` is also called `NAME` |
//! | `plimsoll run` | the id: the name in its cgroup |
//! | others | the id |
//!
//! The data of an engine is where `places` says: the engine of root, of a snap, or of the user in
//! whose slice the container is.

mod configuration;
mod description;
mod descriptions;
mod installed;
mod names;
mod places;
mod running;
mod runtime_users;
mod services;
#[rustfmt::skip] // One row a line.
mod shape_table;
mod shapes;
mod stored;
mod strangers;
mod table;

pub use configuration::{
    Annotations, ConfiguredLinux, ConfiguredMount, ConfiguredNamespace, ConfiguredRoot,
    ContainerConfiguration, VIEW,
};
pub use description::{Description, Mark};
pub use descriptions::{Descriptions, Facts, NewContainer};
pub use installed::{InstalledEngine, installed};
pub use running::{FindError, RunningContainer, all, find, of_process};
pub use runtime_users::{docker_containers_of, running_with};
pub use services::{CommandLines, Flag};
pub use shapes::container_cgroups;
pub use table::{
    ADMINISTRATORS_HOOKS, CDI_DIRECTORIES, Engine, EnginePackage, HookMethod, PACKAGES,
};
