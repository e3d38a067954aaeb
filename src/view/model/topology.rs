//! Pure. The CPUs and memory nodes below `/sys/devices/system`: those of a machine whose other CPUs
//! are offline, and which lacks the memory that the container may not use.
//!
//! | value | meaning |
//! |---|---|
//! | memory nodes | the nodes of the effective `cpuset.mems` that have memory |
//! | seen nodes | the memory nodes, and the nodes of the seen CPUs, as nodes without memory |
//! | lists and masks of CPUs | the host's, without the unseen CPUs |
//! | `smt/active` | 1 if two of the seen CPUs are threads of one core, else 0 |
//! | `distance` | the host's row, without the columns of unseen nodes |
//! | `numastat` | 0 in the host's lines, for no cgroup counts them |

use crate::{
    base::units::{CpuId, CpuSet, NodeId, NodeSet},
    facts::host::Node,
};

/// Memory nodes that a container sees.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Nodes {
    /// Seen nodes, each with its seen CPUs.
    pub seen: Vec<(NodeId, CpuSet)>,
    /// Nodes whose memory the container may use: at least one, as long as the machine has one.
    pub memory: NodeSet,
}

/// Returns the memory nodes that a container sees, from its effective `mems` (`None` without a cpuset
/// controller) and its seen CPUs.
#[must_use]
pub fn nodes(mems: Option<&NodeSet>, seen: &CpuSet, host: &[Node]) -> Nodes {
    let with_memory: NodeSet = host
        .iter()
        .filter(|node| node.has_memory)
        .map(|node| node.id)
        .collect();
    let allowed = mems.map(|mems| mems.intersection(&with_memory));
    let memory = allowed
        .filter(|mems| !mems.is_empty())
        .unwrap_or(with_memory);
    let shown = host
        .iter()
        .map(|node| (node.id, node.cpus.intersection(seen)));
    let seen = shown.filter(|(id, cpus)| memory.contains(*id) || !cpus.is_empty());
    Nodes {
        seen: seen.collect(),
        memory,
    }
}

impl Nodes {
    /// Returns the numbers of the seen nodes.
    #[must_use]
    pub fn ids(&self) -> NodeSet {
        self.seen.iter().map(|(id, _)| *id).collect()
    }

    /// Returns the numbers of the nodes with a seen CPU.
    #[must_use]
    pub fn with_cpus(&self) -> NodeSet {
        let with = self.seen.iter().filter(|(_, cpus)| !cpus.is_empty());
        with.map(|(id, _)| *id).collect()
    }

    /// Returns the row of distances without the distances to unseen nodes. The row, the first line of
    /// `text` that begins with a number, has a distance for each node of the host, in ascending order.
    #[must_use]
    pub fn distances(&self, text: &str, host: &[Node]) -> String {
        let ids = self.ids();
        let is_row = |line: &&str| line.trim_start().starts_with(|c: char| c.is_ascii_digit());
        let row = text.lines().find(is_row).unwrap_or_default();
        let columns = row.split_ascii_whitespace().zip(host);
        let kept: Vec<&str> = columns
            .filter(|(_, node)| ids.contains(node.id))
            .map(|(distance, _)| distance)
            .collect();
        kept.join(" ")
    }
}

/// Returns whether two of the seen CPUs are threads of one core, from the threads of each CPU's core.
#[must_use]
pub fn is_smt(seen: &CpuSet, threads: impl IntoIterator<Item = CpuSet>) -> bool {
    let mut threads = threads.into_iter();
    threads.any(|core| core.intersection(seen).len() > 1)
}

/// Returns the text, CPUs with spaces between them as cpufreq writes them, without the unseen CPUs.
#[must_use]
pub fn words(text: &str, seen: &CpuSet) -> String {
    let cpus = text.split_ascii_whitespace();
    let kept: Vec<&str> = cpus
        .filter(|cpu| cpu.parse().is_ok_and(|cpu| seen.contains(CpuId(cpu))))
        .collect();
    kept.join(" ")
}

/// Returns the text, lines of a name and a count, with a count of 0 in each line and without the last
/// newline. A line without a count is left out.
#[must_use]
pub fn zeros(text: &str) -> String {
    let names = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let name = words.next()?;
        words.next()?.parse::<u64>().ok().map(|_| name)
    });
    let lines: Vec<String> = names.map(|name| format!("{name} 0")).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: u32, cpus: &str, has_memory: bool) -> Node {
        Node {
            id: NodeId(id),
            cpus: CpuSet::parse(cpus).unwrap(),
            has_memory,
        }
    }

    fn machine() -> Vec<Node> {
        vec![
            node(0, "0-3", true),
            node(2, "4-7", true),
            node(4, "", true),
        ]
    }

    fn ids(nodes: &NodeSet) -> String {
        nodes.to_string()
    }

    #[test]
    fn a_node_is_seen_for_its_memory_or_for_its_cpus() {
        let mems = NodeSet::parse("2").unwrap();
        let nodes = nodes(Some(&mems), &CpuSet::parse("1").unwrap(), &machine());
        assert_eq!(ids(&nodes.ids()), "0,2");
        assert_eq!(ids(&nodes.memory), "2");
        assert_eq!(ids(&nodes.with_cpus()), "0");
        assert_eq!(nodes.distances("(null)\n10 21 40\n", &machine()), "10 21");
    }

    #[test]
    fn without_a_cpuset_all_memory_may_be_used() {
        let nodes = nodes(None, &CpuSet::parse("4").unwrap(), &machine());
        assert_eq!(ids(&nodes.ids()), "0,2,4");
        assert_eq!(nodes.seen[1].1.to_string(), "4");
    }

    #[test]
    fn two_threads_of_a_core_are_active_only_if_both_are_seen() {
        let cores = || ["0,2", "1,3"].map(|core| CpuSet::parse(core).unwrap());
        assert!(!is_smt(&CpuSet::parse("0-1").unwrap(), cores()));
        assert!(is_smt(&CpuSet::parse("0,2").unwrap(), cores()));
    }

    #[test]
    fn of_the_counts_only_the_names_are_kept() {
        assert_eq!(
            zeros("numa_hit 5\n(null)\n\nnuma_miss 7"),
            "numa_hit 0\nnuma_miss 0"
        );
    }

    #[test]
    fn words_lose_what_is_not_seen() {
        assert_eq!(words("0 1 2 3 \n", &CpuSet::parse("1,3").unwrap()), "1 3");
    }
}
