//! Pure. The attributes below `/sys/devices/system`: files and directories of the machine as a whole,
//! of each CPU, of each memory node and of each policy. All are read-only.

use super::{
    attribute_tables::{MACHINE_ROWS, NODE_ROWS, Rule, TableRow, joined},
    cpu_table::CPU_ROWS,
    policy_table::POLICY_ROWS,
};
use crate::base::units::{CpuId, CpuSet, Id, NodeId};

/// Subject of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Machine as a whole.
    Machine,
    /// CPU.
    Cpu(CpuId),
    /// Memory node.
    Node(NodeId),
    /// CPUs whose frequency is governed together, with the number of one of them.
    Policy(CpuId),
}

/// File or directory below `/sys/devices/system`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Attribute {
    subject: Subject,
    number: u16,
}

/// Directory of the CPUs, below `/`.
pub const CPUS: &str = "sys/devices/system/cpu";

/// Directory of the policies of CPU frequencies, below `/`.
pub const POLICIES: &str = "sys/devices/system/cpu/cpufreq";

/// Directory of the memory nodes, below `/`.
pub const NODES: &str = "sys/devices/system/node";

/// CPUs and memory nodes that have a directory of their own for one caller.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VisibleDevices {
    /// CPUs.
    pub cpus: CpuSet,
    /// Memory nodes, each with the visible CPUs that belong to it.
    pub nodes: Vec<(NodeId, CpuSet)>,
    /// Policies of CPU frequencies, each by its number.
    pub policies: CpuSet,
}

impl Subject {
    fn rows(self) -> &'static [TableRow] {
        match self {
            Subject::Machine => &MACHINE_ROWS,
            Subject::Cpu(_) => &CPU_ROWS,
            Subject::Node(_) => &NODE_ROWS,
            Subject::Policy(_) => &POLICY_ROWS,
        }
    }

    /// Returns the path of the directory below `/`; empty for the machine, whose rows have whole
    /// paths.
    fn directory(self) -> String {
        match self {
            Subject::Machine => String::new(),
            Subject::Cpu(CpuId(number)) => format!("{CPUS}/cpu{number}"),
            Subject::Node(NodeId(number)) => format!("{NODES}/node{number}"),
            Subject::Policy(CpuId(number)) => format!("{POLICIES}/policy{number}"),
        }
    }

    /// Returns the CPU, node or policy whose directory has that path.
    fn at(path: &str) -> Option<Subject> {
        let (directory, name) = path.rsplit_once('/')?;
        match directory {
            CPUS => number_after(name, "cpu").map(Subject::Cpu),
            NODES => number_after(name, "node").map(Subject::Node),
            POLICIES => number_after(name, "policy").map(Subject::Policy),
            _ => None,
        }
    }
}

/// Returns the number behind `kind` in a name such as `cpu3`; `None` for a name that the kernel would
/// not write, such as `cpu03`.
#[must_use]
pub fn number_after<I: Id>(name: &str, kind: &str) -> Option<I> {
    let digits = name.strip_prefix(kind)?;
    let number: u32 = digits.parse().ok()?;
    (number.to_string() == digits).then(|| I::from(number))
}

impl Attribute {
    /// Returns the attribute of `subject` with that number; `None` if no row has it.
    #[must_use]
    pub fn of_number(subject: Subject, number: u16) -> Option<Attribute> {
        let rows = subject.rows();
        rows.binary_search_by_key(&number, |row| row.number).ok()?;
        Some(Attribute { subject, number })
    }

    /// Returns the directory of a CPU, node or policy; for the machine, the directory of the nodes.
    #[must_use]
    pub fn directory(subject: Subject) -> Attribute {
        Attribute { subject, number: 0 }
    }

    /// Returns the subject.
    #[must_use]
    pub fn subject(self) -> Subject {
        self.subject
    }

    /// Returns the number of the attribute, unique within its subject: less than 128 for the machine,
    /// less than 512 for a CPU or node, less than 64 for a policy.
    #[must_use]
    pub fn number(self) -> u16 {
        self.number
    }

    fn row(self) -> Option<&'static TableRow> {
        let rows = self.subject.rows();
        let at = rows.binary_search_by_key(&self.number, |row| row.number);
        at.ok().and_then(|at| rows.get(at))
    }

    /// Returns the rule by which the text is made.
    #[must_use]
    pub fn rule(self) -> Rule {
        self.row().map_or(Rule::Zeros, |row| row.rule)
    }

    /// Returns the path below `/`, which does not begin with `/`.
    #[must_use]
    pub fn path(self) -> String {
        let path = self.row().map_or("", |row| &row.path);
        match self.subject {
            Subject::Machine => path.to_owned(),
            subject => joined(&subject.directory(), path),
        }
    }

    /// Returns the attribute with that path below `/`; `None` if no table has it.
    #[must_use]
    pub fn at(path: &str) -> Option<Attribute> {
        let mut ancestor = path;
        let mut subject = Subject::at(ancestor);
        while subject.is_none() {
            let Some((above, _)) = ancestor.rsplit_once('/') else {
                break;
            };
            ancestor = above;
            subject = Subject::at(ancestor);
        }
        let (subject, below) = match subject {
            Some(subject) => match path.strip_prefix(ancestor)? {
                "" => (subject, ""),
                below => (
                    subject,
                    below.strip_prefix('/').filter(|name| !name.is_empty())?,
                ),
            },
            None => (Subject::Machine, path),
        };
        let row = subject.rows().iter().find(|row| row.path == below)?;
        let number = row.number;
        Some(Attribute { subject, number })
    }

    /// Returns the entries of the directory with that path, without the directories of CPUs, nodes
    /// and policies.
    #[must_use]
    pub fn in_directory(path: &str) -> Vec<Attribute> {
        let inside = |subject: Subject, path: &str| {
            let within = |row: &&TableRow| {
                let (parent, name) = row.path.rsplit_once('/').unwrap_or(("", &row.path));
                !name.is_empty() && parent == path
            };
            let rows = subject.rows().iter().filter(within);
            let attribute = |row: &TableRow| Attribute {
                subject,
                number: row.number,
            };
            rows.map(attribute).collect::<Vec<_>>()
        };
        match Attribute::at(path).map(|attribute| (attribute, attribute.row())) {
            Some((attribute, Some(row))) if attribute.rule() == Rule::Directory => {
                inside(attribute.subject, &row.path)
            }
            Some(_) => Vec::new(),
            None => inside(Subject::Machine, path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_back_to_its_attribute() {
        let subjects = [
            Subject::Machine,
            Subject::Cpu(CpuId(12)),
            Subject::Node(NodeId(1)),
            Subject::Policy(CpuId(12)),
        ];
        for subject in subjects {
            for row in subject.rows() {
                let attribute = Attribute::of_number(subject, row.number).unwrap();
                assert_eq!(Attribute::at(&attribute.path()), Some(attribute));
            }
        }
    }

    #[test]
    fn only_the_path_itself_leads_to_an_attribute() {
        for path in [
            "sys/devices/system/cpu/cpu4/",
            "sys/devices/system/cpu/cpu4//online",
            "sys/devices/system/cpu/cpu04",
            "sys/devices/system/cpu/online/",
        ] {
            assert_eq!(Attribute::at(path), None, "{path}");
        }
    }

    #[test]
    fn a_directory_of_a_cpu_holds_what_its_table_names() {
        let names = |path: &str| -> Vec<String> {
            let inside = Attribute::in_directory(path).into_iter();
            inside.map(Attribute::path).collect()
        };
        assert!(names(CPUS).contains(&"sys/devices/system/cpu/present".to_owned()));
        let cpu = names("sys/devices/system/cpu/cpu3");
        assert!(cpu.contains(&"sys/devices/system/cpu/cpu3/topology".to_owned()));
        assert!(!cpu.iter().any(|path| path.ends_with("core_id")));
        let cache = names("sys/devices/system/cpu/cpu3/cache/index2");
        assert!(cache.contains(&"sys/devices/system/cpu/cpu3/cache/index2/size".to_owned()));
        assert_eq!(names("sys/devices/system"), [NODES]);
    }

    #[test]
    fn every_attribute_stands_in_a_directory_that_is_served() {
        for subject in [
            Subject::Machine,
            Subject::Cpu(CpuId(0)),
            Subject::Node(NodeId(0)),
            Subject::Policy(CpuId(0)),
        ] {
            for row in subject.rows() {
                let path = Attribute::of_number(subject, row.number).unwrap().path();
                let (parent, _) = path.rsplit_once('/').unwrap();
                let parent = Attribute::at(parent).map(Attribute::rule);
                let known = [CPUS, NODES, "sys/devices/system"];
                assert!(
                    parent == Some(Rule::Directory)
                        || known.iter().any(|known| path.starts_with(known)),
                    "{path}"
                );
            }
        }
    }

    #[test]
    fn what_the_kernel_would_not_write_is_no_number() {
        assert_eq!(number_after::<CpuId>("cpu7", "cpu"), Some(CpuId(7)));
        for name in ["cpu", "cpu07", "cpu+7", "cpufreq", "node7"] {
            assert_eq!(number_after::<CpuId>(name, "cpu"), None, "{name}");
        }
    }

    #[test]
    fn numbers_fit_where_the_tree_keeps_them() {
        assert!(MACHINE_ROWS.iter().all(|row| row.number < 128));
        assert!(
            CPU_ROWS
                .iter()
                .chain(NODE_ROWS.iter())
                .all(|row| row.number < 512)
        );
        assert!(POLICY_ROWS.iter().all(|row| row.number < 64));
    }
}
