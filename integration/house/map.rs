//! The map in `lib.rs` names what there is.

use std::collections::BTreeSet;

use syn::{ImplItem, Item, TraitItem};

use super::{
    check,
    scope::{is_type_name, type_of_macro},
    source::{Source, Tree},
    uses::{Target, Uses},
};

/// Entries of the glossary: more nouns than these a newcomer does not learn.
const MAX_ENTRIES: usize = 40;

/// The lines of a file's own doc comment.
fn front_page(source: &Source) -> impl Iterator<Item = &str> {
    let lines = source.text.lines();
    let lines = lines.map_while(|line| line.strip_prefix("//!"));
    lines.map(|line| line.strip_prefix(' ').unwrap_or(line))
}

/// The lines of the pictures, blocks of plain text, on a file's front page.
fn pictures(source: &Source) -> Vec<&str> {
    let mut is_picture = false;
    let mut lines = Vec::new();
    for line in front_page(source) {
        if line.starts_with("```") {
            is_picture = line == "```text";
        } else if is_picture {
            lines.push(line);
        }
    }
    lines
}

/// The names in a line that look like paths: `serve::fuse` or, below a wing, `serve/fuse`.
fn paths(line: &str, wings: &[String]) -> Vec<String> {
    let is_part = |letter: char| letter.is_alphanumeric() || "_:/.-".contains(letter);
    let words = line.split(|letter: char| !is_part(letter));
    let words = words.map(|word| word.trim_matches([':', '.', '-']));
    let found = words.filter_map(|word| {
        let wing = word.split(['/', ':']).next().unwrap_or("");
        if word.contains("::") && !word.contains('/') {
            Some(word.to_owned())
        } else if wings.iter().any(|name| name == wing) && word.contains('/') {
            let path = word.trim_end_matches('/').trim_end_matches(".rs");
            Some(path.replace('/', "::"))
        } else {
            None
        }
    });
    found.collect()
}

/// The names that a tree defines.
struct Known<'tree> {
    uses: Uses<'tree>,
    /// Every type, and every name behind a type: `Answers` and `Answers::meminfo`.
    types: BTreeSet<String>,
}

impl<'tree> Known<'tree> {
    fn of(tree: &'tree Tree) -> Self {
        let mut types = BTreeSet::new();
        for item in tree.sources.iter().flat_map(|source| &source.syntax.items) {
            add_types(item, &mut types);
        }
        Self {
            uses: Uses::of(tree),
            types,
        }
    }

    /// Returns true if a path names a module or an item, as seen from that module or from the top.
    fn has(&self, module: &str, path: &str) -> bool {
        let names: Vec<String> = path.split("::").map(str::to_owned).collect();
        if self.types.contains(path) {
            return true;
        }
        [module, ""].iter().any(|module| {
            let found = self.uses.resolve(module, &names);
            found.iter().any(|target| match target {
                Target::Module(_) => true,
                Target::Item { name, .. } => {
                    let rest = path.split_once(&format!("{name}::"));
                    rest.is_none_or(|(_, rest)| self.types.contains(&format!("{name}::{rest}")))
                }
                Target::External(_) => false,
            })
        })
    }
}

/// Adds the type that the item defines, or the names that the item puts behind a type.
fn add_types(item: &Item, types: &mut BTreeSet<String>) {
    let mut add = |owner: &str, name: &str| types.insert(format!("{owner}::{name}"));
    let name = match item {
        Item::Enum(item) => {
            for variant in &item.variants {
                add(&item.ident.to_string(), &variant.ident.to_string());
            }
            &item.ident
        }
        Item::Trait(item) => {
            for inner in &item.items {
                if let TraitItem::Fn(function) = inner {
                    add(&item.ident.to_string(), &function.sig.ident.to_string());
                }
            }
            &item.ident
        }
        Item::Impl(block) => {
            if let syn::Type::Path(owner) = block.self_ty.as_ref()
                && let Some(owner) = owner.path.segments.last()
            {
                for inner in &block.items {
                    match inner {
                        ImplItem::Fn(item) => {
                            add(&owner.ident.to_string(), &item.sig.ident.to_string())
                        }
                        ImplItem::Const(item) => {
                            add(&owner.ident.to_string(), &item.ident.to_string())
                        }
                        _ => false,
                    };
                }
            }
            return;
        }
        Item::Macro(item) => {
            types.extend(type_of_macro(item).map(|name| name.to_string()));
            return;
        }
        Item::Struct(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return,
    };
    types.insert(name.to_string());
}

fn wings(tree: &Tree) -> Vec<String> {
    let map = tree.module("").expect("lib.rs");
    map.declared().into_iter().map(|(name, _)| name).collect()
}

fn missing_in_pictures(tree: &Tree) -> Vec<String> {
    let (known, wings) = (Known::of(tree), wings(tree));
    let mut findings = Vec::new();
    for source in &tree.sources {
        for line in pictures(source) {
            for path in paths(line, &wings) {
                if !known.has(&source.module, &path) {
                    findings.push(format!("src/{}: there is no {path}", source.path));
                }
            }
        }
    }
    findings
}

#[test]
fn a_picture_names_modules_and_items_that_exist() {
    check(&missing_in_pictures(&Tree::read()));
}

#[test]
fn a_picture_with_a_wrong_name_is_seen() {
    let tree = Tree::of(&[
        (
            "lib.rs",
            "//! ```text\n//! facts::host::read -> facts/cgroup  serve::Gone, facts/host/mad.rs\n\
             //! /proc/self, Machine::new, Machine::old\n//! ```\npub mod facts;\npub mod serve;\n",
        ),
        ("facts/mod.rs", "pub mod cgroup;\npub mod host;\n"),
        ("facts/cgroup.rs", ""),
        (
            "facts/host.rs",
            "pub fn read() {}\nstruct Machine;\nimpl Machine { fn new() {} }\n",
        ),
        ("serve/mod.rs", ""),
    ]);
    assert_eq!(
        missing_in_pictures(&tree),
        [
            "src/lib.rs: there is no serve::Gone",
            "src/lib.rs: there is no facts::host::mad",
            "src/lib.rs: there is no Machine::old",
        ]
    );
}

/// The entries of the glossary: each term with all that explains it, in the order of the text.
fn glossary(source: &Source) -> Vec<(String, String)> {
    let mut entries: Vec<(String, String)> = Vec::new();
    let lines = front_page(source).skip_while(|line| *line != "# Glossary");
    for line in lines.skip(1).take_while(|line| !line.starts_with("# ")) {
        let entry = line
            .strip_prefix("- **")
            .and_then(|line| line.split_once("**:"));
        if let Some((term, text)) = entry {
            entries.push((term.to_owned(), text.to_owned()));
        } else if let Some((_, text)) = entries.last_mut() {
            text.push(' ');
            text.push_str(line.trim());
        }
    }
    entries
}

/// Lists the mistakes of the glossary: count, order, names that nothing has.
fn faults(tree: &Tree) -> Vec<String> {
    let known = Known::of(tree);
    let entries = glossary(tree.module("").expect("lib.rs"));
    let count = entries.len();
    let mut findings = Vec::new();
    if !(1..=MAX_ENTRIES).contains(&count) {
        findings.push(format!("{count} entries, not 1 to {MAX_ENTRIES}"));
    }
    for pair in entries.windows(2) {
        if let [(before, _), (term, _)] = pair
            && before.to_lowercase() >= term.to_lowercase()
        {
            findings.push(format!("`{before}` stands before `{term}`"));
        }
    }
    for (term, text) in &entries {
        for name in text.split('`').skip(1).step_by(2) {
            let is_link = text.contains(&format!("[`{name}`]"));
            if (is_link || is_type_name(name) || name.contains("::")) && !known.has("", name) {
                findings.push(format!("`{term}`: there is no `{name}`"));
            }
        }
    }
    findings
}

#[test]
fn the_glossary_is_short_and_sorted_and_names_what_exists() {
    check(&faults(&Tree::read()));
}

#[test]
fn a_glossary_with_a_wrong_name_or_order_is_seen() {
    let tree = Tree::of(&[(
        "lib.rs",
        "//! # Glossary\n//!\n//! - **keeper**: a process, [`serve::keeper`].\n\
         //! - **caller**: who reads `/proc/stat`; a `Caller`,\n//!   or a `Gone`.\n//!\n\
         //! # End\n//!\n//! - **z**: no `Entry`.\npub struct Caller;\n",
    )]);
    assert_eq!(
        faults(&tree),
        [
            "`keeper` stands before `caller`",
            "`keeper`: there is no `serve::keeper`",
            "`caller`: there is no `Gone`",
        ]
    );
}
