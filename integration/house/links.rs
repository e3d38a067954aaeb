//! Holds the documents to the tree: a link leads to a file and a heading, a named path exists, a named test is one.

use std::{
    collections::BTreeSet,
    fs,
    path::{Component, Path, PathBuf},
};

use super::{
    check,
    documents::{Document, document, documents, files},
    source::root,
};

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

/// The path in the tree that a relative link of a document leads to; the document itself for `#anchor`.
fn destination(document: &Path, file: &str) -> PathBuf {
    if file.is_empty() {
        return document.to_owned();
    }
    let mut path = document.parent().unwrap().to_owned();
    for part in Path::new(file).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    path
}

/// Returns a line about a relative link of a document that leads nowhere.
fn dead(from: &Document, target: &str) -> Option<String> {
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let to = destination(&from.path, file);
    let is_alive = root().join(&to).exists()
        && (anchor.is_empty()
            || document(&to).is_some_and(|to| to.anchors().contains(&anchor.to_owned())));
    (!is_alive).then(|| format!("{} links to {target}", from.path.display()))
}

#[test]
fn a_link_of_a_document_leads_to_a_file_and_to_a_heading() {
    let mut wrong = Vec::new();
    for document in documents() {
        for line in &document.prose {
            let relative = targets(line).filter(|target| !target.contains("://"));
            wrong.extend(relative.filter_map(|target| dead(&document, target)));
        }
    }
    check(&wrong);
}

#[test]
fn a_path_that_a_document_names_exists() {
    let mut wrong = Vec::new();
    for document in documents() {
        for line in &document.prose {
            for named in codes(line).filter_map(path) {
                if !root().join(named).exists() {
                    wrong.push(format!("{} names {named}", document.path.display()));
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
        for test in tests(&document.prose) {
            seen += 1;
            if !functions.contains(test) {
                wrong.push(format!("{} names the test {test}", document.path.display()));
            }
        }
    }
    check(&wrong);
    assert!(seen > 60, "the documents name only {seen} tests");
}
