//! Pure. The shapes of the cgroups that engines make for containers, as rows.
//!
//! The rows are from the sources and the documentation of the engines, of the runtimes runc, crun and
//! youki (docs/systemd.md of runc: `SLICE:PREFIX:NAME` becomes `SLICE/PREFIX-NAME.scope`), and of
//! kubelet. A parent that the administrator chose (`--cgroup-parent`, `Slice=`) does not matter: most
//! rows describe the last name of a path only.

use super::table::Engine;

/// A row: the engine, the shape, and an example, whose container has the id `<ID>` or `web`. A row
/// without an engine is a cgroup that looks like a container's and is none.
pub(super) type Row = (Option<Engine>, &'static str, &'static str);

/// The shapes, tried in this order on each cgroup of a path, the innermost cgroup first.
///
/// In a name, `<ID>` stands for 64 hexadecimal digits, `<NAME>` for any text that is not empty, and
/// `*` for any text. A `/` separates names of cgroups one below the other; a text with `...` behind
/// it is part of the path above.
///
/// Incus and LXD name their cgroups as LXC does: [`Engine::Lxc`] stands for each of them here.
/// [`Engine::Other`] stands for engines that keep the id in the name as others do.
pub(super) const SHAPES: &[Row] = &[
    // Monitors, and the machines of libvirt.
    (None, "*conmon-<ID>.scope", "/machine.slice/libpod-conmon-<ID>.scope"),
    (None, "*conmon-<ID>", "/kubepods/burstable/pod1/crio-conmon-<ID>"),
    (None, "libpod_parent/conmon", "/libpod_parent/conmon"),
    (None, "libpod-<ID>/conmon", "/libpod_parent/libpod-<ID>/conmon"),
    (None, "*.service/supervisor", "/system.slice/web.service/supervisor"),
    (None, "*.scope/supervisor", "/machine.slice/machine-web.scope/supervisor"),
    (None, "lxc.monitor.<NAME>", "/lxc.monitor.web"),
    (None, "lxc.monitor/<NAME>", "/lxc.monitor/101"),
    (None, "lxc.pivot", "/lxc.pivot"),
    (None, r"machine-qemu\x2d<NAME>.scope", r"/machine.slice/machine-qemu\x2d1\x2dweb.scope"),
    (None, "<NAME>.libvirt-qemu", "/machine/qemu-1-web.libvirt-qemu"),
    (None, "libvirt/qemu/<NAME>", "/libvirt/qemu/web"),
    (None, "kata_<NAME>", "/kubepods/burstable/pod1/kata_<ID>"),
    (None, "kata_overhead/<NAME>", "/kata_overhead/<ID>"),
    (None, "firecracker/<NAME>", "/firecracker/web"),
    // Docker, and cri-dockerd in Kubernetes. The image builder has ids of its own.
    (Some(Engine::Docker), "docker-<ID>.scope", "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-<ID>.scope"),
    (Some(Engine::Docker), "docker-<ID>", "/docker-<ID>"),
    (Some(Engine::Docker), "*:docker:<ID>", "/system.slice:docker:<ID>"),
    (Some(Engine::Buildkit), "buildkit/<NAME>", "/docker/buildkit/web"),
    (Some(Engine::Docker), "docker/<ID>", "/docker/<ID>/init.scope"),
    // Amazon ECS, which runs Docker, and Fargate.
    (Some(Engine::Docker), "ecs/*/<ID>", "/ecs/0123/<ID>"),
    (Some(Engine::Docker), "ecs/*/*/<ID>", "/ecs/cluster/0123/<ID>"),
    (Some(Engine::Other), "ecs/*/<NAME>", "/ecs/0123/web"),
    // Podman: by systemd, by Quadlet and --cgroups=split, and by cgroupfs, with or without pods.
    (Some(Engine::Podman), "libpod-<ID>.scope", "/machine.slice/machine-libpod_pod_<ID>.slice/libpod-<ID>.scope/container"),
    (Some(Engine::Podman), "libpod-payload-<ID>", "/system.slice/web.service/libpod-payload-<ID>"),
    (Some(Engine::Podman), "libpod-<ID>", "/libpod_parent/libpod-<ID>"),
    (Some(Engine::Podman), "*:libpod:<ID>", "/machine.slice:libpod:<ID>"),
    // containerd for Kubernetes. A runtime without SystemdCgroup takes systemd's notation for a name.
    (Some(Engine::Containerd), "cri-containerd-<ID>.scope", "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod1.slice/cri-containerd-<ID>.scope"),
    (Some(Engine::Containerd), "cri-containerd-<ID>", "/kubepods/pod1/cri-containerd-<ID>"),
    (Some(Engine::Containerd), "*:cri-containerd:<ID>", "/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:<ID>"),
    (Some(Engine::Containerd), "nerdctl-<ID>.scope", "/system.slice/nerdctl-<ID>.scope"),
    (Some(Engine::Containerd), "*:nerdctl:<ID>", "/system.slice:nerdctl:<ID>"),
    // CRI-O.
    (Some(Engine::Crio), "crio-<ID>.scope", "/kubepods.slice/kubepods-pod1.slice/crio-<ID>.scope/container"),
    (Some(Engine::Crio), "crio-<ID>", "/kubepods/burstable/pod1/crio-<ID>"),
    (Some(Engine::Crio), "*:crio:<ID>", "/kubepods-pod1.slice:crio:<ID>"),
    // libvirt's containers, by systemd and without.
    (Some(Engine::Libvirt), r"machine-lxc\x2d*\x2d<NAME>.scope", r"/machine.slice/machine-lxc\x2d42\x2dweb.scope"),
    (Some(Engine::Libvirt), "lxc-*-<NAME>.libvirt-lxc", "/machine/lxc-42-web.libvirt-lxc"),
    (Some(Engine::Libvirt), "<NAME>.libvirt-lxc", "/machine/web.libvirt-lxc"),
    (Some(Engine::Libvirt), "libvirt/lxc/<NAME>", "/libvirt/lxc/web"),
    // LXC 4 and later, 3.1, and earlier; Proxmox VE has a cgroup `ns` below.
    (Some(Engine::Lxc), "lxc.payload.<NAME>", "/lxc.payload.web/init.scope"),
    (Some(Engine::Lxc), "lxc.payload/<NAME>", "/lxc.payload/web"),
    (Some(Engine::Lxc), "lxc/<NAME>", "/lxc/web/ns"),
    // systemd-nspawn.
    (Some(Engine::Nspawn), "machine-<NAME>.scope", "/machine.slice/machine-web.scope/payload"),
    (Some(Engine::Nspawn), "systemd-nspawn@<NAME>.service", "/machine.slice/systemd-nspawn@web.service/payload"),
    // Schedulers and builders with runtimes of their own.
    (Some(Engine::Garden), "garden/good/<NAME>", "/garden/good/web"),
    (Some(Engine::Garden), "garden/bad/<NAME>", "/garden/bad/web"),
    (Some(Engine::Garden), "garden/<NAME>", "/garden/web"),
    (Some(Engine::Mesos), "mesos/<NAME>", "/mesos/web/leaf"),
    (Some(Engine::Nomad), "nomad.slice.../<NAME>.scope", "/nomad.slice/share.slice/web.scope"),
    (Some(Engine::Nomad), "nomad/<NAME>", "/nomad/web"),
    (Some(Engine::Apptainer), "apptainer-<NAME>.scope", "/user.slice/apptainer-web.scope"),
    (Some(Engine::Apptainer), "apptainer/<NAME>", "/apptainer/web"),
    (Some(Engine::Apptainer), "singularity/<NAME>", "/singularity/web"),
    // OCI runtimes without an engine.
    (Some(Engine::Runc), "runc-<NAME>.scope", "/user.slice/runc-web.scope"),
    (Some(Engine::Crun), "crun-<NAME>.scope", "/machine.slice/crun-web.scope/container"),
    (Some(Engine::Youki), "youki-<NAME>.scope", "/system.slice/youki-web.scope"),
    (Some(Engine::Youki), ":youki:<NAME>", "/:youki:web"),
    // Kubernetes by cgroupfs, and every engine that draws ids as Docker does.
    (Some(Engine::Containerd), "kubepods.../<ID>", "/system.slice/k3s.service/kubepods/burstable/pod1/<ID>"),
    (Some(Engine::Other), "*-<ID>.scope", "/custom.slice/engine-<ID>.scope"),
    (Some(Engine::Other), "*-<ID>", "/custom/engine-<ID>"),
    (Some(Engine::Other), "*:<ID>", "/custom.slice:engine:<ID>"),
    (Some(Engine::Other), "<ID>", "/actions_job/<ID>"),
];
