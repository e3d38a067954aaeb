//! Pure. `meminfo` in the directory of a memory node.

use super::{
    memory::{SIZE_WIDTHS, Widths, put_line},
    put,
};
use crate::{
    base::units::NodeId,
    view::model::memory::{Amount, MeminfoLine},
};

// hugetlb_report_node_meminfo in mm/hugetlb.c: "%5u".
const COUNT_WIDTHS: Widths = (17, 5);

/// Writes `meminfo` of the node `id` (`drivers/base/node.c`, `node_read_meminfo`).
pub fn meminfo(id: NodeId, lines: &[MeminfoLine], out: &mut Vec<u8>) {
    let NodeId(id) = id;
    for line in lines {
        let widths = match line.amount {
            Amount::Size(_) => SIZE_WIDTHS,
            Amount::Count(_) => COUNT_WIDTHS,
        };
        put(out, format_args!("Node {id} "));
        put_line(line, widths, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::host::parse;

    #[test]
    fn lines_are_aligned_as_the_kernel_aligns_them() {
        let text = "Node 0 MemTotal:       12282068 kB\nNode 0 Active(anon):       1468 kB\n\
                    Node 0 MemUsed:        263856264 kB\n\
                    Node 0 HugePages_Total:     0\nNode 0 HugePages_Free:      3\n";
        let mut out = Vec::new();
        meminfo(NodeId(0), &parse::node_meminfo(text).lines, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }
}
