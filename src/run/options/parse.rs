//! Pure. The texts of `plimsoll run`'s options as parts of a request.

use std::path::{Component, Path, PathBuf};

use crate::{
    base::units::{Bytes, CpuSet, Limit, Micros},
    run::options::request::{CPU_PERIOD, MAX_MEMORY, MAX_PIDS, MIN_MEMORY, OptionError, Swap},
};

/// The minimum of CPU time per period that the kernel accepts (`min_cfs_quota_period`,
/// kernel/sched/core.c).
const MIN_CPU_QUOTA: Micros = Micros(1000);

/// Parses `--memory`; -1 lifts the limit.
///
/// # Errors
///
/// A text that is not a size, and a size below [`MIN_MEMORY`] or above [`MAX_MEMORY`].
pub fn memory(text: &str) -> Result<Limit<Bytes>, OptionError> {
    if text == "-1" {
        return Ok(Limit::Unlimited);
    }
    let bytes = size("memory", text)?;
    if bytes < MIN_MEMORY {
        return Err(OptionError::TooLittleMemory(bytes));
    }
    Ok(Limit::At(bytes))
}

/// Parses a size of at most [`MAX_MEMORY`].
pub(super) fn size(option: &'static str, text: &str) -> Result<Bytes, OptionError> {
    let size: Bytes = (text.parse()).map_err(|source| OptionError::Size { option, source })?;
    if size > MAX_MEMORY {
        let text = text.to_owned();
        return Err(OptionError::TooMuchMemory { option, text });
    }
    Ok(size)
}

/// Parses `--memory-swap`, with the limit of `--memory`.
///
/// `-1` lifts the limit of swap; `0` is the default, as Docker has it.
///
/// # Errors
///
/// A text that is not a size, a size above [`MAX_MEMORY`], a total without a limit of memory, and a total below that limit.
pub fn swap(text: &str, memory: Limit<Bytes>) -> Result<Swap, OptionError> {
    if text == "-1" {
        return Ok(Swap::Unlimited);
    }
    let total = size("memory-swap", text)?;
    match memory {
        // Docker reads 0 as an absent option.
        _ if total == Bytes::ZERO => Ok(Swap::LikeMemory),
        Limit::Unlimited => Err(OptionError::SwapWithoutMemory),
        Limit::At(memory) if total < memory => Err(OptionError::SwapBelowMemory { total, memory }),
        Limit::At(_) => Ok(Swap::Total(total)),
    }
}

/// Parses `--cpus`, a decimal number like `1.5`, into CPU time per [`CPU_PERIOD`], rounded down.
///
/// # Errors
///
/// A text that is not such a number, a quota below the kernel's minimum, and a number above the
/// count of CPUs in `machine`.
pub fn cpus(text: &str, machine: &CpuSet) -> Result<Micros, OptionError> {
    let count = machine.len();
    let quota =
        quota(text).filter(|quota| (MIN_CPU_QUOTA..=CPU_PERIOD.times(count)).contains(quota));
    quota.ok_or_else(|| OptionError::Cpus {
        text: text.to_owned(),
        count,
    })
}

/// Parses a decimal number of CPUs into CPU time per period; `None` for other texts and at
/// overflow.
fn quota(text: &str) -> Option<Micros> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    // Five digits after the point, because the period has 100,000 microseconds.
    let digits: String = fraction.chars().chain("00000".chars()).take(5).collect();
    let fraction: u64 = digits.parse().ok()?;
    Some(Micros(
        whole.checked_mul(CPU_PERIOD.0)?.checked_add(fraction)?,
    ))
}

/// Parses `--cpuset-cpus`, a list like `0-3,8`.
///
/// # Errors
///
/// A text that is not such a list, an empty list, and a CPU that `machine` does not have.
pub fn cpuset(text: &str, machine: &CpuSet) -> Result<CpuSet, OptionError> {
    CpuSet::parse(text)
        .filter(|set| !set.is_empty() && set.intersection(machine) == *set)
        .ok_or_else(|| OptionError::Cpuset {
            text: text.to_owned(),
            machine: machine.clone(),
        })
}

/// Parses `--pids-limit`; 0 and -1 lift the limit, as Docker has it.
///
/// # Errors
///
/// A text that is not a number, a number above [`MAX_PIDS`], and 1: our init and the command are two
/// processes.
pub fn pids(text: &str) -> Result<Limit<u64>, OptionError> {
    if text == "-1" {
        return Ok(Limit::Unlimited);
    }
    match text.parse::<u64>() {
        Ok(0) => Ok(Limit::Unlimited),
        Ok(count @ 2..=MAX_PIDS) => Ok(Limit::At(count)),
        _ => Err(OptionError::Pids(text.to_owned())),
    }
}

/// Parses `--name`.
///
/// # Errors
///
/// A text other than a letter or digit followed by letters, digits, `_`, `.` and `-`, at most 64 in
/// all.
pub fn name(text: &str) -> Result<String, OptionError> {
    parse_name("name", text, "_ . and -", |c| "_.-".contains(c))
}

/// Parses `--hostname`.
///
/// # Errors
///
/// A text other than a letter or digit followed by letters, digits, `.` and `-`, at most 64 in all:
/// the kernel accepts no more (`__NEW_UTS_LEN`, include/uapi/linux/utsname.h).
pub fn hostname(text: &str) -> Result<String, OptionError> {
    parse_name("hostname", text, ". and -", |c| ".-".contains(c))
}

fn parse_name(
    option: &'static str,
    text: &str,
    others: &'static str,
    is_other: impl Fn(char) -> bool,
) -> Result<String, OptionError> {
    let first = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let rest = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || is_other(c));
    if first && rest && text.len() <= 64 {
        return Ok(text.to_owned());
    }
    let text = text.to_owned();
    Err(OptionError::Name {
        option,
        text,
        others,
    })
}

/// Parses `--env`: a name, and a value unless the value of plimsoll's own environment is meant.
///
/// # Errors
///
/// A text without a name.
pub fn variable(text: &str) -> Result<(String, Option<String>), OptionError> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    if name.is_empty() {
        return Err(OptionError::Variable(text.to_owned()));
    }
    Ok((name.to_owned(), value))
}

/// Parses the text of `--env-file`, as Docker does: a variable on each line, of the form that `--env`
/// has. Empty lines and lines that begin with `#` have no effect.
///
/// # Errors
///
/// A line without a name, and a name with a space.
pub fn variables(text: &str, file: &Path) -> Result<Vec<(String, Option<String>)>, OptionError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |wrong| OptionError::VariableLine {
            file: file.to_owned(),
            line: index + 1,
            wrong,
        };
        let (name, value) =
            variable(line).map_err(|_| wrong("write NAME=VALUE, or NAME to pass the value on"))?;
        if name.contains(char::is_whitespace) {
            return Err(wrong("the name of a variable contains no space"));
        }
        found.push((name, value));
    }
    Ok(found)
}

/// Checks `--workdir`.
///
/// # Errors
///
/// A path that is not absolute, or contains `..`.
pub fn directory(path: &Path) -> Result<PathBuf, OptionError> {
    let has_parent = path.components().any(|part| part == Component::ParentDir);
    if path.is_absolute() && !has_parent {
        return Ok(path.to_owned());
    }
    Err(OptionError::Directory(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> CpuSet {
        CpuSet::parse("0-3").unwrap()
    }

    #[test]
    fn memory_below_the_minimum_is_refused_with_the_minimum() {
        assert_eq!(memory("256M"), Ok(Limit::At(Bytes::from_mib(256))));
        assert_eq!(memory("-1"), Ok(Limit::Unlimited));
        let error = memory("1K").unwrap_err().to_string();
        assert!(error.contains(&MIN_MEMORY.to_string()), "{error}");
        for text in ["12Q", "", "-2", "NaN", "inf", "1e308"] {
            let refused = memory(text);
            assert!(matches!(refused, Err(OptionError::Size { .. })), "{text}");
        }
    }

    #[test]
    fn a_size_that_no_machine_has_is_refused_with_the_maximum() {
        for text in ["99999999999G", "4097T", "18446744073709551616"] {
            let error = memory(text).unwrap_err().to_string();
            assert_eq!(error, format!("--memory {text}: the maximum is 4096T"));
            let error = swap(text, Limit::At(MAX_MEMORY)).unwrap_err().to_string();
            assert_eq!(error, format!("--memory-swap {text}: the maximum is 4096T"));
        }
        assert_eq!(memory("4096T"), Ok(Limit::At(MAX_MEMORY)));
    }

    #[test]
    fn swap_is_the_total_of_memory_and_swap() {
        let memory = Limit::At(Bytes::from_mib(100));
        assert_eq!(swap("-1", memory), Ok(Swap::Unlimited));
        assert_eq!(swap("100m", memory), Ok(Swap::Total(Bytes::from_mib(100))));
        assert_eq!(swap("0", memory), Ok(Swap::LikeMemory));
        assert!(swap("99m", memory).is_err());
        assert_eq!(
            swap("1g", Limit::Unlimited),
            Err(OptionError::SwapWithoutMemory)
        );
    }

    #[test]
    fn cpus_are_read_as_a_decimal_number() {
        for (text, quota) in [
            ("1", 100_000),
            ("1.5", 150_000),
            (".25", 25_000),
            ("0.01", 1000),
        ] {
            assert_eq!(cpus(text, &machine()), Ok(Micros(quota)), "{text}");
        }
    }

    #[test]
    fn cpus_that_are_no_number_or_beyond_the_machine_are_refused() {
        for text in [
            "0",
            "0.001",
            "1e9",
            "1e308",
            "NaN",
            "inf",
            "4.1",
            "-1",
            "",
            ".",
            "1.2.3",
            "99999999999999999999",
        ] {
            assert!(cpus(text, &machine()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_cpuset_outside_the_machine_is_refused() {
        assert_eq!(cpuset("1-2", &machine()).unwrap().to_string(), "1-2");
        for text in ["4", "0-4", "", "x", "3-1"] {
            assert!(cpuset(text, &machine()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_limit_of_processes_leaves_room_for_the_command() {
        assert_eq!(pids("-1"), Ok(Limit::Unlimited));
        assert_eq!(pids("0"), Ok(Limit::Unlimited));
        assert_eq!(pids("100"), Ok(Limit::At(100)));
        assert_eq!(pids("4194304"), Ok(Limit::At(MAX_PIDS)));
        for text in [
            "1",
            "many",
            "-2",
            "4194305",
            "99999999999999999999",
            "NaN",
            "2.5",
            "",
        ] {
            let error = pids(text).unwrap_err().to_string();
            assert!(error.contains("from 2 to 4194304"), "{error}");
        }
    }

    #[test]
    fn a_name_is_safe_in_a_path() {
        assert!(name("web-1.a_b").is_ok());
        for text in ["", ".", "..", "-a", "a/b", "a b", &"a".repeat(65)] {
            assert!(name(text).is_err(), "{text}");
        }
        assert!(hostname("a_b").is_err());
    }

    #[test]
    fn a_variable_has_a_name() {
        assert_eq!(variable("A=b=c"), Ok(("A".into(), Some("b=c".into()))));
        assert_eq!(variable("A"), Ok(("A".into(), None)));
        assert!(variable("=b").is_err());
    }

    #[test]
    fn a_file_of_variables_is_read_as_docker_reads_it() {
        let file = Path::new("f");
        let text = "\u{feff}A=1\n\n# B=2\n  C= 3 # 4 \nD\n";
        let read = variables(text, file).unwrap();
        let value = |value: &str| Some(value.to_owned());
        assert_eq!(
            read,
            [
                ("A".to_owned(), value("1")),
                ("C".to_owned(), value(" 3 # 4 ")),
                ("D".to_owned(), None)
            ]
        );
        let error = variables("A=1\nB C=2\n", file).unwrap_err().to_string();
        assert!(error.starts_with("--env-file f, line 2: "), "{error}");
        assert!(variables("=1", file).is_err());
    }
}
