//! Pure. CPUs and memory nodes by the host's numbers, and sets of them.

use std::{fmt, ops::RangeInclusive};

/// The number of a CPU on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuId(pub u32);

/// The number of a memory node on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

/// A number that the kernel prints in lists.
pub trait Id: Copy + Ord + From<u32> + Into<u32> {}

impl Id for CpuId {}

impl From<u32> for CpuId {
    fn from(number: u32) -> CpuId {
        CpuId(number)
    }
}

impl From<CpuId> for u32 {
    fn from(cpu: CpuId) -> u32 {
        cpu.0
    }
}

impl Id for NodeId {}

impl From<u32> for NodeId {
    fn from(number: u32) -> NodeId {
        NodeId(number)
    }
}

impl From<NodeId> for u32 {
    fn from(node: NodeId) -> u32 {
        node.0
    }
}

/// A set of numbers, in ascending order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdSet<I>(Vec<I>);

/// A set of CPUs.
pub type CpuSet = IdSet<CpuId>;

/// A set of memory nodes.
pub type NodeSet = IdSet<NodeId>;

// The largest number that a list may hold: the kernel's NR_CPUS is at most 8192, and a range of
// 2^32 numbers would exhaust the memory.
const MAX_ID: u32 = 65_535;

impl<I: Id> IdSet<I> {
    /// Parses the kernel's list format (`Documentation/admin-guide/cputopology.rst`): `0-3,8`. An
    /// empty text is an empty set.
    ///
    /// Returns `None` for any other text, and for a number above 65535.
    #[must_use]
    pub fn parse(text: &str) -> Option<IdSet<I>> {
        let text = text.trim();
        if text.is_empty() {
            return Some(IdSet::default());
        }
        let ranges = text.split(',').map(range).collect::<Option<Vec<_>>>()?;
        Some(ranges.into_iter().flatten().map(I::from).collect())
    }

    /// Parses a list that the kernel prints, as [`parse`](Self::parse) does, without the words that
    /// are no numbers: some kernels print `(null)` for an empty list. A range may have a stride, as
    /// the kernel reads it (`lib/bitmap-str.c`): `0-6:2/8` are the first 2 of each 8.
    #[must_use]
    pub fn listed(text: &str) -> IdSet<I> {
        let words = text.lines().flat_map(|line| line.split(','));
        let words = words.map(|word| word.trim_matches(|c: char| c.is_whitespace() || c == '\0'));
        words.flat_map(strided).map(I::from).collect()
    }

    /// Returns the number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns true for a set without members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true when `id` is a member.
    #[must_use]
    pub fn contains(&self, id: I) -> bool {
        self.0.binary_search(&id).is_ok()
    }

    /// Iterates over the members in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = I> + '_ {
        self.0.iter().copied()
    }

    /// Returns the members of both sets.
    #[must_use]
    pub fn intersection(&self, other: &IdSet<I>) -> IdSet<I> {
        IdSet(self.iter().filter(|id| other.contains(*id)).collect())
    }

    /// Returns the members that `other` lacks.
    #[must_use]
    pub fn difference(&self, other: &IdSet<I>) -> IdSet<I> {
        IdSet(self.iter().filter(|id| !other.contains(*id)).collect())
    }

    /// Returns the members of either set.
    #[must_use]
    pub fn union(&self, other: &IdSet<I>) -> IdSet<I> {
        self.iter().chain(other.iter()).collect()
    }

    /// Returns the `count` smallest members, or every member when there are fewer.
    #[must_use]
    pub fn first(&self, count: usize) -> IdSet<I> {
        IdSet(self.iter().take(count).collect())
    }

    /// Clears the bits of all non-members in a mask of the kernel's format (`lib/bitmap-str.c`:
    /// hexadecimal, a comma before each 32 bits). The mask keeps its width, and a line that is no
    /// mask is kept as it is.
    #[must_use]
    pub fn masked(&self, text: &str) -> String {
        let lines = text.lines();
        let lines = lines.map(|line| self.masked_line(line).unwrap_or_else(|| line.to_owned()));
        lines.collect::<Vec<String>>().join("\n")
    }

    fn masked_line(&self, mask: &str) -> Option<String> {
        let mut masked: Vec<char> = Vec::with_capacity(mask.len());
        let mut bit = 0;
        for letter in mask.chars().rev() {
            if letter == ',' {
                masked.push(letter);
                continue;
            }
            let digit = letter.to_digit(16)?;
            let kept = (0..4).filter(|at| self.contains(I::from(bit + at)));
            let kept = kept.fold(0, |kept, at| kept | digit & (1 << at));
            masked.push(char::from_digit(kept, 16)?);
            bit += 4;
        }
        Some(masked.into_iter().rev().collect())
    }
}

/// Parses a number or a range of numbers.
fn range(text: &str) -> Option<RangeInclusive<u32>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && last <= MAX_ID).then_some(first..=last)
}

/// Parses a range that may have a stride: `RANGE:USED/GROUP`. Any other text has no numbers.
fn strided(text: &str) -> impl Iterator<Item = u32> {
    let (numbers, stride) = match text.split_once(':') {
        Some((numbers, stride)) => (numbers, stride.split_once('/')),
        None => (text, Some(("1", "1"))),
    };
    let numbers = range(numbers)
        .zip(stride)
        .and_then(|(numbers, (used, group))| {
            let (used, group): (u32, u32) = (used.parse().ok()?, group.parse().ok()?);
            let first = *numbers.start();
            (group > 0).then(|| numbers.filter(move |number| (number - first) % group < used))
        });
    numbers.into_iter().flatten()
}

impl<I> Default for IdSet<I> {
    fn default() -> IdSet<I> {
        IdSet(Vec::new())
    }
}

impl<I: Id> FromIterator<I> for IdSet<I> {
    fn from_iter<T: IntoIterator<Item = I>>(ids: T) -> IdSet<I> {
        let mut ids: Vec<I> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        IdSet(ids)
    }
}

/// Prints the kernel's list format: `0-3,8`; an empty text for the empty set.
impl<I: Id> fmt::Display for IdSet<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ids = self.iter().map(Into::<u32>::into).peekable();
        let mut comma = "";
        while let Some(first) = ids.next() {
            let mut last = first;
            while let Some(next) = ids.next_if(|next| *next == last + 1) {
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
    fn a_mask_keeps_its_width_and_only_the_bits_of_the_set() {
        let set = CpuSet::parse("0,33-34").unwrap();
        assert_eq!(set.masked("f,ffffffff"), "6,00000001");
        assert_eq!(set.masked("3"), "1");
        assert_eq!(set.masked("(null)\n3"), "(null)\n1");
    }

    #[test]
    fn a_word_of_a_kernels_list_that_is_no_number_costs_only_itself() {
        for (text, numbers) in [
            ("        (null)\n", ""),
            ("", ""),
            ("0-3,8", "0-3,8"),
            (" 0-3, 8 ,\r\n", "0-3,8"),
            ("0-3\0\n", "0-3"),
            ("3-1,x,0-4294967295,7", "7"),
            ("0-6:2/8,9", "0-1,9"),
            ("0-7:1/4", "0,4"),
            ("0-7:1/0,0-7:x,5", "5"),
            ("no list\n0-1\n", "0-1"),
        ] {
            assert_eq!(CpuSet::listed(text).to_string(), numbers, "{text:?}");
        }
    }

    #[test]
    fn union_and_difference_are_those_of_sets() {
        let set = |text| CpuSet::parse(text).unwrap();
        assert_eq!(set("0-3").difference(&set("1-2")), set("0,3"));
        assert_eq!(set("0-1").union(&set("1,5")), set("0-1,5"));
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
