//! Pure. CPUs by the host's numbers, and sets of them.

use std::fmt;

/// The number of a CPU, as the host counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuId(pub u32);

/// CPUs in ascending order, each once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct CpuSet(Vec<CpuId>);

impl CpuSet {
    /// The largest number that is read from a list; the kernel's `NR_CPUS` is at most 8192.
    const LARGEST: u32 = 65_535;

    /// The CPUs of the kernel's list format (`Documentation/admin-guide/cputopology.rst`): `0-3,8`.
    ///
    /// An empty list is an empty set. `None` when the text is no such list.
    #[must_use]
    pub fn parse(text: &str) -> Option<CpuSet> {
        let text = text.trim();
        if text.is_empty() {
            return Some(CpuSet::default());
        }
        let mut cpus = Vec::new();
        for range in text.split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
            if first > last || last > CpuSet::LARGEST {
                return None;
            }
            cpus.extend((first..=last).map(CpuId));
        }
        Some(cpus.into_iter().collect())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `cpu` is one of them.
    #[must_use]
    pub fn contains(&self, cpu: CpuId) -> bool {
        self.0.binary_search(&cpu).is_ok()
    }

    /// The CPUs, ascending.
    pub fn iter(&self) -> impl Iterator<Item = CpuId> + '_ {
        self.0.iter().copied()
    }

    /// Those that are in `other` too.
    #[must_use]
    pub fn intersection(&self, other: &CpuSet) -> CpuSet {
        CpuSet(self.iter().filter(|cpu| other.contains(*cpu)).collect())
    }

    /// The first `count` of them, or all if there are fewer.
    #[must_use]
    pub fn first(&self, count: usize) -> CpuSet {
        CpuSet(self.iter().take(count).collect())
    }
}

impl FromIterator<CpuId> for CpuSet {
    fn from_iter<I: IntoIterator<Item = CpuId>>(cpus: I) -> CpuSet {
        let mut cpus: Vec<CpuId> = cpus.into_iter().collect();
        cpus.sort_unstable();
        cpus.dedup();
        CpuSet(cpus)
    }
}

/// The kernel's list format: `0-3,8`; nothing for the empty set.
impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cpus = self.iter().map(|cpu| cpu.0).peekable();
        let mut comma = "";
        while let Some(first) = cpus.next() {
            let mut last = first;
            while let Some(next) = cpus.next_if(|next| *next == last + 1) {
                last = next;
            }
            write!(f, "{comma}{first}")?;
            if last > first {
                write!(f, "-{last}")?;
            }
            comma = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{prop, prop_assert_eq, proptest};

    #[test]
    fn a_list_is_read_in_any_order() {
        let set = CpuSet::parse("8,0-2,1\n").unwrap();
        assert_eq!(set.to_string(), "0-2,8");
        assert_eq!(set.len(), 4);
        assert!(set.contains(CpuId(8)) && !set.contains(CpuId(3)));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in ["x", "1-", "3-1", "0,,1", "0-4294967295", "-1"] {
            assert_eq!(CpuSet::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_empty_list_is_an_empty_set() {
        assert!(CpuSet::parse("\n").unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn a_list_that_was_printed_is_read_back(cpus in prop::collection::vec(0u32..300, 0..40)) {
            let set: CpuSet = cpus.into_iter().map(CpuId).collect();
            prop_assert_eq!(CpuSet::parse(&set.to_string()), Some(set));
        }
    }
}
