//! A line that nobody understands, in any file of a machine or cgroup, changes nothing else.

use super::{Captured, MACHINES, attributes, files_below, now};
use plimsoll::{
    facts::container::Caller,
    view::{
        answer::Answers,
        files::{Attribute, File},
    },
};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use std::{fs, path::PathBuf};

/// Lines as drivers, firmware and broken kernels print them.
const ODD: [&str; 8] = [
    "(null)",
    "        (null)",
    "",
    "\0\0",
    "failed to read: -19",
    "(unknown) Read x",
    ":::",
    "a key and many words",
];

/// Any text without a digit: a number might make the line one that is understood.
const ANY: &str = "[^0-9\\n]{0,40}";

/// The answers of one machine, by the names of their files.
fn answers(captured: &Captured, attributes: &[Attribute]) -> Vec<(String, String)> {
    let answers = Answers::at(&captured.path, now).unwrap();
    let pid = fs::read_to_string(captured.path.join("pid")).unwrap();
    let Caller::Container(container) = answers.caller(pid.trim().parse().unwrap()).unwrap() else {
        panic!(
            "{}: the container is taken for the host",
            captured.path.display()
        );
    };
    let text = |name: &str, bytes: Result<Vec<u8>, _>| {
        let bytes = bytes
            .unwrap_or_else(|error: plimsoll::view::answer::AnswerError| panic!("{name}: {error}"));
        let text = String::from_utf8_lossy(&bytes);
        // The line has as many zeros as fill the file up to a size, which the machine's file decides.
        let unfilled = text.lines().map(|line| match line.starts_with("intr 0") {
            true => "intr 0\n".to_owned(),
            false => format!("{line}\n"),
        });
        (name.to_owned(), unfilled.collect())
    };
    let files = captured.files().into_iter();
    let files = files.map(|file: File| text(file.path(), answers.render(file, &container)));
    let attributes = attributes
        .iter()
        .map(|one| text(&one.path(), answers.render_attribute(*one, &container)));
    files.chain(attributes).collect()
}

/// Returns whether `text` is `expected` with at most one line more.
fn is_same_but_one(expected: &str, text: &str) -> bool {
    let (expected, lines): (Vec<&str>, Vec<&str>) =
        (expected.lines().collect(), text.lines().collect());
    let same = expected
        .iter()
        .zip(&lines)
        .take_while(|(one, other)| one == other)
        .count();
    lines == expected || lines.get(same + 1..) == expected.get(same..)
}

/// Returns the text with the line before the line `at`.
fn with_line(text: &str, line: &str, at: usize) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.insert(at.min(lines.len()), line);
    lines.join("\n") + "\n"
}

/// Lists the files of the machine that an answer is made from, by their paths.
fn inputs(captured: &Captured) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for directory in ["proc", "sys"] {
        files_below(&captured.path, &captured.path.join(directory), &mut files);
    }
    // A record of one line, whose name of the process may hold anything.
    files.retain(|file| !file.ends_with("stat") || file.ends_with("proc/stat"));
    files.sort();
    files
}

#[test]
fn a_line_that_is_not_understood_changes_nothing_else_of_any_answer() {
    let mut runner = TestRunner::deterministic();
    for machine in MACHINES {
        let captured = Captured::copy(machine);
        let seen = |one: &Attribute| {
            captured
                .answers
                .render_attribute(*one, &captured.container)
                .is_ok()
        };
        let attributes: Vec<Attribute> = attributes(&captured).into_iter().filter(seen).collect();
        let expected = answers(&captured, &attributes);
        for (number, file) in inputs(&captured).iter().enumerate() {
            let path = captured.path.join(file);
            let Ok(text) = fs::read_to_string(&path) else {
                continue;
            };
            let random = ANY.new_tree(&mut runner).unwrap().current();
            let odd = [
                ODD[number % ODD.len()],
                ODD[(number + 3) % ODD.len()],
                random.as_str(),
            ];
            let middle = text.lines().count() / 2;
            for (line, at) in odd.into_iter().zip([0, middle, usize::MAX]) {
                fs::write(&path, with_line(&text, line, at)).unwrap();
                let same: &[Attribute] = match file.starts_with("sys/devices") {
                    true => &attributes,
                    false => &[],
                };
                for ((name, found), (_, expected)) in answers(&captured, same).iter().zip(&expected)
                {
                    assert!(
                        is_same_but_one(expected, found),
                        "{machine}: {line:?} in {} changes {name}: {expected}\n{found}",
                        file.display(),
                    );
                }
            }
            fs::write(&path, text).unwrap();
        }
    }
}

#[test]
fn an_isolated_list_that_the_kernel_could_not_print_is_empty() {
    let captured = Captured::copy("v2-4cpu");
    for name in ["isolated", "nohz_full"] {
        let path = format!("sys/devices/system/cpu/{name}");
        captured.write(&path, "        (null)\n");
        let attribute = Attribute::at(&path).unwrap();
        let text = captured
            .answers
            .render_attribute(attribute, &captured.container);
        assert_eq!(text.unwrap(), b"\n");
    }
}

#[test]
fn a_device_whose_line_the_kernel_ran_together_with_others_keeps_its_counts() {
    let captured = Captured::copy("v2-4cpu");
    let path = "sys/fs/cgroup/stage/pod/app/io.stat";
    let expected = captured.read(File::Diskstats);
    assert!(expected.contains(" nvme0n1 583 0 "), "{expected}");
    let text = fs::read_to_string(captured.path.join(path)).unwrap();
    let glued: String = text
        .lines()
        .map(|line| format!("7:7 7:6 {line} odd\n7:5\n"))
        .collect();
    let captured = Captured::copy("v2-4cpu");
    captured.write(path, &glued);
    assert_eq!(captured.read(File::Diskstats), expected);
}
