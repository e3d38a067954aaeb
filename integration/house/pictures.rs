//! The pictures of the documents can be read alone, on a light and on a dark page.

use std::{fs, path::PathBuf, process::Command};

use super::{check, source::root};
use crate::harness::stdout_of;

/// The numbers that `integration/lab/survive --data` writes of a run of 40 s with a kill, an upgrade and a hang.
const RUN: &str = r#"{"reads": 9000, "errors": 0, "seconds": 40.0,
    "slowest": [[0.0, 0.0001], [10.0, 2.0], [20.0, 0.0001], [40.0, 0.0001]],
    "events": [[10.0, "kill"], [20.0, "upgrade"], [30.0, "hang"]]}"#;

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

/// The picture that the script draws of [`RUN`].
fn drawn() -> String {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    fs::write(&data, RUN).unwrap();
    let script = root().join("integration/lab/survive");
    let output = Command::new(script).arg("--draw").arg(data).output();
    stdout_of(&output.unwrap())
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
    let picture = drawn();
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
