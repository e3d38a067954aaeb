//! Pure. A container of the list, for tests.

use super::listed::{
    ListedContainer, ListedCpu, ListedMemory, ListedPressure, ListedView, Milli, ViewState,
};
use crate::{
    base::units::{Bytes, Pid},
    facts::engines::Engine,
};

/// Returns a container with every number.
pub(super) fn container(engine: Engine, name: &str) -> ListedContainer {
    ListedContainer {
        engine,
        id: format!("{name}-id"),
        name: Some(name.to_owned()),
        shown: name.to_owned(),
        pid: Pid(4711),
        cgroup: Some("/a.slice/web".to_owned()),
        started: Some("2026-11-28T20:00:00Z".to_owned()),
        uptime: Some(7384),
        memory: Some(ListedMemory {
            limited: true,
            total: Bytes(256 << 20),
            used: Some(Bytes(100 << 20)),
            available: Bytes(156 << 20),
            free: Bytes(50 << 20),
            swap_total: Bytes(64 << 20),
            swap_used: Bytes::ZERO,
        }),
        cpu: Some(ListedCpu {
            limited: true,
            cpus: 2,
            quota: Some(Milli(1500)),
            used: Some(Milli(312)),
            throttled: Some(Milli(20)),
        }),
        pressure: Some(ListedPressure {
            cpu: Some(Milli(250)),
            memory: Some(Milli(12_340)),
            io: Some(Milli(0)),
        }),
        view: ListedView {
            state: ViewState::Served,
            mountpoint: Some("/var/lib/plimsoll".into()),
            reason: None,
            fix: None,
        },
        problem: None,
    }
}
