//! Pure. `meminfo` in the directory of a memory node.

use super::put;
use crate::{
    base::units::NodeId,
    view::model::memory::{Amount, MeminfoLine},
};

// drivers/base/node.c has wider numbers than hugetlb_report_node_meminfo in mm/hugetlb.c.
const LAST_COLUMN: usize = 24;
const LAST_COLUMN_OF_COUNTS: usize = 22;

/// Writes `meminfo` of the node `id` (`drivers/base/node.c`, `node_read_meminfo`).
pub fn meminfo(id: NodeId, lines: &[MeminfoLine], out: &mut Vec<u8>) {
    for line in lines {
        let (number, unit, column) = match line.amount {
            Amount::Size(size) => (size.kib(), " kB", LAST_COLUMN),
            Amount::Count(count) => (count, "", LAST_COLUMN_OF_COUNTS),
        };
        let NodeId(id) = id;
        let width = column.saturating_sub(line.name.len() + 2);
        put(
            out,
            format_args!("Node {id} {}: {number:width$}{unit}\n", line.name),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::host::parse;

    #[test]
    fn lines_are_aligned_as_the_kernel_aligns_them() {
        let text = "Node 0 MemTotal:       12282068 kB\nNode 0 Active(anon):       1468 kB\n\
                    Node 0 HugePages_Total:     0\nNode 0 HugePages_Free:      3\n";
        let mut out = Vec::new();
        meminfo(NodeId(0), &parse::node_meminfo(text).lines, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }
}
