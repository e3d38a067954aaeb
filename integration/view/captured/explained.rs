//! The explanation of every line, as `plimsoll show --explain` gives it.

use super::{Captured, MACHINES, attributes};
use plimsoll::view::files::File;
use std::fs;

#[test]
fn every_line_is_explained_with_the_value_that_is_read() {
    for name in MACHINES {
        let captured = Captured::open(name);
        for file in captured.files() {
            let read = captured.read(file);
            let lines = read.lines().filter(|line| !line.is_empty());
            let explained = captured.answers.explain(file, &captured.container).unwrap();
            assert_eq!(
                explained.len(),
                lines.clone().count(),
                "{name}: {}",
                file.name()
            );
            for (line, explained) in lines.zip(explained) {
                assert!(
                    line.contains(&explained.value),
                    "{name}: {line}: {explained:?}"
                );
                assert!(!explained.formula.is_empty());
            }
        }
        for attribute in attributes(&captured) {
            let answers = &captured.answers;
            if let Ok(read) = answers.render_attribute(attribute, &captured.container) {
                let explained = answers
                    .explain_attribute(attribute, &captured.container)
                    .unwrap();
                let values: Vec<String> = explained.into_iter().map(|line| line.value).collect();
                assert_eq!(values.join("\n") + "\n", String::from_utf8(read).unwrap());
            }
        }
    }
}

#[test]
fn an_explanation_names_the_level_that_decides_and_the_files_that_hold_the_values() {
    let captured = Captured::open("big-128cpu");
    let explained = captured
        .answers
        .explain(File::Meminfo, &captured.container)
        .unwrap();
    let line = |name: &str| explained.iter().find(|line| line.name == name).unwrap();
    let total = line("MemTotal").decided_by.clone().unwrap();
    assert!(
        total.ends_with("pod7d0f.slice/cri-containerd-4b1c.scope"),
        "{total}"
    );
    // The pod's other containers leave less than the container's own limit does.
    let available = line("MemAvailable").decided_by.clone().unwrap();
    assert!(
        available.ends_with("kubepods-burstable-pod7d0f.slice"),
        "{available}"
    );
    for input in explained.iter().flat_map(|line| &line.inputs) {
        // A file of the machine's own /proc is named by its usual path, not by that of the copy. An
        // input that was computed from a whole file is explained in words.
        if input.file.starts_with("/proc") || input.value.contains(' ') {
            continue;
        }
        let text = fs::read_to_string(&input.file).unwrap();
        let written = match &input.key {
            Some(key) => text
                .lines()
                .find_map(|line| line.strip_prefix(key.as_str())?.strip_prefix(' ')),
            None => Some(text.trim()),
        };
        assert!(input.value.starts_with(written.unwrap_or("0")), "{input:?}");
    }
    let mapped = &line("Mapped").inputs[0];
    assert_eq!(mapped.key.as_deref(), Some("file_mapped"));
}

#[test]
fn an_explanation_on_v1_names_the_keys_of_v1() {
    let captured = Captured::open("hybrid-v1");
    let explained = captured
        .answers
        .explain(File::Meminfo, &captured.container)
        .unwrap();
    let line = |name: &str| explained.iter().find(|line| line.name == name).unwrap();
    assert_eq!(
        line("AnonPages").inputs[0].key.as_deref(),
        Some("total_rss")
    );
    assert!(
        line("MemTotal").inputs[1]
            .file
            .ends_with("memory.limit_in_bytes")
    );
    assert!(line("Slab").inputs.is_empty());
}
