//! Pure. The words of `plimsoll run` as parts of a request, checked as far as they alone allow.

use std::path::{Component, Path, PathBuf};

use crate::{
    base::units::{Bytes, CpuSet, Limit, Micros},
    run::options::request::{LEAST_MEMORY, PERIOD, RequestError, Swap, Volume},
};

/// The least CPU time per period that the kernel takes (`min_cfs_quota_period`).
const LEAST_QUOTA: Micros = Micros(1000);

/// What is mounted in a container after its volumes, which would vanish below it.
const KERNELS: [&str; 3] = ["/proc", "/sys", "/dev"];

/// The limit of memory that a user typed.
///
/// # Errors
///
/// When it is no size, or less than a program starts in.
pub fn memory(text: &str) -> Result<Bytes, RequestError> {
    let bytes: Bytes = text.parse().map_err(|source| RequestError::Size {
        option: "memory",
        source,
    })?;
    if bytes < LEAST_MEMORY {
        return Err(RequestError::TooLittleMemory(bytes));
    }
    Ok(bytes)
}

/// The limit of memory and swap that a user typed, beside that of memory.
///
/// # Errors
///
/// When it is no size, stands alone, or is below that of memory.
pub fn swap(text: &str, memory: Limit<Bytes>) -> Result<Swap, RequestError> {
    if text == "-1" {
        return Ok(Swap::Unlimited);
    }
    let total: Bytes = text.parse().map_err(|source| RequestError::Size {
        option: "memory-swap",
        source,
    })?;
    match memory {
        // Docker takes 0 for "not given".
        _ if total == Bytes::ZERO => Ok(Swap::LikeMemory),
        Limit::Unlimited => Err(RequestError::SwapWithoutMemory),
        Limit::At(memory) if total < memory => Err(RequestError::SwapBelowMemory { total, memory }),
        Limit::At(_) => Ok(Swap::Total(total)),
    }
}

/// The CPU time per [`PERIOD`] for a number of CPUs that a user typed, as `1.5`, rounded down.
///
/// # Errors
///
/// When it is no such number, less than the kernel takes, or more than the `machine` has.
pub fn cpus(text: &str, machine: &CpuSet) -> Result<Micros, RequestError> {
    let most = machine.len();
    let quota = quota(text).filter(|quota| (LEAST_QUOTA..=PERIOD.times(most)).contains(quota));
    quota.ok_or_else(|| RequestError::Cpus {
        text: text.to_owned(),
        most,
    })
}

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
    let kept: String = fraction.chars().chain("00000".chars()).take(5).collect();
    let parts: u64 = kept.parse().ok()?;
    Some(Micros(whole.checked_mul(PERIOD.0)?.checked_add(parts)?))
}

/// The CPUs that a user typed, as `0-3,8`.
///
/// # Errors
///
/// When it is no such list, is empty, or names a CPU that the `machine` does not have.
pub fn cpuset(text: &str, machine: &CpuSet) -> Result<CpuSet, RequestError> {
    CpuSet::parse(text)
        .filter(|set| !set.is_empty() && set.intersection(machine) == *set)
        .ok_or_else(|| RequestError::Cpuset {
            text: text.to_owned(),
            machine: machine.clone(),
        })
}

/// The limit of processes that a user typed; 0 and -1 are none, as docker has it.
///
/// # Errors
///
/// When it is no number, or 1: our init and the command are two.
pub fn pids(text: &str) -> Result<Limit<u64>, RequestError> {
    match text.parse::<i64>() {
        Ok(-1 | 0) => Ok(Limit::Unlimited),
        Ok(count) if count >= 2 => Ok(Limit::At(count.unsigned_abs())),
        _ => Err(RequestError::Pids(text.to_owned())),
    }
}

/// The volume that a user typed: `SRC:DST`, `SRC:DST:ro`, `SRC:DST:rw`, or `DST`.
///
/// # Errors
///
/// When it is none of these, or `DST` is not an absolute path below `/`, or is the kernel's own.
pub fn volume(text: &str) -> Result<Volume, RequestError> {
    let wrong = |wrong| RequestError::Volume {
        text: text.to_owned(),
        wrong,
    };
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, read_only) = match *parts.as_slice() {
        [target] => (None, target, false),
        [source, target] => (Some(source), target, false),
        [source, target, "ro"] => (Some(source), target, true),
        [source, target, "rw"] => (Some(source), target, false),
        [_, _, _] => return Err(wrong("what follows the second colon can be ro or rw")),
        _ => return Err(wrong("write SRC:DST, SRC:DST:ro, or DST")),
    };
    if source == Some("") {
        return Err(wrong("the source is empty"));
    }
    if source.is_some_and(|source| !source.contains('/') && !source.starts_with('.')) {
        return Err(wrong(
            "there are no named volumes: write the source as a path, like ./data",
        ));
    }
    let target = Path::new(target);
    let plain = target
        .components()
        .skip(1)
        .all(|part| matches!(part, Component::Normal(_)));
    if !target.is_absolute() || !plain || target.components().count() < 2 {
        return Err(wrong("write the destination as an absolute path below /"));
    }
    if KERNELS.iter().any(|own| target.starts_with(own)) {
        return Err(wrong(
            "/proc, /sys and /dev are the kernel's own in a container, and nothing can be mounted there",
        ));
    }
    Ok(Volume {
        source: source.map(PathBuf::from),
        target: target.to_owned(),
        read_only,
    })
}

/// The container's name that a user typed.
///
/// # Errors
///
/// When it is not a letter or digit, followed by letters, digits, `_`, `.` and `-`, 64 in all.
pub fn name(text: &str) -> Result<String, RequestError> {
    named("name", text, "_ . and -", |c| "_.-".contains(c))
}

/// The host name that a user typed.
///
/// # Errors
///
/// When it is not a letter or digit, followed by letters, digits, `.` and `-`, 64 in all: the
/// kernel takes no more (`__NEW_UTS_LEN`).
pub fn hostname(text: &str) -> Result<String, RequestError> {
    named("hostname", text, ". and -", |c| ".-".contains(c))
}

fn named(
    option: &'static str,
    text: &str,
    inside: &'static str,
    also: impl Fn(char) -> bool,
) -> Result<String, RequestError> {
    let first = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let rest = text.chars().all(|c| c.is_ascii_alphanumeric() || also(c));
    if first && rest && text.len() <= 64 {
        return Ok(text.to_owned());
    }
    let text = text.to_owned();
    Err(RequestError::Name {
        option,
        text,
        inside,
    })
}

/// The variable that a user typed: a name, and a value unless it is to be handed on from here.
///
/// # Errors
///
/// When it has no name.
pub fn variable(text: &str) -> Result<(String, Option<String>), RequestError> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    if name.is_empty() {
        return Err(RequestError::Variable(text.to_owned()));
    }
    Ok((name.to_owned(), value))
}

/// The working directory that a user typed.
///
/// # Errors
///
/// When it is not absolute, or goes up.
pub fn directory(path: &Path) -> Result<PathBuf, RequestError> {
    let up = path.components().any(|part| part == Component::ParentDir);
    if path.is_absolute() && !up {
        return Ok(path.to_owned());
    }
    Err(RequestError::Directory(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> CpuSet {
        CpuSet::parse("0-3").unwrap()
    }

    #[test]
    fn memory_below_what_a_program_starts_in_is_refused_with_the_least() {
        assert_eq!(memory("256M"), Ok(Bytes::from_mib(256)));
        let error = memory("1K").unwrap_err().to_string();
        assert!(error.contains(&LEAST_MEMORY.to_string()), "{error}");
        assert!(matches!(memory("12Q"), Err(RequestError::Size { .. })));
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
            Err(RequestError::SwapWithoutMemory)
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
        assert!(pids("1").is_err());
        assert!(pids("many").is_err());
    }

    #[test]
    fn a_volume_is_read_as_docker_reads_it() {
        let source = Some(PathBuf::from("/a"));
        let target = PathBuf::from("/b");
        for (text, source, read_only) in [
            ("/a:/b", source.clone(), false),
            ("/a:/b:rw", source.clone(), false),
            ("/a:/b:ro", source, true),
            ("/b", None, false),
        ] {
            let target = target.clone();
            assert_eq!(
                volume(text),
                Ok(Volume {
                    source,
                    target,
                    read_only
                })
            );
        }
    }

    #[test]
    fn what_is_no_volume_is_refused() {
        for text in [
            "",
            "b",
            "/a:b",
            "/a:/",
            "/a:/../b",
            "/a:/b:xy",
            "/a:/b:ro:z",
            "data:/b",
            ":/b",
            "/proc/x",
            "/a:/sys",
            "/a:/dev/shm",
        ] {
            assert!(volume(text).is_err(), "{text}");
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
}
