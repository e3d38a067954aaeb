//! The files of `src` as syntax trees, without their tests.

use std::{
    fs,
    path::{Path, PathBuf},
};

use syn::{Attribute, ImplItem, Item, Meta};

/// A file of production code.
pub(super) struct Source {
    /// The path below `src`: `facts/host/read.rs`.
    pub(super) path: String,
    /// The module that the file is: `facts::host::read`; empty for `lib.rs`.
    pub(super) module: String,
    /// The whole text, tests included.
    pub(super) text: String,
    /// The syntax tree without items that only tests have.
    pub(super) syntax: syn::File,
}

impl Source {
    /// Parses one file. Panics if the text is no Rust.
    fn parse(path: &str, text: String) -> Self {
        let mut syntax = syn::parse_file(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
        remove_tests(&mut syntax.items);
        Self {
            path: path.to_owned(),
            module: module_of(path),
            text,
            syntax,
        }
    }

    /// Returns true if the first line promises that the file does no I/O.
    pub(super) fn is_marked_pure(&self) -> bool {
        self.text.starts_with("//! Pure.")
    }

    /// Returns true if the file stands for its directory.
    pub(super) fn is_front(&self) -> bool {
        self.path.ends_with("mod.rs")
    }

    /// The modules that the file declares, each with its doc comment in one line.
    pub(super) fn declared(&self) -> Vec<(String, String)> {
        let modules = self.syntax.items.iter().filter_map(|item| match item {
            Item::Mod(module) => Some((module.ident.to_string(), doc(&module.attrs))),
            _ => None,
        });
        modules.collect()
    }
}

/// All production files, sorted by path.
pub(super) struct Tree {
    pub(super) sources: Vec<Source>,
}

impl Tree {
    /// Reads `src` of this repository.
    pub(super) fn read() -> Self {
        let texts = rust_files(&root().join("src")).into_iter().map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root().join("src")).unwrap();
            (path.to_str().unwrap().to_owned(), text)
        });
        let tree = Self::parse(texts.collect());
        assert!(tree.sources.len() > 100, "src is not where it was");
        tree
    }

    /// Builds a tree of made-up files, each a path below `src` and a text.
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let texts = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        Self::parse(texts.collect())
    }

    fn parse(texts: Vec<(String, String)>) -> Self {
        let mut tests = Vec::new();
        for (path, text) in &texts {
            tests.extend(test_modules(&module_of(path), text));
        }
        let is_production = |path: &str| {
            let module = module_of(path);
            !tests
                .iter()
                .any(|test| module == *test || module.starts_with(&format!("{test}::")))
        };
        let sources = texts
            .into_iter()
            .filter(|(path, _)| is_production(path))
            .map(|(path, text)| Source::parse(&path, text))
            .collect();
        Self { sources }
    }

    /// The file that is this module.
    pub(super) fn module(&self, module: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.module == module)
    }
}

/// The top directory of the repository: cargo names the tree that it tests.
pub(super) fn root() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

/// Every Rust file below `dir`, sorted by path.
pub(super) fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut left = vec![dir.to_owned()];
    let mut found = Vec::new();
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // `cargo fuzz` builds below integration/fuzz.
                if path.file_name().is_some_and(|name| name != "target") {
                    left.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The text of doc comments, each line with a space before the next.
pub(super) fn doc(attributes: &[Attribute]) -> String {
    let mut text = String::new();
    for attribute in attributes {
        if let Meta::NameValue(pair) = &attribute.meta
            && pair.path.is_ident("doc")
            && let syn::Expr::Lit(literal) = &pair.value
            && let syn::Lit::Str(line) = &literal.lit
        {
            text.push_str(line.value().trim());
            text.push(' ');
        }
    }
    text.trim_end().to_owned()
}

/// Returns true if an item is compiled for tests alone.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            let condition = list.tokens.to_string();
            condition == "test" || condition.starts_with("all (test")
        }
        Meta::Path(path) => path.is_ident("test"),
        _ => false,
    })
}

fn module_of(path: &str) -> String {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    match path.strip_suffix("/mod").unwrap_or(path) {
        "lib" => String::new(),
        path => path.replace('/', "::"),
    }
}

/// The modules that the file declares for tests alone.
fn test_modules(module: &str, text: &str) -> Vec<String> {
    let syntax = syn::parse_file(text).unwrap_or_else(|error| panic!("{module}: {error}"));
    let declared = syntax.items.iter().filter_map(|item| match item {
        Item::Mod(declared) if is_test(&declared.attrs) => Some(declared.ident.to_string()),
        _ => None,
    });
    declared
        .map(|name| {
            format!("{module}::{name}")
                .trim_start_matches("::")
                .to_owned()
        })
        .collect()
}

fn remove_tests(items: &mut Vec<Item>) {
    items.retain(|item| !is_test(attributes(item)));
    for item in items {
        match item {
            Item::Impl(block) => block.items.retain(|item| match item {
                ImplItem::Const(item) => !is_test(&item.attrs),
                ImplItem::Fn(item) => !is_test(&item.attrs),
                ImplItem::Type(item) => !is_test(&item.attrs),
                _ => true,
            }),
            Item::Mod(module) => {
                let is_inline = module.content.is_some();
                assert!(!is_inline, "module {} wants a file", module.ident);
            }
            _ => {}
        }
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
