//! Pure. The chart: each file has one bar for each contestant, and the length of a bar is the time of a read.
//!
//! The chart leaves `slabinfo` out, because the kernel's own file with its many slabs would make all other bars
//! short.

use crate::{
    results::{Results, Scene},
    support::{contestant::Whose, reader::Way, short},
};
use std::fmt::Write;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 130.0;
const BAR_WIDTH: f64 = 520.0;
const BAR: f64 = 15.0;
const TOP: f64 = 118.0;

const TITLE: &str = "Reading a container's files: open + read + close";

/// A page with a dark background shows the chart in the second set of colours.
const STYLE: &str = "
text { fill: #1a1a1a } .faint { fill: #444 } .paper { fill: #fff }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .faint { fill: #aab4be } .paper { fill: #0d1117 }
}
";

const BARS: [(Whose, &str, &str); 4] = [
    (Whose::Lxcfs, "lxcfs", "#e07b39"),
    (Whose::Native, "the kernel's own /proc", "#9aa5b1"),
    (Whose::PlimsollShared, "Plimsoll, shared tree", "#7fb5e6"),
    (Whose::Plimsoll, "Plimsoll", "#1f6fb2"),
];

/// Draws the whole chart as SVG.
pub(crate) fn draw(results: &Results) -> String {
    let bars: Vec<_> = BARS
        .into_iter()
        .filter(|(whose, ..)| results.has(*whose))
        .collect();
    let mut files = results.files();
    files.retain(|file| *file != "proc/slabinfo");
    let group = BAR * bars.len() as f64 + 14.0;
    let height = TOP + group * files.len() as f64 + 52.0;
    let mut out = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" font-family="DejaVu Sans, Helvetica, Arial, sans-serif" font-size="13">
<title>{TITLE}</title>
<style>{STYLE}</style>
<rect width="{WIDTH}" height="{height}" class="paper"/>
<text x="20" y="34" font-size="20" font-weight="bold">{TITLE}</text>
<text x="20" y="57" class="faint">Median time of one reader; shorter is better</text>
"#
    );
    let mut x = 20.0;
    for (_, name, colour) in &bars {
        let (box_y, text_y) = (TOP - 42.0, TOP - 30.0);
        let _ = writeln!(
            out,
            r#"<rect x="{x}" y="{box_y}" width="14" height="14" fill="{colour}"/><text x="{}" y="{text_y}">{name}</text>"#,
            x + 20.0
        );
        x += 50.0 + 8.0 * name.len() as f64;
    }
    let of = |file: &str, whose| results.of(Scene::OneReader, Way::Open, file, whose);
    let longest = files
        .iter()
        .flat_map(|file| bars.iter().filter_map(|(whose, ..)| of(file, *whose)))
        .fold(1.0, |longest: f64, figures| longest.max(figures.median));
    let mut y = TOP;
    for file in &files {
        let middle = y + BAR * bars.len() as f64 / 2.0 + 4.0;
        let name = short(file);
        let _ = writeln!(
            out,
            r#"<text x="{}" y="{middle}" text-anchor="end" font-weight="bold">{name}</text>"#,
            LEFT - 12.0
        );
        for (whose, _, colour) in &bars {
            if let Some(figures) = of(file, *whose) {
                let length = (figures.median / longest * BAR_WIDTH).max(1.5);
                let label = label(results, file, *whose, figures.median);
                let _ = writeln!(
                    out,
                    r#"<rect x="{LEFT}" y="{y}" width="{length:.1}" height="{}" fill="{colour}"/><text x="{:.1}" y="{}" font-size="12">{label}</text>"#,
                    BAR - 2.0,
                    LEFT + length + 7.0,
                    y + BAR - 4.0
                );
            } else {
                let _ = writeln!(
                    out,
                    r#"<text x="{LEFT}" y="{}" font-size="12" class="faint">not served</text>"#,
                    y + BAR - 4.0
                );
            }
            y += BAR;
        }
        y += 14.0;
    }
    let machine = &results.machine;
    let foot = format!(
        "{}, Linux {}, cgroup {}, {}{}",
        machine.machine,
        machine.kernel,
        machine.cgroups,
        machine
            .lxcfs
            .as_ref()
            .map_or(String::new(), |version| format!("lxcfs {version}, ")),
        machine.date
    );
    let _ = writeln!(
        out,
        r#"<text x="20" y="{}" font-size="11" class="faint">{}</text>
<text x="20" y="{}" font-size="11" class="faint">{}</text>
</svg>"#,
        height - 30.0,
        escaped(&foot),
        height - 14.0,
        escaped(&machine.command)
    );
    out
}

/// Returns the label of a bar: the time, and for Plimsoll the ratio to the others.
fn label(results: &Results, file: &str, whose: Whose, median: f64) -> String {
    let mut label = format!("{median:.1} µs");
    let other = |whose| results.of(Scene::OneReader, Way::Open, file, whose);
    if !matches!(whose, Whose::Plimsoll | Whose::PlimsollShared) {
        return label;
    }
    if let Some(lxcfs) = other(Whose::Lxcfs) {
        let _ = write!(label, ", {} lxcfs", compared(lxcfs.median / median));
    }
    if let Some(native) = other(Whose::Native) {
        let times = compared(native.median / median);
        let _ = write!(label, ", {times} the kernel");
    }
    label
}

fn compared(times: f64) -> String {
    let number = |times: f64| {
        if times < 10.0 {
            format!("{times:.1}")
        } else {
            format!("{times:.0}")
        }
    };
    if times >= 1.0 {
        format!("{}× faster than", number(times))
    } else {
        format!("{}× slower than", number(1.0 / times))
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
