//! Pure. Parses the files of `/proc` into facts. Unknown lines are kept.

use super::{
    Amount, Cpuinfo, CpuinfoBlock, CpuinfoLine, Disk, Meminfo, MeminfoLine, Stat, StatLine,
    TaskStat, Vmstat,
};
use crate::base::units::{Bytes, CpuId, CpuSet, Pid, Ticks, count};
use std::iter;

/// Parses `/proc/meminfo` (`fs/proc/meminfo.c`). A line without a colon or a number, or with a unit
/// other than `kB`, is left out.
#[must_use]
pub fn meminfo(text: &str) -> Meminfo {
    Meminfo {
        lines: text.lines().filter_map(meminfo_line).collect(),
        ..Meminfo::default()
    }
}

fn meminfo_line(line: &str) -> Option<MeminfoLine> {
    let (name, value) = line.split_once(':')?;
    let mut words = value.split_ascii_whitespace();
    let number = count(words.next()?)?;
    let amount = match words.next() {
        Some("kB") => Amount::Size(Bytes::from_kib(number)),
        Some(_) => return None,
        None => Amount::Count(number),
    };
    (!name.is_empty()).then(|| MeminfoLine {
        name: name.to_owned(),
        amount,
    })
}

/// Parses `meminfo` in the directory of a memory node (`drivers/base/node.c`): lines as of
/// [`meminfo`], each behind `Node` and the node's number, which are left out.
#[must_use]
pub fn node_meminfo(text: &str) -> Meminfo {
    let lines = text.lines().filter_map(|line| {
        let (_, line) = line.strip_prefix("Node ")?.split_once(' ')?;
        meminfo_line(line.trim_start())
    });
    Meminfo {
        lines: lines.collect(),
        ..Meminfo::default()
    }
}

/// Parses `/proc/stat` (`fs/proc/stat.c`). A value that is no number is left out, and a line whose
/// first value is none.
#[must_use]
pub fn stat(text: &str) -> Stat {
    let mut stat = Stat::default();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(name) = words.next() else { continue };
        let Some(first) = words.next().and_then(count) else {
            continue;
        };
        let values: Vec<u64> = iter::once(first).chain(words.filter_map(count)).collect();
        match name.strip_prefix("cpu") {
            Some("") if stat.columns == 0 => stat.columns = values.len(),
            Some("") => {}
            Some(number) => stat.cpus.extend(number.parse().ok().map(CpuId)),
            None => stat.lines.push(StatLine {
                name: name.to_owned(),
                values,
            }),
        }
    }
    stat
}

/// Parses `/proc/cpuinfo` of any architecture: empty lines separate the blocks, and the line
/// `processor` (`cpu number` on s390) names the CPU of a block. A block without such a line is a
/// header before the first CPU, a trailer after the last one, and else the rest of the CPU before.
#[must_use]
pub fn cpuinfo(text: &str) -> Cpuinfo {
    let mut blocks: Vec<CpuinfoBlock> = Vec::new();
    let mut lines = text.lines().peekable();
    while lines.peek().is_some() {
        let within: Vec<&str> = lines
            .by_ref()
            .take_while(|line| !line.trim().is_empty())
            .collect();
        if !within.is_empty() {
            blocks.push(cpuinfo_block(&within));
        }
    }
    if let Some(last) = blocks.last_mut() {
        last.ended = text
            .lines()
            .next_back()
            .is_some_and(|line| line.trim().is_empty());
    }
    let last = blocks.iter().rposition(|block| block.cpu.is_some());
    let mut before = None;
    for block in blocks.iter_mut().take(last.unwrap_or_default()) {
        block.cpu = block.cpu.or(before);
        before = block.cpu;
    }
    Cpuinfo { blocks }
}

fn cpuinfo_block(lines: &[&str]) -> CpuinfoBlock {
    let lines: Vec<CpuinfoLine> = lines
        .iter()
        .map(|text| CpuinfoLine {
            key: text.split(':').next().unwrap_or(text).trim().to_owned(),
            text: (*text).to_owned(),
        })
        .collect();
    CpuinfoBlock {
        cpu: lines
            .iter()
            .filter(|line| line.key == "processor" || line.key == "cpu number")
            .find_map(|line| line.value().parse().ok().map(CpuId)),
        ended: true,
        lines,
    }
}

/// Parses `/proc/diskstats` (`Documentation/admin-guide/iostats.rst`). A line of another shape is
/// left out.
#[must_use]
pub fn diskstats(text: &str) -> Vec<Disk> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let number = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            Some(Disk {
                number,
                name: words.next()?.to_owned(),
                columns: words.count(),
            })
        })
        .collect()
}

/// Parses the names in `/proc/vmstat`, which has a name and a number a line (`mm/vmstat.c`). A line
/// of another shape is left out.
#[must_use]
pub fn vmstat(text: &str) -> Vmstat {
    let names = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let name = words.next()?;
        count(words.next()?).map(|_| name.to_owned())
    });
    Vmstat {
        names: names.collect(),
    }
}

/// Returns the first two lines of `/proc/slabinfo`: the version and the columns' names.
#[must_use]
pub fn slabinfo_header(text: &str) -> Vec<String> {
    let mut lines = text.lines();
    let mut line = |start: &str| lines.find(|line| line.starts_with(start));
    let header = [line("slabinfo - version"), line("#")];
    header.into_iter().flatten().map(str::to_owned).collect()
}

/// The flag of a task that ends or has ended (`include/linux/sched.h`).
const PF_EXITING: u64 = 0x4;

/// Parses `/proc/PID/stat` (`fs/proc/array.c`). The name may hold anything, parentheses too, so the
/// fields are counted from the last `)`. `None` for a text of another shape.
#[must_use]
pub fn task_stat(text: &str) -> Option<TaskStat> {
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    // The state is field 3, the flags field 9 and the start field 22.
    let state = fields.next()?.chars().next()?;
    let flags: u64 = fields.nth(5)?.parse().ok()?;
    let started: u64 = fields.nth(12)?.parse().ok()?;
    Some(TaskStat {
        state,
        is_exiting: flags & PF_EXITING != 0 || state == 'Z' || state == 'X',
        started: Ticks(started).micros(),
    })
}

/// Parses the pid that a process has in each pid namespace, from the outermost to its own, from the
/// line `NSpid` of `/proc/PID/status`; none without such a line.
#[must_use]
pub fn ns_pids(status: &str) -> Vec<Pid> {
    let lists = status.lines().filter_map(|line| {
        let pids = line.strip_prefix("NSpid:")?.split_ascii_whitespace();
        Some(pids.filter_map(|pid| pid.parse().ok()).collect())
    });
    let mut lists = lists.filter(|pids: &Vec<Pid>| !pids.is_empty());
    lists.next().unwrap_or_default()
}

/// Parses the CPUs that the kernel lets a process use from the line `Cpus_allowed_list` of
/// `/proc/PID/status`, offline CPUs included; `None` without such a line.
#[must_use]
pub fn allowed_cpus(status: &str) -> Option<CpuSet> {
    let mut lines = status.lines();
    let list = lines.find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    list.and_then(CpuSet::parse).filter(|cpus| !cpus.is_empty())
}

/// Parses the parent of a process from the line `PPid` of `/proc/PID/status`; `None` without such a
/// line, or if the parent is outside of the pid namespace in which `/proc` was mounted.
#[must_use]
pub fn parent(status: &str) -> Option<Pid> {
    let mut lines = status.lines();
    let parent = lines.find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok());
    parent.filter(|parent| *parent != Pid(0))
}

/// Returns whether the capability with that number is effective, by `/proc/PID/status`.
#[must_use]
pub fn has_capability(status: &str, number: u32) -> bool {
    let mut lines = status.lines();
    let set = lines.find_map(|line| {
        let set = line.strip_prefix("CapEff:")?.trim();
        u64::from_str_radix(set, 16).ok()
    });
    set.is_some_and(|set| set.checked_shr(number).is_some_and(|rest| rest & 1 == 1))
}

/// Parses the offset of a time namespace's boot clock in microseconds, from
/// `/proc/PID/timens_offsets` (`time_namespaces(7)`); `None` without such a line.
#[must_use]
pub fn boottime_offset(text: &str) -> Option<i64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("boottime"))?;
    let mut words = line.split_ascii_whitespace();
    let seconds: i64 = words.next()?.parse().ok()?;
    let nanos: i64 = words.next()?.parse().ok()?;
    seconds.checked_mul(1_000_000)?.checked_add(nanos / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::units::Micros;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    #[test]
    fn the_lines_of_a_node_are_those_of_meminfo_behind_its_number() {
        let node = node_meminfo("Node 1 MemTotal:       12 kB\nNode 1 HugePages_Free:      3\n");
        assert_eq!(node.size("MemTotal"), Bytes::from_kib(12));
        assert_eq!(node.count("HugePages_Free"), 3);
    }

    #[test]
    fn meminfo_keeps_lines_that_nobody_knows() {
        let facts = meminfo("MemTotal:  1024 kB\nFuture:   7\nno colon\nOdd: 5 MB\nOdd: x kB\n");
        assert_eq!(facts.lines.len(), 2);
        assert_eq!(facts.size("MemTotal"), Bytes(1 << 20));
        assert_eq!(facts.lines[1].amount, Amount::Count(7));
        assert_eq!(facts.size("Absent"), Bytes::ZERO);
    }

    #[test]
    fn a_number_that_the_kernel_cannot_mean_is_the_nearest_that_it_can() {
        let facts = meminfo("A: -5 kB\r\nB: 99999999999999999999\r\nC: 3 kB (null)\r\nD: +4");
        let amounts: Vec<Amount> = facts.lines.iter().map(|line| line.amount).collect();
        let size = |kib| Amount::Size(Bytes::from_kib(kib));
        assert_eq!(amounts, [size(0), Amount::Count(u64::MAX), size(3)]);
    }

    #[test]
    fn a_line_of_stat_or_vmstat_without_a_number_is_none() {
        let facts = stat("cpu  (null)\nfailed to read\n\ncpu  1 2 3\ncpu 1\nctxt 4 x\nbtime\n");
        assert_eq!((facts.columns, facts.lines.len()), (3, 1));
        assert_eq!(facts.value("ctxt"), Some(4));
        let facts = vmstat("nr_free_pages 5\n\nno number\nnr_zone -3\nnr_last 7");
        assert_eq!(facts.names, ["nr_free_pages", "nr_zone", "nr_last"]);
    }

    #[test]
    fn an_empty_line_within_a_cpu_makes_no_trailer_of_the_rest() {
        let text = "Machine: X\n\nprocessor: 3\n\nflags: a\n\nprocessor: 4\n\nSerial: 7\n";
        let cpus = |text: &str| -> Vec<Option<CpuId>> {
            cpuinfo(text).blocks.iter().map(|block| block.cpu).collect()
        };
        let (three, four) = (Some(CpuId(3)), Some(CpuId(4)));
        assert_eq!(cpus(text), [None, three, three, four, None]);
        assert_eq!(cpus(&text.replace('\n', "\r\n")), cpus(text));
        assert!(!cpuinfo(text).blocks[4].ended && cpuinfo(text).blocks[3].ended);
    }

    #[test]
    fn stat_tells_cpus_from_other_lines() {
        let facts = stat("cpu  1 2 3 4\ncpu5 1 2 3 4\ncpu7 1 2 3 4\nintr 9 0 0\nbtime 12\n");
        assert_eq!(facts.cpus, [CpuId(5), CpuId(7)]);
        assert_eq!(facts.columns, 4);
        assert_eq!(facts.value("btime"), Some(12));
        assert_eq!(facts.lines[0].values, [9, 0, 0]);
    }

    #[test]
    fn cpuinfo_tells_whose_a_block_is() {
        let facts = cpuinfo("processor\t: 3\nflags\t: a b\n\nHardware\t: X\n");
        assert_eq!(facts.blocks.len(), 2);
        assert_eq!(facts.blocks[0].cpu, Some(CpuId(3)));
        assert_eq!(facts.blocks[0].lines[1].value(), "a b");
        assert_eq!(facts.blocks[1].cpu, None);
    }

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let text = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 250 20 21\n";
        let task = task_stat(text).unwrap();
        assert_eq!((task.state, task.started), ('S', Micros(2_500_000)));
    }

    #[test]
    fn a_disk_is_known_by_its_numbers_and_its_columns_are_counted() {
        let disks = diskstats(" 259       0 nvme0n1 1 2 3 4\n   7       1 loop1 0\n");
        assert_eq!(disks[0].number, (259, 0));
        assert_eq!((disks[0].name.as_str(), disks[0].columns), ("nvme0n1", 4));
        assert_eq!(disks[1].columns, 1);
    }

    #[test]
    fn of_slabinfo_only_the_header_is_read() {
        let text = "slabinfo - version: 2.1\n(null)\n# name <a>\nkmalloc-8 1 2\n# x\n";
        assert_eq!(
            slabinfo_header(text),
            ["slabinfo - version: 2.1", "# name <a>"]
        );
    }

    #[test]
    fn an_offset_is_negative_for_a_clock_that_starts_late() {
        let text = "monotonic       -100         0\nboottime        -101 500000000\n";
        assert_eq!(boottime_offset(text), Some(-100_500_000));
    }

    #[test]
    fn a_capability_is_a_bit_of_the_effective_set() {
        let status = "CapPrm:\t000001ffffffffff\nCapEff:\t0000000001000000\n";
        assert!(has_capability(status, 24));
        assert!(!has_capability(status, 21) && !has_capability(status, 64));
        assert!(!has_capability("", 24));
    }

    #[test]
    fn the_cpus_of_a_process_stand_in_one_line() {
        let status = "Cpus_allowed:\tf5\nCpus_allowed_list:\t0,2,4-7\nMems_allowed_list:\t0\n";
        assert_eq!(allowed_cpus(status), CpuSet::parse("0,2,4-7"));
        assert_eq!(allowed_cpus("Mems_allowed_list:\t0\n"), None);
    }

    #[test]
    fn pids_stand_from_the_outermost_namespace_inwards() {
        assert_eq!(
            ns_pids("Name:\tx\nNSpid:\t812\t7\t1\n"),
            [812, 7, 1].map(Pid)
        );
    }

    proptest! {
        #[test]
        fn a_line_of_the_status_that_is_not_understood_costs_only_itself(
            name in "(PPid:|NSpid:|CapEff:|Name:)?", odd in "[^0-9a-fA-F\\n]{0,30}", at in 0usize..5,
        ) {
            let mut lines = vec!["Name:\tx", "PPid:\t4", "NSpid:\t8\t1", "CapEff:\t00ff"];
            let odd = format!("{name}{odd}");
            lines.insert(at.min(lines.len()), &odd);
            let status = lines.join("\n");
            prop_assert_eq!(parent(&status), Some(Pid(4)));
            prop_assert_eq!(ns_pids(&status), [8, 1].map(Pid));
            prop_assert!(has_capability(&status, 7) && !has_capability(&status, 8));
        }

        #[test]
        fn no_text_makes_a_parser_panic(text in any::<String>()) {
            let _ = (meminfo(&text), stat(&text), cpuinfo(&text));
            let _ = (diskstats(&text), vmstat(&text), slabinfo_header(&text));
            let _ = (task_stat(&text), ns_pids(&text), boottime_offset(&text));
            let _ = allowed_cpus(&text);
        }
    }
}
