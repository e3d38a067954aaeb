//! Pure. The list as lines for people. On a terminal the lines fit its width: the columns that matter
//! least are left out first, then names are shortened, and the last text is cut.

use super::{
    columns::{Cell, ListColumn, NORMAL, WIDE},
    listed::ListedContainer,
};
use crate::base::output::{Styled, Tone};
use std::iter;

/// The spaces between two columns.
const GAP: usize = 2;

/// The columns of a terminal that the last column, a text, needs at least.
const MIN_TEXT: usize = 10;

/// The least and the largest width to which a terminal shortens a name.
const NAME_WIDTH: (usize, usize) = (8, 40);

/// The choice of columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListWidth {
    /// The columns of most interest.
    Normal,
    /// All columns.
    Wide,
}

/// The space for the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TableSpace {
    /// The columns of the terminal; `None` for lines of any length.
    pub columns: Option<usize>,
    /// The maximum number of lines, the header among them; `None` for any number.
    pub lines: Option<usize>,
}

/// Returns the list with a newline after each line. `has_header` adds the titles of the columns.
#[must_use]
pub fn table(
    containers: &[ListedContainer],
    width: ListWidth,
    has_header: bool,
    space: TableSpace,
) -> Styled {
    let columns: &[ListColumn] = match width {
        ListWidth::Normal => &NORMAL,
        ListWidth::Wide => &WIDE,
    };
    let room = space.lines.map_or(usize::MAX, |lines| {
        lines.saturating_sub(usize::from(has_header))
    });
    let shown = match containers.len() > room {
        // The last line counts those that have no line.
        true => room.saturating_sub(1),
        false => containers.len(),
    };
    let (shown, hidden) = containers.split_at(shown);
    let rows = shown.iter().map(|one| cells(one, columns, space.columns));
    let header = has_header.then(|| {
        let title = |column: &ListColumn| Cell {
            tone: Tone::Title,
            text: column.title.to_owned(),
        };
        columns.iter().map(title).collect::<Vec<Cell>>()
    });
    let rows: Vec<Vec<Cell>> = header.into_iter().chain(rows).collect();
    let kept = fitting(columns, &widths(&rows, columns.len()), space.columns);
    let lines = rows
        .iter()
        .map(|row| line(row, columns, &kept, space.columns));
    let more = (!hidden.is_empty() && room > 0).then(|| {
        let text = format!("... and {} more", hidden.len());
        let text: String = text
            .chars()
            .take(space.columns.unwrap_or(usize::MAX))
            .collect();
        Styled::default().add(Tone::Note, &(text + "\n"))
    });
    lines.chain(more).collect()
}

/// Returns the cells of a container. A terminal gets short names.
fn cells(one: &ListedContainer, columns: &[ListColumn], terminal: Option<usize>) -> Vec<Cell> {
    let mut cells: Vec<Cell> = columns.iter().map(|column| (column.cell)(one)).collect();
    if let (Some(name), Some(terminal)) = (cells.first_mut(), terminal) {
        let (least, most) = NAME_WIDTH;
        name.text = shortened(&name.text, (terminal / 3).clamp(least, most));
    }
    cells
}

/// Returns the name with its middle left out if it is longer than `max`: the names of pods differ at
/// their ends.
fn shortened(name: &str, max: usize) -> String {
    let length = name.chars().count();
    if length <= max {
        return name.to_owned();
    }
    let kept = max.saturating_sub(2);
    let end = kept / 2;
    let begin = name.chars().take(kept - end);
    let dots = iter::repeat_n('.', max.min(2));
    begin
        .chain(dots)
        .chain(name.chars().skip(length - end))
        .collect()
}

fn widths(rows: &[Vec<Cell>], columns: usize) -> Vec<usize> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(Cell::width).max().unwrap_or_default()
    };
    (0..columns).map(width).collect()
}

/// Returns the columns that fit the terminal, each by its place and its width.
fn fitting(
    columns: &[ListColumn],
    widths: &[usize],
    terminal: Option<usize>,
) -> Vec<(usize, usize)> {
    let mut kept: Vec<(usize, usize)> = widths.iter().copied().enumerate().collect();
    let rank = |place: usize| columns.get(place).map_or(0, |column| column.rank);
    while kept.len() > 1 && terminal.is_some_and(|terminal| needed(&kept) > terminal) {
        let least = (0..kept.len()).min_by_key(|at| kept.get(*at).map(|(place, _)| rank(*place)));
        kept.remove(least.unwrap_or_default());
    }
    kept
}

/// Returns the columns of a terminal that these columns need. The last one can be cut.
fn needed(kept: &[(usize, usize)]) -> usize {
    let widths = kept.iter().map(|(_, width)| *width);
    let last = kept.last().map_or(0, |(_, width)| *width);
    let gaps = GAP * kept.len().saturating_sub(1);
    widths.sum::<usize>() + gaps - last + last.min(MIN_TEXT)
}

/// Returns a row as one line, cut at the end of the terminal.
fn line(
    row: &[Cell],
    columns: &[ListColumn],
    kept: &[(usize, usize)],
    terminal: Option<usize>,
) -> Styled {
    let mut left = terminal.unwrap_or(usize::MAX);
    let mut text = Styled::default();
    for (at, (place, width)) in kept.iter().enumerate() {
        let (Some(cell), Some(column)) = (row.get(*place), columns.get(*place)) else {
            continue;
        };
        let (is_last, space) = (at + 1 == kept.len(), width.saturating_sub(cell.width()));
        let gap = if at > 0 { GAP } else { 0 };
        let (before, after) = match column.is_number {
            true => (gap + space, 0),
            false if is_last => (gap, 0),
            false => (gap, space),
        };
        for (tone, piece) in [
            (Tone::Plain, " ".repeat(before)),
            (cell.tone, cell.text.clone()),
            (Tone::Plain, " ".repeat(after)),
        ] {
            let piece: String = piece.chars().take(left).collect();
            left -= piece.chars().count();
            text = text.add(tone, &piece);
        }
    }
    text.add(Tone::Plain, "\n")
}

#[cfg(test)]
mod tests {
    use super::{
        super::{example::container, listed::ViewState},
        *,
    };
    use crate::{base::units::Bytes, facts::engines::Engine};
    use proptest::{
        collection::vec,
        prelude::{any, prop_assert, proptest},
    };

    fn two() -> Vec<ListedContainer> {
        let mut db = container(Engine::Podman, "db");
        db.memory.as_mut().unwrap().used = Some(Bytes(240 << 20));
        db.view.state = ViewState::None;
        db.view.reason = Some("podman is not set up".to_owned());
        db.view.fix = Some("plimsoll install podman".to_owned());
        (db.cpu, db.pressure) = (None, None);
        vec![container(Engine::Docker, "web"), db]
    }

    fn shown(containers: &[ListedContainer], width: ListWidth, space: TableSpace) -> String {
        table(containers, width, true, space).without_codes()
    }

    fn terminal(columns: usize) -> TableSpace {
        TableSpace {
            columns: Some(columns),
            lines: None,
        }
    }

    #[test]
    fn each_container_has_a_line_with_its_columns_below_the_titles() {
        let expected = "\
NAME  ENGINE  MEMORY  LIMIT  CPU  CPUS  THROTTLED  PRESSURE  UP  VIEW
web   docker    100M   256M  31%   1.5         2%   mem 12%  2h  yes
db    podman    240M   256M    -     -          -         -  2h  no: podman is not set up
";
        assert_eq!(
            shown(&two(), ListWidth::Normal, TableSpace::default()),
            expected
        );
    }

    #[test]
    fn the_wide_list_has_every_column() {
        let text = shown(&two(), ListWidth::Wide, TableSpace::default());
        let lines: Vec<&str> = text.lines().collect();
        for (title, value) in [("ID", "web-id"), ("CGROUP", "/a.slice/web"), ("FIX", "-")] {
            let at = lines[0].find(title).unwrap();
            assert!(lines[1][at..].starts_with(value), "{text}");
        }
        assert!(lines[2].ends_with("plimsoll install podman"), "{text}");
    }

    #[test]
    fn a_narrow_terminal_leaves_out_the_columns_that_matter_least() {
        let expected = "\
NAME  ENGINE  MEMORY  LIMIT  CPU  VIEW
web   docker    100M   256M  31%  yes
db    podman    240M   256M    -  no: podman
";
        assert_eq!(shown(&two(), ListWidth::Normal, terminal(44)), expected);
        let expected = "\
NAME  VIEW
web   yes
db    no: podman is
";
        assert_eq!(shown(&two(), ListWidth::Normal, terminal(19)), expected);
        assert_eq!(
            shown(&two(), ListWidth::Normal, terminal(3)),
            "NAM\nweb\ndb\n"
        );
    }

    #[test]
    fn a_long_name_keeps_its_begin_and_its_end() {
        assert_eq!(
            shortened("kube-system/coredns-7c/coredns", 12),
            "kube-..redns"
        );
        assert_eq!(shortened("web", 3), "web");
        assert_eq!(shortened("long", 3), "l..");
        assert_eq!(shortened("long", 1), ".");
    }

    #[test]
    fn lines_that_do_not_fit_are_counted() {
        let many: Vec<ListedContainer> = (0..10)
            .map(|number| container(Engine::Docker, &number.to_string()))
            .collect();
        let space = |lines| TableSpace {
            columns: Some(80),
            lines: Some(lines),
        };
        let text = shown(&many, ListWidth::Normal, space(5));
        assert_eq!(text.lines().count(), 5, "{text}");
        assert!(text.ends_with("... and 7 more\n"), "{text}");
        assert_eq!(
            shown(&many, ListWidth::Normal, space(11)).lines().count(),
            11
        );
        assert_eq!(shown(&many, ListWidth::Normal, space(1)).lines().count(), 1);
    }

    proptest! {
        #[test]
        fn no_name_leaves_its_line_or_the_terminal(
            names in vec(any::<String>(), 1..4), columns in 1..200_usize,
        ) {
            let containers: Vec<ListedContainer> = names
                .iter()
                .map(|name| {
                    let mut one = container(Engine::Other, name);
                    one.cgroup = Some(name.clone());
                    one.view.reason = Some(name.clone());
                    one.view.fix = Some(name.clone());
                    one
                })
                .collect();
            for width in [ListWidth::Normal, ListWidth::Wide] {
                let text = shown(&containers, width, terminal(columns));
                prop_assert!(text.lines().count() == names.len() + 1, "{:?}", text);
                for line in text.lines() {
                    prop_assert!(line.chars().count() <= columns, "{:?}", line);
                    prop_assert!(!line.contains(char::is_control), "{:?}", line);
                }
            }
        }
    }
}
