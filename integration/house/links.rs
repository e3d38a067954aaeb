//! Holds the documents to the tree: a link leads to a file, a named path exists, a named test is one.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files with that extension below these directories of the tree, by their paths there.
fn files(directories: &[&str], extension: &str) -> Vec<PathBuf> {
    let mut left: Vec<PathBuf> = directories.iter().map(PathBuf::from).collect();
    let mut found = Vec::new();
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(root().join(&directory)).unwrap() {
            let entry = entry.unwrap();
            let path = directory.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|own| own == extension) {
                found.push(path);
            }
        }
    }
    found
}

/// The documents, by their paths in the tree.
fn documents() -> Vec<PathBuf> {
    let mut found = files(&[".github", "packaging", "integration"], "md");
    found.push(PathBuf::from("README.md"));
    found
}

/// The lines of a document that lie in no block of code.
fn prose(document: &Path) -> Vec<String> {
    let text = fs::read_to_string(root().join(document)).unwrap();
    let mut is_code = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            lines.push(line.to_owned());
        }
    }
    lines
}

/// The targets of the links in a line: `[text](target)`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let after = line.split("](").skip(1);
    after.filter_map(|rest| rest.split([')', ' ']).next())
}

/// The pieces of code in a line: `` `code` ``.
fn codes(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The path in the tree that a piece of code names, if it does.
fn path(code: &str) -> Option<&str> {
    let word = code.split([' ', ':']).next()?;
    let word = word.strip_prefix("./").unwrap_or(word);
    let is_in_tree = ["src/", "integration/", "benches/", "packaging/"]
        .iter()
        .any(|top| word.starts_with(top));
    let is_pattern = word.contains(['*', '{', '[', '<']) || word.contains(char::is_uppercase);
    (is_in_tree && !is_pattern).then_some(word)
}

/// The last cell of a table's row; `None` of another line.
fn last_cell(line: &str) -> Option<&str> {
    let row = line.trim_end().strip_prefix('|')?;
    row.trim_end_matches('|').rsplit('|').next().map(str::trim)
}

/// The tests that a document names: those in the last column of each table that has them there.
fn tests(lines: &[String]) -> Vec<&str> {
    let mut heading = None;
    let mut found = Vec::new();
    for line in lines {
        let Some(cell) = last_cell(line) else {
            heading = None;
            continue;
        };
        let heading = *heading.get_or_insert(cell);
        if heading == "test" || heading == "held by" {
            found.extend(codes(cell).filter(|code| !code.contains('/')));
        }
    }
    found
}

/// The names of all functions of the tree.
fn functions() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in files(&["src", "integration"], "rs") {
        let text = fs::read_to_string(root().join(path)).unwrap();
        let after = text.split("fn ").skip(1);
        let name = after.filter_map(|rest| rest.split(['(', '<']).next());
        names.extend(name.map(str::to_owned));
    }
    names
}

fn check(wrong: &[String]) {
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_link_of_a_document_leads_to_a_file() {
    let mut wrong = Vec::new();
    for document in documents() {
        let here = root().join(document.parent().unwrap());
        for line in prose(&document) {
            let relative = targets(&line).filter(|target| !target.contains("://"));
            for target in relative.filter(|target| !target.starts_with('#')) {
                let file = target.split('#').next().unwrap();
                if !here.join(file).exists() {
                    wrong.push(format!("{} links to {target}", document.display()));
                }
            }
        }
    }
    check(&wrong);
}

#[test]
fn a_path_that_a_document_names_exists() {
    let mut wrong = Vec::new();
    for document in documents() {
        for line in prose(&document) {
            for named in codes(&line).filter_map(path) {
                if !root().join(named).exists() {
                    wrong.push(format!("{} names {named}", document.display()));
                }
            }
        }
    }
    check(&wrong);
}

#[test]
fn a_test_that_a_document_names_exists() {
    let functions = functions();
    let mut seen = 0;
    let mut wrong = Vec::new();
    for document in documents() {
        for test in tests(&prose(&document)) {
            seen += 1;
            if !functions.contains(test) {
                wrong.push(format!("{} names the test {test}", document.display()));
            }
        }
    }
    check(&wrong);
    assert!(seen > 60, "the documents name only {seen} tests");
}
