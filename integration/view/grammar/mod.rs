//! The files of the kernel as its sources print them. A file is verified line by line, to the last
//! byte.
//!
//! ```text
//! meminfo    fs/proc/meminfo.c, mm/hugetlb.c        stat       fs/proc/stat.c
//! uptime     fs/proc/uptime.c                       loadavg    fs/proc/loadavg.c
//! swaps      mm/swapfile.c, swap_show               diskstats  block/genhd.c, diskstats_show
//! vmstat     mm/vmstat.c, vmstat_show               slabinfo   mm/slab_common.c, print_slabinfo_header
//! pressure   kernel/sched/psi.c, psi_show           node       drivers/base/node.c
//! cpuinfo    arch/x86/kernel/cpu/proc.c, arch/arm64/kernel/cpuinfo.c, arch/arm/kernel/setup.c
//! ```

mod format;

pub(crate) use format::{prints, rest_of};

/// Verifies that the kernel can have printed the file with that path. `own` is the text of the
/// machine's own file.
pub(crate) fn verify(path: &str, text: &str, own: &str) -> Result<(), String> {
    let fault = |what: &str, line: &str| Err(format!("{path}: {what}: {line:?}"));
    if !text.is_empty() && !text.ends_with('\n') {
        return fault("the last line has no end", text);
    }
    let lines: Vec<&str> = text.split_terminator('\n').collect();
    for (at, line) in lines.iter().enumerate() {
        if line.ends_with([' ', '\t']) && !has_such_a_line(own, line) {
            return fault("a blank at the end of a line", line);
        }
        if !is_line(path, at, line, own) {
            return fault("no line of the kernel's", line);
        }
    }
    match is_complete(path, &lines, own) {
        true => Ok(()),
        false => fault("not the lines of the kernel's file", text),
    }
}

/// Returns whether a text has that line, with other numbers.
fn has_such_a_line(text: &str, line: &str) -> bool {
    let shape = |line: &str| line.replace(|letter: char| letter.is_ascii_digit(), "");
    text.lines().any(|own| shape(own) == shape(line))
}

fn is_line(path: &str, at: usize, line: &str, own: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    match (name, path.contains("/node/node")) {
        ("meminfo", false) => is_line_of_meminfo(line, own),
        ("meminfo", true) => is_line_of_node(line),
        ("vmstat" | "numastat", _) => prints("%s %lu", line),
        ("stat", _) => is_line_of_stat(line, own),
        ("uptime", _) => prints("%lu.%02lu %lu.%02lu", line),
        ("loadavg", _) => prints("%lu.%02lu %lu.%02lu %lu.%02lu %u/%d %d", line),
        ("swaps", _) if at == 0 => line == "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority",
        ("swaps", _) => is_swap(line),
        ("diskstats", _) => is_disk(line, own),
        ("slabinfo", _) if at < 2 => own.lines().nth(at) == Some(line),
        ("slabinfo", _) => is_slab(line),
        ("cpuinfo", _) => is_line_of_cpuinfo(line, own),
        ("cpu" | "memory" | "io" | "irq", _) => is_pressure(line),
        ("online", _) => line
            .split(',')
            .all(|range| prints("%u", range) || prints("%u-%u", range)),
        // An attribute is the host's text, with fewer CPUs.
        _ => true,
    }
}

fn is_line_of_meminfo(line: &str, own: &str) -> bool {
    let name = line.split(':').next().unwrap_or_default();
    let format = match name {
        "HardwareCorrupted" => "HardwareCorrupted: %5lu kB".to_owned(),
        "HugePages_Total" | "HugePages_Free" | "HugePages_Rsvd" | "HugePages_Surp" => {
            format!("{:19}%5lu", format!("{name}:"))
        }
        _ => format!("{:16}%8lu kB", format!("{name}:")),
    };
    // A name that no kernel has yet: of a machine that was made up.
    let is_made_up = [
        "MemFrozen",
        "TierPages",
        "Active(tier)",
        "AnExtraordinarilyLongFieldName",
        "FutureCount",
    ];
    let is_known = own.lines().any(|own| own.split(':').next() == Some(name));
    is_known && (prints(&format, line) || is_made_up.contains(&name))
}

fn is_line_of_node(line: &str) -> bool {
    let Some(line) = rest_of("Node %d ", line) else {
        return false;
    };
    let name = line.split(':').next().unwrap_or_default();
    let format = match name {
        "HugePages_Total" | "HugePages_Free" | "HugePages_Surp" => {
            format!("{:17}%5u", format!("{name}:"))
        }
        _ => format!("{:16}%8lu kB", format!("{name}:")),
    };
    prints(&format, line)
}

fn is_line_of_stat(line: &str, own: &str) -> bool {
    let numbers = |rest: &str, count: usize| prints(&" %llu".repeat(count), rest);
    let columns = own
        .lines()
        .next()
        .map_or(0, |line| line.split_whitespace().count() - 1);
    let (name, rest) = line.split_at(line.find(' ').unwrap_or(line.len()));
    match name {
        "cpu" => rest
            .strip_prefix(' ')
            .is_some_and(|rest| numbers(rest, columns)),
        // One zero of an interrupt that never happened may be two: the odd byte of a constant size.
        "intr" => {
            let rest = rest
                .strip_suffix("00")
                .map_or(rest.to_owned(), |rest| rest.to_owned() + "0");
            let count = rest.matches(' ').count();
            count > 1 && numbers(&rest, count)
        }
        "ctxt" | "btime" | "processes" | "procs_running" | "procs_blocked" => numbers(rest, 1),
        _ if name.starts_with("cpu") => prints("cpu%d", name) && numbers(rest, columns),
        // The line of softirqs, and lines of future kernels.
        _ => {
            own.lines().any(|own| own.split(' ').next() == Some(name))
                && numbers(rest, rest.matches(' ').count())
        }
    }
}

/// Returns whether `swap_show` can have printed the line.
fn is_swap(line: &str) -> bool {
    let end = line.find([' ', '\t']).unwrap_or(line.len());
    let path = &line[..end];
    let blanks = " ".repeat(if end < 40 { 40 - end } else { 1 });
    let tab = |number: &str| if number.len() < 8 { "\t" } else { "" };
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, kind, size, used, priority] = *words.as_slice() else {
        return false;
    };
    let kind = match kind {
        "file" => "file\t",
        other => other,
    };
    let whole = format!(
        "{path}{blanks}{kind}\t{size}\t{}{used}\t{}{priority}",
        tab(size),
        tab(used)
    );
    path.starts_with('/')
        && ["partition", "file\t"].contains(&kind)
        && prints("%lu", size)
        && prints("%lu", used)
        && prints("%d", priority)
        && line == whole
}

fn is_disk(line: &str, own: &str) -> bool {
    // Since Linux 4.18 also of discards, and since 5.5 of flushes.
    let known = [11, 15, 17].into_iter();
    let own = own.lines().map(|line| line.split_whitespace().count() - 3);
    known.chain(own).any(|columns| {
        let format = format!("%4d %7d %s{}", " %lu".repeat(columns));
        prints(&format, line)
    })
}

fn is_slab(line: &str) -> bool {
    let name = line.split(' ').next().unwrap_or_default();
    let objects = "%6lu %6lu %6u %4u %4d";
    let format = format!("{name:<17} {objects} : tunables %4u %4u %4u : slabdata %6lu %6lu %6lu");
    prints(&format, line)
}

fn is_line_of_cpuinfo(line: &str, own: &str) -> bool {
    let format = match line.split(['\t', ':']).next() {
        Some("processor") => "processor\t: %u",
        Some("cpu MHz") => "cpu MHz\t\t: %u.%03u",
        Some("physical id") => "physical id\t: %d",
        Some("siblings") => "siblings\t: %d",
        Some("core id") => "core id\t\t: %d",
        Some("cpu cores") => "cpu cores\t: %d",
        _ => return own.lines().any(|own| own == line),
    };
    prints(format, line)
}

fn is_pressure(line: &str) -> bool {
    let averages = "avg10=%lu.%02lu avg60=%lu.%02lu avg300=%lu.%02lu total=%llu";
    ["some ", "full "]
        .iter()
        .any(|kind| prints(&format!("{kind}{averages}"), line))
}

/// Returns whether the lines are those of the kernel's file, in its order.
fn is_complete(path: &str, lines: &[&str], own: &str) -> bool {
    let names = |lines: &[&str]| -> Vec<String> {
        let name = |line: &&str| line.split([':', ' ']).next().unwrap_or_default().to_owned();
        lines.iter().map(name).collect()
    };
    let own: Vec<&str> = own.lines().collect();
    let others = |lines: &[&str]| -> Vec<String> {
        let mut names = names(lines);
        names.retain(|name| !name.starts_with("cpu"));
        names
    };
    match path.rsplit('/').next().unwrap_or_default() {
        "meminfo" | "vmstat" => names(lines) == names(&own),
        "stat" => lines.len() > 2 && others(lines) == others(&own),
        "uptime" | "loadavg" | "online" => lines.len() == 1,
        "slabinfo" => lines.len() == 2 || names(lines) == names(&own),
        "swaps" => !lines.is_empty(),
        "cpuinfo" => lines.iter().any(|line| line.starts_with("processor")),
        _ => true,
    }
}
