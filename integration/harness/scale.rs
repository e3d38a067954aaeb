//! Large machines as directories, made of the captured one of 128 CPUs.

use super::fixture_copy;
use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// The factor from the memory of the captured machine, of 504 GiB, to 64 TB.
const MEMORY: u64 = 130;
/// The directory of the container that the captured machine has.
const POD: &str = "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod7d0f.slice/cri-containerd-4b1c.scope";

/// The size of a machine of 64 TB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    /// CPUs, all online.
    pub(crate) cpus: u32,
    /// Memory nodes; each has the same number of CPUs.
    pub(crate) nodes: u32,
    /// Mounts beside those of the captured machine.
    pub(crate) mounts: u32,
    /// Containers of Podman, each with one process.
    pub(crate) containers: u32,
}

/// Makes a machine of that size. Its one captured container may use the whole machine.
pub(crate) fn scaled(scale: Scale) -> TempDir {
    let root = fixture_copy("big-128cpu");
    let path = root.path();
    cpus(path, scale.cpus);
    nodes(path, scale);
    let memory = |line: &str| larger(line, MEMORY);
    edit(&path.join("proc/meminfo"), |text| {
        text.lines().map(memory).collect()
    });
    edit(&path.join("proc/self/mountinfo"), |text| {
        let mounts = (0..scale.mounts).map(|at| {
            let id = 1000 + at;
            format!("{id} 21 0:{id} / /var/lib/kubelet/pods/{at}/volume rw shared:{id} - tmpfs tmpfs rw\n")
        });
        text.to_owned() + &mounts.collect::<String>()
    });
    let groups = path.join("sys/fs/cgroup");
    let all = (
        format!("0-{}\n", scale.cpus - 1),
        format!("0-{}\n", scale.nodes - 1),
    );
    for level in Path::new(POD).ancestors() {
        write(&groups.join(level).join("cpuset.cpus.effective"), &all.0);
        write(&groups.join(level).join("cpuset.mems.effective"), &all.1);
        if level != Path::new("") {
            write(&groups.join(level).join("memory.max"), "max\n");
            write(&groups.join(level).join("cpu.max"), "max 100000\n");
        }
    }
    containers(path, scale.containers);
    root
}

fn cpus(root: &Path, count: u32) {
    edit(&root.join("proc/stat"), |text| {
        let (first, rest) = text.split_once('\n').unwrap();
        let one = rest.split_once(' ').unwrap().1.lines().next().unwrap();
        let cpus = (0..count).map(|cpu| format!("cpu{cpu} {one}\n"));
        let behind = rest.lines().filter(|line| !line.starts_with("cpu"));
        let behind = behind.map(|line| line.to_owned() + "\n");
        [first.to_owned() + "\n"]
            .into_iter()
            .chain(cpus)
            .chain(behind)
            .collect()
    });
    edit(&root.join("proc/cpuinfo"), |text| {
        let one = text.split_inclusive("\n\n").next().unwrap();
        let (_, one) = one.split_once('\n').unwrap();
        (0..count)
            .map(|cpu| format!("processor\t: {cpu}\n{one}"))
            .collect()
    });
    let system = root.join("sys/devices/system/cpu");
    for file in ["online", "present", "possible"] {
        write(&system.join(file), &format!("0-{}\n", count - 1));
    }
    for cpu in 0..count {
        let threads = system.join(format!("cpu{cpu}/topology/thread_siblings_list"));
        write(&threads, &format!("{cpu}\n"));
    }
}

fn nodes(root: &Path, scale: Scale) {
    let system = root.join("sys/devices/system/node");
    for file in [
        "online",
        "possible",
        "has_cpu",
        "has_memory",
        "has_normal_memory",
    ] {
        write(&system.join(file), &format!("0-{}\n", scale.nodes - 1));
    }
    let meminfo = fs::read_to_string(system.join("node0/meminfo")).unwrap();
    for node in 0..scale.nodes {
        let own = system.join(format!("node{node}"));
        let each = scale.cpus / scale.nodes;
        write(
            &own.join("cpulist"),
            &format!("{}-{}\n", node * each, (node + 1) * each - 1),
        );
        let lines = meminfo.lines().map(|line| {
            let line = line.replace("Node 0 ", &format!("Node {node} "));
            let (name, amount) = line.split_at(line.find(':').unwrap() + 1);
            // Of the two nodes of the captured machine.
            format!(
                "{name}{}",
                larger(amount, MEMORY * 2 / u64::from(scale.nodes))
            )
        });
        write(&own.join("meminfo"), &lines.collect::<String>());
        let distances = (0..scale.nodes).map(|other| if other == node { "10" } else { "20" });
        write(
            &own.join("distance"),
            &(distances.collect::<Vec<_>>().join(" ") + "\n"),
        );
    }
}

fn containers(root: &Path, count: u32) {
    let mut stored = Vec::new();
    for number in 0..count {
        let (id, pid) = (format!("{number:064x}"), 1_000_000 + number);
        let process = root.join(format!("proc/{pid}"));
        write(
            &process.join("cgroup"),
            &format!("0::/machine.slice/libpod-{id}.scope\n"),
        );
        write(
            &process.join("status"),
            &format!("Name:\tsh\nNSpid:\t{pid}\t1\n"),
        );
        stored.push(format!(r#"{{"id":"{id}","names":["web-{number}"]}}"#));
    }
    let file = root.join("var/lib/containers/storage/overlay-containers/containers.json");
    write(&file, &format!("[{}]", stored.join(",")));
}

/// Returns a line with its size in kB multiplied, as wide as it was where the number allows.
fn larger(line: &str, factor: u64) -> String {
    let Some(sized) = line.strip_suffix(" kB") else {
        return line.to_owned() + "\n";
    };
    let at = sized.rfind([' ', ':']).unwrap() + 1;
    let size: u64 = sized[at..].parse().unwrap();
    let name = sized[..at].trim_end();
    let size = (size * factor).to_string();
    let mut text = String::new();
    let width = sized.len() - name.len();
    writeln!(text, "{name}{size:>width$} kB").unwrap();
    text
}

fn edit(path: &PathBuf, edited: impl FnOnce(&str) -> String) {
    let text = fs::read_to_string(path).unwrap();
    fs::write(path, edited(&text)).unwrap();
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}
