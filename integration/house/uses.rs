//! Resolves the paths that files name, through imports and re-exports, to what they mean.

use std::collections::BTreeMap;

use super::{
    check,
    scope::{Kind, Meaning, Path, Scope},
    source::{Source, Tree},
};

/// The meaning of a path.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// An item of this tree.
    Item {
        /// The module whose file defines the item.
        module: String,
        name: String,
        /// The module under which the path finds the item: another one than `module` if that one
        /// re-exports the item.
        via: String,
    },
    Module(String),
    /// A path of another crate: `["std", "fs", "read"]`.
    External(Path),
}

/// A use of something that the file does not define.
pub(super) struct Use<'tree> {
    /// The file that uses.
    pub(super) source: &'tree Source,
    pub(super) line: usize,
    /// The path as it was written.
    pub(super) written: String,
    pub(super) target: Target,
    pub(super) is_reexport: bool,
}

impl Use<'_> {
    /// `src/facts/host/read.rs:12`.
    pub(super) fn place(&self) -> String {
        format!("src/{}:{}", self.source.path, self.line)
    }

    /// The modules of this tree that the use depends on.
    pub(super) fn modules(&self) -> Vec<&str> {
        match &self.target {
            Target::Item { module, via, .. } => vec![module, via],
            Target::Module(module) => vec![module],
            Target::External(_) => Vec::new(),
        }
    }

    /// Returns true if the file only passes on an item of its own directory.
    pub(super) fn is_own_reexport(&self) -> bool {
        let own = format!("{}::", self.source.module);
        let is_below = |module: &str| module.starts_with(&own);
        self.is_reexport
            && self
                .modules()
                .first()
                .is_some_and(|module| is_below(module))
    }
}

/// Every file of a tree with what it declares and names.
pub(super) struct Uses<'tree> {
    pub(super) tree: &'tree Tree,
    pub(super) scopes: BTreeMap<&'tree str, Scope>,
}

/// Re-exports in a row that are followed, which ends an import that names itself.
const MAX_DEPTH: usize = 12;

impl<'tree> Uses<'tree> {
    pub(super) fn of(tree: &'tree Tree) -> Self {
        let scopes = tree.sources.iter();
        let scopes = scopes.map(|source| (source.module.as_str(), Scope::of(source)));
        Self {
            tree,
            scopes: scopes.collect(),
        }
    }

    /// Returns the uses of other files and crates in one file, in the order of the text.
    pub(super) fn by(&self, source: &'tree Source) -> Vec<Use<'tree>> {
        let Some(scope) = self.scopes.get(source.module.as_str()) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for named in &scope.named {
            for target in self.resolve(&source.module, &named.path) {
                let is_own = match &target {
                    Target::Item { module, .. } => *module == source.module,
                    Target::Module(module) => *module == source.module,
                    Target::External(_) => false,
                };
                if !is_own {
                    found.push(Use {
                        source,
                        line: named.line,
                        written: named.path.join("::"),
                        target,
                        is_reexport: named.kind == Kind::ReExport,
                    });
                }
            }
        }
        found
    }

    /// Every use of every file.
    pub(super) fn all(&self) -> Vec<Use<'tree>> {
        let sources = self.tree.sources.iter();
        sources.flat_map(|source| self.by(source)).collect()
    }

    /// Returns the meanings of a path in that module: none for a variable or a name of the prelude,
    /// two if a module and a function share the name.
    pub(super) fn resolve(&self, module: &str, path: &[String]) -> Vec<Target> {
        self.find(module, path, 0)
    }

    fn find(&self, module: &str, path: &[String], depth: usize) -> Vec<Target> {
        let Some((first, rest)) = path.split_first() else {
            return vec![Target::Module(module.to_owned())];
        };
        if depth > MAX_DEPTH {
            return Vec::new();
        }
        match first.as_str() {
            "" => vec![Target::External(rest.to_vec())],
            "crate" | "plimsoll" => self.walk("", rest, depth),
            "self" => self.walk(module, rest, depth),
            "super" => self.walk(parent(module), rest, depth),
            name => {
                let found = self.look_up(module, name, rest, depth);
                let is_crate = name.starts_with(|first: char| first.is_ascii_lowercase());
                if found.is_empty() && is_crate && (!rest.is_empty() || depth > 0) {
                    return vec![Target::External(path.to_vec())];
                }
                found
            }
        }
    }

    /// Goes down from a module.
    fn walk(&self, module: &str, path: &[String], depth: usize) -> Vec<Target> {
        let Some((first, rest)) = path.split_first() else {
            return vec![Target::Module(module.to_owned())];
        };
        match first.as_str() {
            "self" => self.walk(module, rest, depth),
            "super" => self.walk(parent(module), rest, depth),
            name => self.look_up(module, name, rest, depth),
        }
    }

    fn look_up(&self, module: &str, name: &str, rest: &[String], depth: usize) -> Vec<Target> {
        let mut found = Vec::new();
        let Some(scope) = self.scopes.get(module) else {
            return found;
        };
        for meaning in scope.meanings.get(name).into_iter().flatten() {
            match meaning {
                Meaning::Module => found.extend(self.walk(&join(module, name), rest, depth)),
                Meaning::Item { is_type } if *is_type || rest.is_empty() => {
                    found.push(Target::Item {
                        module: module.to_owned(),
                        name: name.to_owned(),
                        via: module.to_owned(),
                    });
                }
                Meaning::Item { .. } => {}
                Meaning::Import(path) => {
                    found.extend(self.follow(module, (name, path), rest, depth));
                }
            }
        }
        for glob in &scope.globs {
            for target in self.find(module, glob, depth + 1) {
                if let Target::Module(module) = target {
                    found.extend(self.look_up(&module, name, rest, depth + 1));
                }
            }
        }
        found
    }

    /// Follows the import `name` of `module` to what stands behind it.
    fn follow(
        &self,
        module: &str,
        (name, path): (&str, &Path),
        rest: &[String],
        depth: usize,
    ) -> Vec<Target> {
        let external = |path: &[String]| Target::External([path, rest].concat());
        let behind = match path.split_first() {
            // `use serde_json;`, `use host::{self, ..}` or `use read::read;` beside `mod read;`.
            Some((first, path)) if first == name => {
                let declared = join(module, name);
                match (self.scopes.contains_key(declared.as_str()), path) {
                    (false, path) => return vec![external(&[&[name.to_owned()], path].concat())],
                    (true, []) => return Vec::new(),
                    (true, path) => self.walk(&declared, path, depth + 1),
                }
            }
            _ => self.find(module, path, depth + 1),
        };
        let mut found = Vec::new();
        for target in behind {
            match target {
                Target::Module(inner) => found.extend(self.walk(&inner, rest, depth + 1)),
                Target::External(path) => found.push(external(&path)),
                Target::Item {
                    module: defined,
                    name,
                    ..
                } => {
                    let item = self.scopes.get(defined.as_str());
                    let is_type = item
                        .and_then(|scope| scope.meanings.get(&name))
                        .is_some_and(|meanings| meanings.iter().any(is_type));
                    if is_type || rest.is_empty() {
                        found.push(Target::Item {
                            module: defined,
                            name,
                            via: module.to_owned(),
                        });
                    }
                }
            }
        }
        found
    }
}

fn is_type(meaning: &Meaning) -> bool {
    matches!(meaning, Meaning::Item { is_type: true })
}

/// The module that holds this one.
pub(super) fn parent(module: &str) -> &str {
    module.rsplit_once("::").map_or("", |(parent, _)| parent)
}

pub(super) fn join(module: &str, name: &str) -> String {
    match module {
        "" => name.to_owned(),
        module => format!("{module}::{name}"),
    }
}

#[test]
fn every_path_into_this_tree_is_resolved() {
    let tree = Tree::read();
    let uses = Uses::of(&tree);
    let mut findings = Vec::new();
    for source in &tree.sources {
        for named in &uses.scopes[source.module.as_str()].named {
            let first = named.path.first().map_or("", String::as_str);
            let is_inward = ["crate", "plimsoll", "self", "super"].contains(&first);
            // `self.field` in a macro is no path.
            if is_inward
                && named.path.len() > 1
                && uses.resolve(&source.module, &named.path).is_empty()
            {
                let (path, line, written) = (&source.path, named.line, named.path.join("::"));
                findings.push(format!(
                    "src/{path}:{line} names {written}, which is not found"
                ));
            }
        }
    }
    check(&findings);
}
