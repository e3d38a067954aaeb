//! The documents of the tree: their prose, their code blocks, and the anchors that links lead to.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use super::source::root;

/// A document of the tree.
pub(super) struct Document {
    /// The path in the tree.
    pub(super) path: PathBuf,
    /// The lines outside of code blocks.
    pub(super) prose: Vec<String>,
    /// The lines of the code blocks for shells.
    pub(super) commands: Vec<String>,
}

impl Document {
    fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        Self::parse(path, &text)
    }

    fn parse(path: PathBuf, text: &str) -> Self {
        let (mut prose, mut commands) = (Vec::new(), Vec::new());
        let mut block = None;
        for line in text.lines() {
            let fence = line.trim_start().strip_prefix("```");
            match (block, fence) {
                (None, Some(language)) => block = Some(language),
                (Some(_), Some(_)) => block = None,
                (None, None) => prose.push(line.to_owned()),
                (Some("sh"), None) => commands.push(line.to_owned()),
                (Some(_), None) => {}
            }
        }
        Self {
            path,
            prose,
            commands,
        }
    }

    /// The anchors of the headings, as GitHub makes them: a second heading of the same words ends in `-1`.
    pub(super) fn anchors(&self) -> Vec<String> {
        let mut seen: HashMap<String, usize> = HashMap::new();
        let mut anchors = Vec::new();
        for line in &self.prose {
            let words = line.trim_start_matches('#');
            let Some(heading) = words.strip_prefix(' ').filter(|_| line.starts_with('#')) else {
                continue;
            };
            let anchor = anchor(heading);
            let count = seen.entry(anchor.clone()).or_default();
            anchors.push(match *count {
                0 => anchor,
                count => format!("{anchor}-{count}"),
            });
            *count += 1;
        }
        anchors
    }

    /// The commands, each in one line: a line that ends in a backslash goes on in the next one.
    pub(super) fn joined_commands(&self) -> Vec<String> {
        let text = self.commands.join("\n").replace("\\\n", " ");
        text.lines().map(str::to_owned).collect()
    }
}

/// The anchor of a heading: its letters in lower case, with hyphens for spaces, without signs.
fn anchor(heading: &str) -> String {
    let kept = heading
        .trim()
        .chars()
        .filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    let kept = kept.map(|letter| if letter == ' ' { '-' } else { letter });
    kept.collect::<String>().to_lowercase()
}

/// The files with that extension below these directories of the tree, by their paths there.
pub(super) fn files(directories: &[&str], extension: &str) -> Vec<PathBuf> {
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

/// The documents of the tree.
pub(super) fn documents() -> Vec<Document> {
    let mut paths = files(&[".github", "packaging", "integration"], "md");
    paths.push(PathBuf::from("README.md"));
    paths.into_iter().map(Document::read).collect()
}

/// The document at that path of the tree, if there is one.
pub(super) fn document(path: &Path) -> Option<Document> {
    let is_document = path.extension().is_some_and(|own| own == "md");
    is_document.then(|| Document::read(path.to_owned()))
}

#[test]
fn the_readme_is_a_page_of_at_most_120_lines_and_120_columns() {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let lines = text.lines().count();
    assert!(lines <= 120, "README.md has {lines} lines");
    let wide = text.lines().enumerate().filter_map(|(index, line)| {
        let columns = line.chars().count();
        (columns > 120).then(|| format!("README.md:{} has {columns} columns", index + 1))
    });
    super::check(&wide.collect::<Vec<_>>());
}

#[test]
fn a_document_has_prose_commands_and_anchors() {
    let text =
        "# One `two`\n\n```sh\nplimsoll run \\\n  -- true\n```\n## One two\n```text\n# no\n```\n";
    let document = Document::parse(PathBuf::from("a.md"), text);
    assert_eq!(document.prose, ["# One `two`", "", "## One two"]);
    assert_eq!(document.joined_commands(), ["plimsoll run    -- true"]);
    assert_eq!(document.anchors(), ["one-two", "one-two-1"]);
    assert_eq!(
        anchor("LXC, Incus and Proxmox VE"),
        "lxc-incus-and-proxmox-ve"
    );
}
