//! The pictures of the documents can be read alone, on a light and on a dark page.

use std::{fs, path::PathBuf, process::Command};

use super::{check, source::root};
use crate::harness::stdout_of;

/// The numbers that `integration/lab/survive --data` writes of a run of 40 s with a kill, an upgrade and a hang.
const RUN: &str = r#"{"reads": 9000, "errors": 0, "seconds": 40.0,
    "slowest": [[0.0, 0.0001], [10.0, 2.0], [20.0, 0.0001], [40.0, 0.0001]],
    "events": [[10.0, "kill"], [20.0, "upgrade"], [30.0, "hang"]]}"#;

/// A terminal of two lines, of which the second one appears after 2 s.
const RECORDING: &str = r#"{"version": 2, "width": 80, "height": 24}
[0.5, "o", "\u001b[1mA title\u001b[0m\r\n"]
[2.0, "o", "   \u001b[36m# free <1>"]
[2.5, "o", "\u001b[0m\r\n"]
"#;

/// The pictures of the tree.
fn pictures() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("packaging")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|own| own == "svg"))
        .collect()
}

/// The parts that a picture lacks.
fn missing(picture: &str) -> Vec<&'static str> {
    let parts = [
        "<title",
        "font-weight=\"bold\"",
        "prefers-color-scheme: dark",
    ];
    let missing = parts.into_iter().filter(|part| !picture.contains(part));
    missing.collect()
}

/// The horizontal places of the marks of one kind of event.
fn marks(picture: &str, kind: &str) -> Vec<String> {
    let begin = format!("<path class=\"{kind}\" d=\"");
    let path = picture.split(&begin).nth(1);
    let path = path.and_then(|rest| rest.split('"').next()).unwrap_or("");
    let marks = path.split('M').skip(1);
    let places = marks.filter_map(|mark| mark.split(' ').next());
    places.map(str::to_owned).collect()
}

/// The lines of text in a picture, in their order, without the tags in them.
fn text_lines(picture: &str) -> Vec<String> {
    let lines = picture.split("<text ").skip(1);
    let lines = lines.filter_map(|line| line.split_once('>')?.1.split("</text>").next());
    let plain = |line: &str| {
        let pieces = line.split('<');
        let pieces = pieces.map(|piece| piece.split_once('>').map_or(piece, |(_, text)| text));
        pieces.collect::<String>().trim().to_owned()
    };
    lines.map(plain).collect()
}

/// The text that a script prints as a picture of a recording, or of a file of numbers.
fn drawn_by(script: &str, data: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("data");
    fs::write(&file, data).unwrap();
    let script = root().join(script);
    let output = Command::new(script).arg("--draw").arg(file).output();
    stdout_of(&output.unwrap())
}

#[test]
fn a_picture_has_a_title_and_colours_for_a_dark_page() {
    let mut findings = Vec::new();
    for path in pictures() {
        let picture = fs::read_to_string(&path).unwrap();
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        let missing = missing(&picture).into_iter();
        findings.extend(missing.map(|part| format!("{name} has no {part}")));
    }
    check(&findings);
}

#[test]
#[ignore = "needs python3"]
fn the_picture_of_a_run_spans_the_run_and_marks_each_event_at_its_moment() {
    let picture = drawn_by("integration/lab/survive", RUN);
    assert_eq!(missing(&picture), Vec::<&str>::new());
    assert!(picture.contains("1 x kill -9, 1 x upgrade, 1 x hang</title>"));
    assert!(picture.contains("9000 reads by eight readers, 0 failed."));
    // The time axis is 860 units wide and begins at 80.
    let axis = ["0", "20", "40"].map(|second| format!(">{second}</text>"));
    assert!(axis.iter().all(|second| picture.contains(second)));
    assert_eq!(marks(&picture, "kill"), ["295.0"]);
    assert_eq!(marks(&picture, "upgrade"), ["510.0"]);
    assert_eq!(marks(&picture, "hang"), ["725.0"]);
    assert_eq!(
        marks(&picture, "reads"),
        ["80.0", "295.0", "510.0", "940.0"]
    );
    assert!(picture.contains("M295.0 176.0h43.0"));
}

#[test]
#[ignore = "needs python3"]
fn the_picture_of_a_terminal_shows_each_line_from_its_moment_on() {
    let picture = drawn_by("packaging/record", RECORDING);
    assert_eq!(missing(&picture), Vec::<&str>::new());
    let lines = ["# plimsoll demo", "A title", "# free &lt;1&gt;"];
    assert_eq!(text_lines(&picture), lines);
    // The last line stays for 8 s before the picture begins again.
    assert!(picture.contains("l0 10.5s step-end infinite"));
    assert!(picture.contains("@keyframes l1 { 0% { opacity: 0 } 19.05% { opacity: 1 } }"));
}

#[test]
fn the_first_picture_shows_the_container_that_the_readme_tells_of() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.contains("](packaging/demo.svg)"));
    assert!(readme.contains("A container of 256 MB and one CPU"));
    let picture = fs::read_to_string(root().join("packaging/demo.svg")).unwrap();
    assert!(picture.len() < 200_000);
    let lines = text_lines(&picture);
    assert!(lines[1].contains("256 MB of memory and 1 CPU"), "{lines:?}");
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let is_title = |line: &String| {
        line.split_once(". ")
            .is_some_and(|(word, _)| is_number(word))
    };
    let steps: Vec<&[String]> = lines.split(is_title).collect();
    let [_, plain, seen, death, change] = steps.as_slice() else {
        panic!("{lines:?}");
    };
    let memory = |step: &[String]| {
        let line = step.iter().find_map(|line| line.strip_prefix("Mem:"));
        let total = line.unwrap().split_whitespace().next().unwrap();
        total.parse::<u64>().unwrap()
    };
    let cpus = |step: &[String]| step.last().unwrap().parse::<u64>().unwrap();
    assert!(memory(plain) > 512 && cpus(plain) > 1, "{plain:?}");
    assert_eq!((memory(seen), cpus(seen), memory(change)), (256, 1, 512));
    assert!(
        death.iter().any(|line| line.contains(" 0 failed reads")),
        "{death:?}"
    );
}
