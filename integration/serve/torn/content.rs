//! The form of each file, and the relations of its numbers to each other and to earlier ones.

use std::{collections::HashMap, fmt};

/// A fault in the content of a read.
#[derive(Debug)]
pub(crate) struct Fault {
    what: String,
    text: String,
}

impl Fault {
    pub(crate) fn new(what: impl Into<String>, text: &[u8]) -> Fault {
        Fault {
            what: what.into(),
            text: text.escape_ascii().to_string(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} in: {}", self.what, self.text)
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Fault {
        Fault::new(error.to_string(), b"")
    }
}

/// The earlier reads of one file by one thread.
#[derive(Default)]
pub(crate) struct Past {
    /// The names of the lines, which are constant.
    names: Option<Vec<String>>,
    /// The bytes of a read with a space for every digit. The result is constant.
    shape: Option<Vec<u8>>,
    /// The last values of the counters.
    counters: HashMap<String, Vec<u64>>,
}

/// The kind of a file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Content {
    Meminfo,
    Stat,
    Cpuinfo,
    Uptime,
    Loadavg,
    Swaps,
    Vmstat,
    Diskstats,
    Slabinfo,
    List,
}

impl Content {
    pub(crate) fn of(file: &str) -> Content {
        match file.rsplit('/').next().unwrap() {
            "meminfo" => Content::Meminfo,
            "stat" => Content::Stat,
            "cpuinfo" => Content::Cpuinfo,
            "uptime" => Content::Uptime,
            "loadavg" => Content::Loadavg,
            "swaps" => Content::Swaps,
            "vmstat" => Content::Vmstat,
            "diskstats" => Content::Diskstats,
            "slabinfo" => Content::Slabinfo,
            "online" => Content::List,
            other => panic!("the form of {other} is unknown"),
        }
    }

    /// Asserts that every byte that is neither digit nor space has a constant place in a file of constant size:
    /// numbers are right-aligned, and no line depends on the CPUs or disks.
    pub(crate) fn has_one_shape(self) -> bool {
        matches!(self, Content::Meminfo | Content::Slabinfo)
    }

    /// Verifies that every byte is text, that no line is cut or mixed, and that the lines are those of before.
    pub(crate) fn verify_layout(self, bytes: &[u8], past: &mut Past) -> Result<(), Fault> {
        let fault = |what: &str| Fault::new(what, bytes);
        verify_bytes(bytes)?;
        let text = std::str::from_utf8(bytes).map_err(|_| fault("the content is no text"))?;
        if text.is_empty() && self == Content::Diskstats {
            return Ok(());
        }
        if !text.ends_with('\n') {
            return Err(fault("the last line is cut"));
        }
        // cpuinfo ends in an empty line.
        let text = match self {
            Content::Cpuinfo => text.trim_end_matches('\n'),
            _ => text,
        };
        let mut names = Vec::new();
        for line in text.lines() {
            if !self.is_line(line) {
                return Err(fault(&format!("a malformed line: {line:?}")));
            }
            names.push(name(line));
        }
        let is_complete = match self {
            Content::Meminfo | Content::Vmstat | Content::Slabinfo => {
                past.names.get_or_insert_with(|| names.clone()) == &names
            }
            Content::Stat => {
                let is_of_cpu = |name: &String| name.starts_with("cpu");
                let cpus = names.iter().take_while(|name| is_of_cpu(name)).count();
                names.drain(..cpus);
                cpus > 1 && past.names.get_or_insert_with(|| names.clone()) == &names
            }
            Content::Cpuinfo => {
                // Each paragraph of a processor has the lines of the first one.
                let lines = text
                    .split("\n\n")
                    .map(|paragraph| -> Vec<String> { paragraph.lines().map(name).collect() });
                let lines: Vec<_> = lines.collect();
                let first = past.names.get_or_insert_with(|| lines[0].clone());
                lines.iter().all(|lines| lines == first)
            }
            Content::Swaps => names.first().is_some_and(|name| name == "Filename"),
            Content::Uptime | Content::Loadavg | Content::List => names.len() == 1,
            Content::Diskstats => true,
        };
        if !is_complete {
            return Err(fault("the lines are not those of before"));
        }
        let shape = shape(bytes);
        past.shape.get_or_insert(shape);
        Ok(())
    }

    fn is_line(self, line: &str) -> bool {
        let words: Vec<&str> = line.split_whitespace().collect();
        let numbers = |words: &[&str]| words.iter().all(|word| is_number(word));
        match self {
            Content::Meminfo => match *words.as_slice() {
                [name, number] => name.ends_with(':') && is_number(number),
                [name, number, "kB"] => name.ends_with(':') && is_number(number),
                _ => false,
            },
            Content::Stat => match words.split_first() {
                Some((name, rest)) if name.starts_with("cpu") => {
                    let id = &name[3..];
                    (id.is_empty() || is_number(id)) && rest.len() == 10 && numbers(rest)
                }
                Some((&("intr" | "softirq"), rest)) => !rest.is_empty() && numbers(rest),
                Some((name, rest)) => {
                    name.bytes()
                        .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
                        && rest.len() == 1
                        && numbers(rest)
                }
                None => false,
            },
            Content::Cpuinfo => match line.split_once(':') {
                Some(("processor\t", number)) => is_number(number.trim()),
                Some((name, _)) => name.bytes().any(|byte| byte.is_ascii_alphabetic()),
                None => line.is_empty(),
            },
            Content::Uptime => words.len() == 2 && words.iter().all(|word| is_hundredths(word)),
            Content::Loadavg => match *words.as_slice() {
                [one, five, fifteen, tasks, last] => {
                    let tasks = tasks.split_once('/');
                    [one, five, fifteen].into_iter().all(is_hundredths)
                        && tasks.is_some_and(|(some, all)| is_number(some) && is_number(all))
                        && is_number(last)
                }
                _ => false,
            },
            Content::Swaps => words.len() == 5 && (words[0] == "Filename" || numbers(&words[2..4])),
            Content::Vmstat => words.len() == 2 && !is_number(words[0]) && is_number(words[1]),
            Content::Diskstats => words.len() >= 14 && numbers(&words[..2]) && numbers(&words[3..]),
            Content::Slabinfo => line.starts_with("slabinfo") || line.starts_with('#'),
            Content::List => line.split([',', '-']).all(is_number),
        }
    }

    /// Verifies the relations of the numbers of one moment to each other, and to those of earlier reads.
    pub(crate) fn verify_numbers(self, bytes: &[u8], past: &mut Past) -> Result<(), Fault> {
        let text = String::from_utf8_lossy(bytes);
        let fault = |what: String| Fault::new(what, bytes);
        match self {
            Content::Meminfo => {
                let kib = |name: &str| crate::harness::field(&text, name);
                let sizes = ["MemFree", "MemAvailable", "MemTotal"].map(kib);
                if !sizes.is_sorted() {
                    return Err(fault(
                        "MemFree <= MemAvailable <= MemTotal fails".to_owned(),
                    ));
                }
            }
            Content::Stat => {
                let rows = text.lines().take_while(|line| line.starts_with("cpu"));
                let rows: Vec<(String, Vec<u64>)> =
                    rows.map(|line| (name(line), numbers(line))).collect();
                for (name, row) in &rows {
                    past.grow(name, row).map_err(fault)?;
                }
                let (total, cpus) = rows.split_first().unwrap();
                for (column, total) in total.1.iter().enumerate() {
                    let sum: u64 = cpus.iter().map(|(_, row)| row[column]).sum();
                    // The total also holds the ticks of CPUs that are no longer seen.
                    if sum > total + rows.len() as u64 {
                        return Err(fault(format!("column {column}: {sum} of {total} ticks")));
                    }
                }
            }
            Content::Uptime => past.grow("", &numbers(&text)).map_err(fault)?,
            Content::Vmstat => {
                let counts = |line: &&str| line.starts_with("pgfault") || line.starts_with("pgpg");
                for line in text.lines().filter(counts) {
                    past.grow(&name(line), &numbers(line)).map_err(fault)?;
                }
            }
            Content::Cpuinfo => {
                let is_first = |line: &&str| line.starts_with("processor");
                let ids = text.lines().filter(is_first);
                let ids: Vec<u64> = ids
                    .map(|line| line.split(": ").nth(1).unwrap().parse().unwrap())
                    .collect();
                if !ids.is_sorted_by(|one, next| one < next) {
                    return Err(fault(format!("processors {ids:?}")));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns the memory limit that the content shows, in KiB.
    pub(crate) fn limit(self, bytes: &[u8]) -> Option<u64> {
        let text = String::from_utf8_lossy(bytes);
        (self == Content::Meminfo).then(|| crate::harness::field(&text, "MemTotal"))
    }

    /// Verifies a piece of a file. If the layout is constant, every letter must be in its place.
    pub(crate) fn verify_piece(
        self,
        piece: &[u8],
        offset: usize,
        is_constant: bool,
        past: &Past,
    ) -> Result<(), Fault> {
        verify_bytes(piece)?;
        let Some(whole) = past
            .shape
            .as_ref()
            .filter(|_| is_constant && self.has_one_shape())
        else {
            return Ok(());
        };
        let wanted = whole.get(offset..offset + piece.len()).unwrap_or_default();
        if shape(piece) != wanted {
            return Err(Fault::new(format!("the layout differs at {offset}"), piece));
        }
        Ok(())
    }
}

impl Past {
    /// Verifies that no number of a row is less than before.
    fn grow(&mut self, name: &str, row: &[u64]) -> Result<(), String> {
        let last = self.counters.entry(name.to_owned()).or_default();
        let runs_back = last.iter().zip(row).any(|(last, now)| now < last);
        if runs_back {
            return Err(format!("{name} runs back from {last:?}"));
        }
        *last = row.to_owned();
        Ok(())
    }
}

pub(crate) fn verify_bytes(bytes: &[u8]) -> Result<(), Fault> {
    let is_text = |byte: &u8| (b' '..=b'~').contains(byte) || b"\n\t".contains(byte);
    match bytes.iter().position(|byte| !is_text(byte)) {
        Some(at) => Err(Fault::new(format!("byte {} at {at}", bytes[at]), bytes)),
        None => Ok(()),
    }
}

fn name(line: &str) -> String {
    let end = line.find([' ', ':', '\t']).unwrap_or(line.len());
    line[..end].to_owned()
}

/// Returns the numbers in a line. A number with two decimals is in hundredths.
fn numbers(line: &str) -> Vec<u64> {
    line.split_whitespace()
        .filter_map(|word| word.replace('.', "").parse().ok())
        .collect()
}

fn shape(bytes: &[u8]) -> Vec<u8> {
    let digit = |byte: &u8| if byte.is_ascii_digit() { b' ' } else { *byte };
    bytes.iter().map(digit).collect()
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_hundredths(word: &str) -> bool {
    word.split_once('.')
        .is_some_and(|(whole, part)| is_number(whole) && is_number(part) && part.len() == 2)
}

#[test]
fn the_verifier_finds_torn_content() {
    const WHOLE: &[u8] = b"MemTotal:  900 kB\nMemFree:   100 kB\nMemAvailable: 200 kB\n";
    let verify = |torn: &[u8]| {
        let mut past = Past::default();
        let content = Content::of("proc/meminfo");
        content.verify_layout(WHOLE, &mut past).unwrap();
        content.verify_layout(torn, &mut past)?;
        content.verify_numbers(torn, &mut past)
    };
    assert!(verify(WHOLE).is_ok());
    let replace = |what: &str, by: &str| {
        let text = std::str::from_utf8(WHOLE).unwrap();
        text.replace(what, by).into_bytes()
    };
    for (torn, what) in [
        (replace("900", "9\0\0"), "a NUL"),
        (replace("200 kB\n", ""), "no end"),
        (replace("200 kB\n", "200 k\n"), "a cut unit"),
        (replace("kB\nMemFree:", "kMemFree:"), "a lost newline"),
        (replace("MemFree", "MemFred"), "a mixed name"),
        (replace("MemFree:   100 kB\n", ""), "a lost line"),
        (replace("100", "300"), "numbers of two moments"),
    ] {
        assert!(verify(&torn).is_err(), "{what} is not found");
    }
}

#[test]
fn the_verifier_finds_a_counter_that_runs_back() {
    let mut past = Past::default();
    let content = Content::of("proc/uptime");
    let mut verify = |text: &[u8]| content.verify_numbers(text, &mut past).is_ok();
    assert!(verify(b"10.00 5.00\n"));
    assert!(verify(b"10.01 5.00\n"));
    assert!(!verify(b"10.01 4.99\n"));
}
