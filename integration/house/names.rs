//! A name means one thing.

use std::collections::BTreeMap;

use proc_macro2::Ident;
use syn::Item;

use super::{check, scope::type_of_macro, source::Tree};

/// The two rooms that share names on purpose: each type of the machine's own files has one of what
/// a container sees in their place.
const PAIR: [&str; 2] = ["facts::host", "view::model"];

/// The name of a type that the item defines.
fn type_name(item: &Item) -> Option<Ident> {
    match item {
        Item::Enum(item) => Some(item.ident.clone()),
        Item::Struct(item) => Some(item.ident.clone()),
        Item::Trait(item) => Some(item.ident.clone()),
        Item::Type(item) => Some(item.ident.clone()),
        Item::Union(item) => Some(item.ident.clone()),
        Item::Macro(item) => type_of_macro(item),
        _ => None,
    }
}

/// The room of a module: its wing and the directory or file below that.
fn room(module: &str) -> String {
    module.split("::").take(2).collect::<Vec<_>>().join("::")
}

/// Every name of a type with the rooms that define it and one place in each.
fn types(tree: &Tree) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut types: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for source in &tree.sources {
        for name in source.syntax.items.iter().filter_map(type_name) {
            let line = name.span().start().line;
            types
                .entry(name.to_string())
                .or_default()
                .entry(room(&source.module))
                .or_insert_with(|| format!("src/{}:{line}", source.path));
        }
    }
    types
}

fn shared(tree: &Tree) -> Vec<String> {
    let shared = types(tree).into_iter().filter(|(_, rooms)| {
        let rooms: Vec<&str> = rooms.keys().map(String::as_str).collect();
        rooms.len() > 1 && rooms != PAIR
    });
    shared
        .map(|(name, rooms)| {
            let places: Vec<String> = rooms.into_values().collect();
            format!("{name}: {}", places.join(", "))
        })
        .collect()
}

#[test]
fn a_type_name_belongs_to_one_room() {
    check(&shared(&Tree::read()));
}

#[test]
fn a_name_of_the_machine_can_be_one_of_the_view_too_but_no_third() {
    let mut files = vec![
        ("lib.rs", ""),
        ("facts/host/mod.rs", "pub struct Stat;\npub struct Disk;\n"),
        ("view/model/stat.rs", "pub struct Stat;\npub enum Disk {}\n"),
    ];
    assert_eq!(shared(&Tree::of(&files)), [""; 0]);
    files.push(("cli/show.rs", "type Disk = u8;\n"));
    assert_eq!(
        shared(&Tree::of(&files)),
        ["Disk: src/cli/show.rs:1, src/facts/host/mod.rs:2, src/view/model/stat.rs:2"]
    );
}
