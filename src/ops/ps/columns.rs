//! Pure. The columns of the list: the text of a container in each.

use super::listed::{ListedContainer, ListedCpu, ListedPressure, Milli, ViewState};
use crate::base::{
    output::{Tone, escaped},
    units::Bytes,
};

/// The use of a limit of memory from which on the number has the colour of a warning, in percent.
const NEARLY_FULL: u128 = 90;

/// A column of the list.
#[derive(Clone, Copy)]
pub(super) struct ListColumn {
    pub(super) title: &'static str,
    /// True for numbers, which stand at the right.
    pub(super) is_number: bool,
    /// The column with the lowest rank is left out first.
    pub(super) rank: u8,
    pub(super) cell: fn(&ListedContainer) -> Cell,
}

/// The text of a container in a column.
pub(super) struct Cell {
    pub(super) tone: Tone,
    pub(super) text: String,
}

impl Cell {
    fn plain(text: impl Into<String>) -> Cell {
        Cell {
            tone: Tone::Plain,
            text: text.into(),
        }
    }

    /// Returns the cell of a number, or of one that is not known.
    fn number(text: Option<String>) -> Cell {
        Cell::plain(text.unwrap_or_else(|| "-".to_owned()))
    }

    pub(super) fn width(&self) -> usize {
        self.text.chars().count()
    }
}

/// Returns a column of numbers.
const fn number(title: &'static str, rank: u8, cell: fn(&ListedContainer) -> Cell) -> ListColumn {
    ListColumn {
        title,
        is_number: true,
        rank,
        cell,
    }
}

/// Returns a column of texts.
const fn text(title: &'static str, rank: u8, cell: fn(&ListedContainer) -> Cell) -> ListColumn {
    ListColumn {
        title,
        is_number: false,
        rank,
        cell,
    }
}

/// The column of names, which no terminal leaves out.
const NAME: ListColumn = text("NAME", u8::MAX, |one| {
    Cell::plain(escaped(&one.shown).to_string())
});

const ENGINE: ListColumn = text("ENGINE", 5, |one| Cell::plain(one.engine.name()));

pub(super) const NORMAL: [ListColumn; 10] = [
    NAME,
    ENGINE,
    number("MEMORY", 8, memory),
    number("LIMIT", 7, memory_limit),
    number("CPU", 6, |one| rate(one, |cpu| cpu.used)),
    number("CPUS", 4, cpus),
    number("THROTTLED", 2, |one| rate(one, |cpu| cpu.throttled)),
    number("PRESSURE", 3, highest_pressure),
    number("UP", 1, up),
    text("VIEW", 9, view),
];

pub(super) const WIDE: [ListColumn; 17] = [
    NAME,
    ENGINE,
    text("ID", 3, |one| Cell::plain(escaped(&one.id).to_string())),
    number("PID", 4, |one| Cell::plain(one.pid.to_string())),
    number("MEMORY", 18, memory),
    number("LIMIT", 17, memory_limit),
    number("SWAP", 8, swap),
    number("CPU", 16, |one| rate(one, |cpu| cpu.used)),
    number("CPUS", 15, cpus),
    number("THROTTLED", 14, |one| rate(one, |cpu| cpu.throttled)),
    number("CPU-WAIT", 13, |one| pressure(one, |wait| wait.cpu)),
    number("MEM-WAIT", 12, |one| pressure(one, |wait| wait.memory)),
    number("IO-WAIT", 11, |one| pressure(one, |wait| wait.io)),
    number("UP", 10, up),
    text("CGROUP", 2, |one| {
        let cgroup = one.cgroup.as_deref().unwrap_or("-");
        Cell::plain(escaped(cgroup).to_string())
    }),
    text("VIEW", 19, view),
    text("FIX", 1, |one| {
        let text = one.view.fix.as_ref().or(one.problem.as_ref());
        let text = text.map_or("-", String::as_str);
        Cell {
            tone: Tone::Command,
            text: escaped(text).to_string(),
        }
    }),
];

fn memory(one: &ListedContainer) -> Cell {
    let known = one.memory.and_then(|memory| Some((memory, memory.used?)));
    let Some((memory, used)) = known else {
        return Cell::number(None);
    };
    let is_nearly_full =
        memory.limited && u128::from(used.0) * 100 >= u128::from(memory.total.0) * NEARLY_FULL;
    Cell {
        tone: match is_nearly_full {
            true => Tone::Warning,
            false => Tone::Plain,
        },
        text: compact(used),
    }
}

fn memory_limit(one: &ListedContainer) -> Cell {
    let limited = one.memory.filter(|memory| memory.limited);
    Cell::number(limited.map(|memory| compact(memory.total)))
}

fn swap(one: &ListedContainer) -> Cell {
    let swap = one.memory.filter(|memory| memory.swap_total > Bytes::ZERO);
    Cell::number(swap.map(|memory| compact(memory.swap_used)))
}

/// Returns the CPU time that the container may use for each second; "-" without a limit.
fn cpus(one: &ListedContainer) -> Cell {
    let limit = one.cpu.and_then(|cpu| {
        let seen = cpu.limited.then(|| {
            Milli::saturating(
                u128::try_from(cpu.cpus)
                    .unwrap_or(u128::MAX)
                    .saturating_mul(1000),
            )
        });
        seen.into_iter().chain(cpu.quota).min()
    });
    Cell::number(limit.map(decimal))
}

fn rate(one: &ListedContainer, of: fn(&ListedCpu) -> Option<Milli>) -> Cell {
    let rate = one.cpu.as_ref().and_then(of);
    Cell::number(rate.map(|rate| format!("{}%", rounded(rate, 10))))
}

fn pressure(one: &ListedContainer, of: fn(&ListedPressure) -> Option<Milli>) -> Cell {
    let share = one.pressure.as_ref().and_then(of);
    Cell::number(share.map(|share| format!("{}%", rounded(share, 1000))))
}

/// Returns the highest pressure, with the resource for which the tasks wait.
fn highest_pressure(one: &ListedContainer) -> Cell {
    let Some(pressure) = one.pressure else {
        return Cell::number(None);
    };
    let waits = [
        ("cpu", pressure.cpu),
        ("mem", pressure.memory),
        ("io", pressure.io),
    ];
    let waits = waits
        .into_iter()
        .filter_map(|(name, share)| Some((name, share?)));
    let highest = waits.max_by_key(|(_, share)| *share);
    Cell::number(highest.map(|(name, share)| match rounded(share, 1000) {
        0 => "0%".to_owned(),
        share => format!("{name} {share}%"),
    }))
}

fn up(one: &ListedContainer) -> Cell {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];
    Cell::number(one.uptime.map(|seconds| {
        // Two of a unit at least, so that the rounding is less than a half.
        let unit = UNITS.into_iter().find(|(length, _)| seconds >= 2 * length);
        let (length, name) = unit.unwrap_or((1, "s"));
        format!("{}{name}", seconds / length)
    }))
}

fn view(one: &ListedContainer) -> Cell {
    let view = &one.view;
    let reason = view
        .reason
        .as_deref()
        .map(|reason| escaped(reason).to_string());
    let with = |state: &str| match &reason {
        Some(reason) => format!("{state}: {reason}"),
        None => state.to_owned(),
    };
    let (tone, text) = match view.state {
        ViewState::Served => (Tone::Good, with("yes")),
        ViewState::None if view.fix.is_some() => (Tone::Warning, with("no")),
        ViewState::None => (Tone::Note, with("no")),
        ViewState::Hangs => (Tone::Error, with("hangs")),
        ViewState::Dead => (Tone::Error, with("dead")),
        ViewState::Unknown => (Tone::Note, with("unknown")),
    };
    Cell { tone, text }
}

/// Returns the number of units, rounded to the nearest one.
fn rounded(number: Milli, unit: u32) -> u32 {
    number.0.saturating_add(unit / 2) / unit
}

/// Returns the number without zeros at its end: `2`, `1.5`.
fn decimal(number: Milli) -> String {
    let (whole, part) = (number.0 / 1000, number.0 % 1000);
    match part {
        0 => whole.to_string(),
        part => format!("{whole}.{part:03}")
            .trim_end_matches('0')
            .to_owned(),
    }
}

/// Returns a size in at most six characters, rounded to the nearest number: `17B`, `1.5G`, `256M`.
fn compact(size: Bytes) -> String {
    const UNITS: [(u32, &str); 5] = [(50, "P"), (40, "T"), (30, "G"), (20, "M"), (10, "K")];
    let unit = UNITS.into_iter().find(|(shift, _)| size.0 >> shift > 0);
    let Some((shift, name)) = unit else {
        return format!("{}B", size.0);
    };
    let half = 1_u128 << (shift - 1);
    let rounded = |parts: u128| (u128::from(size.0) * parts + half) >> shift;
    match rounded(10) {
        tenths if tenths < 100 && tenths % 10 != 0 => {
            format!("{}.{}{name}", tenths / 10, tenths % 10)
        }
        tenths if tenths < 100 => format!("{}{name}", tenths / 10),
        _ => format!("{}{name}", rounded(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_numbers_are_short() {
        for (size, text) in [
            (0, "0B"),
            (1023, "1023B"),
            (1536, "1.5K"),
            (256 << 20, "256M"),
            ((1 << 30) + (200 << 20), "1.2G"),
            (u64::MAX, "16384P"),
        ] {
            assert_eq!(compact(Bytes(size)), text);
        }
        let decimals = [Milli(500), Milli(2000), Milli(1250)].map(decimal);
        assert_eq!(decimals, ["0.5", "2", "1.25"]);
    }
}
