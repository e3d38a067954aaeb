//! No two files need each other.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    check,
    source::{Source, Tree},
    uses::{Target, Uses},
};

/// Returns the files that each file uses, by module, with one place in the code for each.
///
/// A file uses another one if it names an item that the other one defines, under whatever name. A
/// re-export out of the file's own directory is no use.
fn edges(tree: &Tree) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut edges: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for one in Uses::of(tree).all() {
        if one.is_own_reexport() {
            continue;
        }
        if let Target::Item { module, name, .. } = &one.target {
            edges
                .entry(one.source.module.clone())
                .or_default()
                .entry(module.clone())
                .or_insert_with(|| format!("{} uses {module}::{name}", one.place()));
        }
    }
    edges
}

/// The edges between files that do not stand for their directory.
fn between_leaves(tree: &Tree) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut edges = edges(tree);
    let is_leaf = |module: &String| !tree.module(module).is_some_and(Source::is_front);
    edges.retain(|from, used| {
        used.retain(|to, _| is_leaf(to));
        is_leaf(from)
    });
    edges
}

/// Returns the shortest circle through each file that stands on one, every circle once.
fn circles(edges: &BTreeMap<String, BTreeMap<String, String>>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for start in edges.keys() {
        let Some(circle) = shortest(edges, start) else {
            continue;
        };
        let members: BTreeSet<String> = circle.iter().cloned().collect();
        if seen.insert(members) {
            let steps = circle.iter().zip(circle.iter().cycle().skip(1));
            let places: Vec<&str> = steps.map(|(from, to)| edges[from][to].as_str()).collect();
            found.push(places.join("\n    "));
        }
    }
    found
}

/// The shortest way from a file back to itself.
fn shortest(
    edges: &BTreeMap<String, BTreeMap<String, String>>,
    start: &str,
) -> Option<Vec<String>> {
    let mut ways = vec![vec![start.to_owned()]];
    let mut reached = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            let last = way.last()?;
            for next in edges.get(last).into_iter().flatten().map(|(next, _)| next) {
                if next == start {
                    return Some(way);
                }
                if reached.insert(next.clone()) {
                    let mut way = way.clone();
                    way.push(next.clone());
                    longer.push(way);
                }
            }
        }
        ways = longer;
    }
    None
}

#[test]
fn no_file_uses_a_file_that_uses_it() {
    check(&circles(&between_leaves(&Tree::read())));
}

#[test]
fn no_mod_rs_uses_a_file_that_uses_it() {
    check(&circles(&edges(&Tree::read())));
}

#[test]
fn a_circle_through_a_re_export_and_a_path_in_a_macro_is_seen() {
    let tree = Tree::of(&[
        ("lib.rs", "pub mod room;\n"),
        ("room/mod.rs", "mod a;\nmod b;\npub use a::One;\n"),
        (
            "room/a.rs",
            "pub struct One;\nfn two() { assert!(super::b::two()) }\n",
        ),
        (
            "room/b.rs",
            "use crate::room::One;\npub fn two() -> bool { true }\n",
        ),
    ]);
    assert_eq!(
        circles(&edges(&tree)),
        ["src/room/a.rs:2 uses room::b::two\n    src/room/b.rs:1 uses room::a::One"]
    );
}

#[test]
fn a_file_that_declares_and_passes_on_what_its_directory_holds_makes_no_circle() {
    let tree = Tree::of(&[
        ("lib.rs", "pub mod room;\n"),
        ("room/mod.rs", "mod a;\npub use a::One;\npub struct Two;\n"),
        ("room/a.rs", "pub struct One(super::Two);\n"),
    ]);
    assert!(circles(&edges(&tree)).is_empty());
}
