//! Pure. The order of the list, and the containers that a user wants to see.

use super::listed::{ListedContainer, Milli, ViewState};
use crate::{base::units::Bytes, facts::engines::Engine};
use clap::ValueEnum;
use glob::Pattern;
use std::{cmp::Reverse, str::FromStr};

/// The number by which the list is ordered. A text is in ascending order, a number in descending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SortKey {
    /// The engine, then the name
    Engine,
    /// The name
    Name,
    /// The memory in use, the largest first
    Memory,
    /// The memory in use by its limit, the fullest first
    Full,
    /// The CPU time in use, the largest first
    Cpu,
    /// The throttled time, the largest first
    Throttled,
    /// The highest pressure, the largest first
    Pressure,
    /// The uptime, the longest first
    Up,
}

/// A condition on the containers of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListFilter {
    /// The engine of the container.
    Engine(Engine),
    /// A pattern that the name, or the id, has to match.
    Name(Pattern),
    /// The state of the container's files.
    View(ViewState),
}

impl FromStr for ListFilter {
    type Err = String;

    /// Parses `engine=NAME`, `name=PATTERN` or `view=STATE`.
    fn from_str(text: &str) -> Result<ListFilter, String> {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        match key {
            "engine" => {
                let mut known = Engine::EVERY.into_iter();
                let found = known.find(|engine| engine.name() == value);
                let names = || Engine::EVERY.map(Engine::name).join(", ");
                found
                    .map(ListFilter::Engine)
                    .ok_or_else(|| format!("no such engine; the engines are {}", names()))
            }
            "name" => Pattern::new(value)
                .map(ListFilter::Name)
                .map_err(|error| format!("no such pattern: {}", error.msg)),
            "view" => ViewState::from_str(value, false)
                .map(ListFilter::View)
                .map_err(|_| {
                    "no such state; the states are served, none, hangs, dead, unknown".to_owned()
                }),
            _ => Err("write engine=NAME, name=PATTERN or view=STATE".to_owned()),
        }
    }
}

impl ListFilter {
    fn takes(&self, one: &ListedContainer) -> bool {
        match self {
            ListFilter::Engine(engine) => one.engine == *engine,
            ListFilter::View(state) => one.view.state == *state,
            ListFilter::Name(pattern) => pattern.matches(&one.shown) || pattern.matches(&one.id),
        }
    }

    /// Returns a number for the key of the filter.
    fn key(&self) -> u8 {
        match self {
            ListFilter::Engine(_) => 0,
            ListFilter::Name(_) => 1,
            ListFilter::View(_) => 2,
        }
    }
}

/// Returns whether the filters take the container: of the filters of each key, at least one must.
fn is_taken(one: &ListedContainer, filters: &[ListFilter]) -> bool {
    filters.iter().all(|filter| {
        let mut same = filters.iter().filter(|other| other.key() == filter.key());
        same.any(|filter| filter.takes(one))
    })
}

/// Returns the containers that the filters take, in the order of the key. Containers of one rank are
/// ordered by engine and name, and one without the number is the last.
#[must_use]
pub fn sorted(
    containers: Vec<ListedContainer>,
    key: SortKey,
    filters: &[ListFilter],
) -> Vec<ListedContainer> {
    let mut taken: Vec<ListedContainer> = containers
        .into_iter()
        .filter(|one| is_taken(one, filters))
        .collect();
    taken.sort_by(|a, b| {
        let by_name = || (a.engine, &a.shown, &a.id).cmp(&(b.engine, &b.shown, &b.id));
        let rank = match key {
            SortKey::Engine => return by_name(),
            SortKey::Name => (&a.shown, &a.id).cmp(&(&b.shown, &b.id)),
            _ => Reverse(number(a, key)).cmp(&Reverse(number(b, key))),
        };
        rank.then_with(by_name)
    });
    taken
}

/// Returns the number by which a container is ranked.
fn number(one: &ListedContainer, key: SortKey) -> Option<u64> {
    let rate = |rate: Option<Milli>| rate.map(|rate| u64::from(rate.0));
    match key {
        SortKey::Memory => one.memory?.used.map(|used| used.0),
        SortKey::Full => {
            let memory = one.memory?;
            memory.used.map(|used| fullness(used, memory.total))
        }
        SortKey::Cpu => rate(one.cpu?.used),
        SortKey::Throttled => rate(one.cpu?.throttled),
        SortKey::Pressure => {
            let pressure = one.pressure?;
            rate(pressure.cpu.max(pressure.memory).max(pressure.io))
        }
        SortKey::Up => one.uptime,
        SortKey::Engine | SortKey::Name => None,
    }
}

/// Returns the part of the total that is in use, in thousandths.
fn fullness(used: Bytes, total: Bytes) -> u64 {
    let part = u128::from(used.0) * 1000 / u128::from(total.0.max(1));
    u64::try_from(part).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{super::example::container, *};

    fn names(containers: &[ListedContainer]) -> Vec<&str> {
        containers.iter().map(|one| one.shown.as_str()).collect()
    }

    fn three() -> Vec<ListedContainer> {
        let mut b = container(Engine::Docker, "b");
        b.memory.as_mut().unwrap().used = Some(Bytes(200 << 20));
        let mut a = container(Engine::Podman, "a");
        a.cpu.as_mut().unwrap().used = None;
        a.view.state = ViewState::None;
        let mut c = container(Engine::Docker, "c");
        c.cpu.as_mut().unwrap().used = Some(Milli(900));
        c.memory.as_mut().unwrap().total = Bytes(101 << 20);
        vec![c, b, a]
    }

    #[test]
    fn the_largest_number_comes_first_and_an_unknown_one_last() {
        for (key, expected) in [
            (SortKey::Engine, ["b", "c", "a"]),
            (SortKey::Name, ["a", "b", "c"]),
            (SortKey::Memory, ["b", "c", "a"]),
            (SortKey::Full, ["c", "b", "a"]),
            (SortKey::Cpu, ["c", "b", "a"]),
        ] {
            assert_eq!(names(&sorted(three(), key, &[])), expected, "{key:?}");
        }
    }

    #[test]
    fn filters_of_one_key_add_and_those_of_two_keys_restrict() {
        for (filters, expected) in [
            (&["engine=docker"][..], &["b", "c"][..]),
            (&["engine=docker", "engine=podman"], &["b", "c", "a"]),
            (&["engine=docker", "name=c*"], &["c"]),
            (&["view=none"], &["a"]),
            (&["name=a-id"], &["a"]),
            (&["view=dead"], &[]),
        ] {
            let filters: Vec<ListFilter> =
                filters.iter().map(|text| text.parse().unwrap()).collect();
            assert_eq!(
                names(&sorted(three(), SortKey::Engine, &filters)),
                expected,
                "{filters:?}"
            );
        }
    }

    #[test]
    fn a_filter_that_could_never_match_is_refused_with_what_there_is() {
        for (text, said) in [
            ("engine=dokcer", "the engines are docker, podman"),
            ("view=no", "the states are served, none"),
            ("status=up", "write engine=NAME"),
            ("name=[", "no such pattern"),
            ("", "write engine=NAME"),
        ] {
            let error = text.parse::<ListFilter>().unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
