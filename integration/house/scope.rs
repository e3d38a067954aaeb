//! The names that one file declares, and every path that the file names.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Ident, Spacing, TokenStream, TokenTree};
use syn::{
    Attribute, Item, ItemMacro, ItemUse, Macro, Meta, PatIdent, UseTree, VisRestricted, Visibility,
    spanned::Spanned,
    visit::{self, Visit},
};

use super::source::Source;

/// A path as it was written: `["crate", "facts", "host", "read"]`. A leading `::` is an empty name.
pub(super) type Path = Vec<String>;

/// A meaning of a name in a module.
pub(super) enum Meaning {
    Module,
    /// An item that the file defines; a type can have names behind it.
    Item {
        is_type: bool,
    },
    Import(Path),
}

/// The place in which a path is named.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Import,
    ReExport,
    /// In code, a macro's arguments or an attribute.
    Inline,
}

/// A path that the file names.
pub(super) struct Named {
    pub(super) path: Path,
    pub(super) kind: Kind,
    pub(super) line: usize,
}

/// The names that one file declares, and the paths that the file names.
#[derive(Default)]
pub(super) struct Scope {
    pub(super) meanings: BTreeMap<String, Vec<Meaning>>,
    pub(super) globs: Vec<Path>,
    pub(super) named: Vec<Named>,
    /// The methods that are called, each with its line.
    pub(super) methods: Vec<(String, usize)>,
    /// The lines that have the word `unsafe`.
    pub(super) unsafe_lines: BTreeSet<usize>,
    /// Names of variables, which are no paths.
    variables: BTreeSet<String>,
}

impl Scope {
    /// Collects from the syntax tree, function bodies, macro arguments and attributes included.
    pub(super) fn of(source: &Source) -> Self {
        let mut scope = Self::default();
        for item in &source.syntax.items {
            scope.declare(item);
        }
        scope.visit_file(&source.syntax);
        let variables = std::mem::take(&mut scope.variables);
        scope.named.retain(|named| match named.path.as_slice() {
            [name] => named.kind != Kind::Inline || !variables.contains(name),
            _ => true,
        });
        scope
    }

    fn declare(&mut self, item: &Item) {
        let (name, meaning) = match item {
            Item::Const(item) => (&item.ident, Meaning::Item { is_type: false }),
            Item::Static(item) => (&item.ident, Meaning::Item { is_type: false }),
            Item::Fn(item) => (&item.sig.ident, Meaning::Item { is_type: false }),
            Item::Enum(item) => (&item.ident, Meaning::Item { is_type: true }),
            Item::Struct(item) => (&item.ident, Meaning::Item { is_type: true }),
            Item::Trait(item) => (&item.ident, Meaning::Item { is_type: true }),
            Item::Type(item) => (&item.ident, Meaning::Item { is_type: true }),
            Item::Union(item) => (&item.ident, Meaning::Item { is_type: true }),
            Item::Mod(item) => (&item.ident, Meaning::Module),
            Item::Macro(item) => {
                if let Some(name) = type_of_macro(item) {
                    self.mean(name.to_string(), Meaning::Item { is_type: true });
                }
                return;
            }
            _ => return,
        };
        self.mean(name.to_string(), meaning);
    }

    fn mean(&mut self, name: String, meaning: Meaning) {
        self.meanings.entry(name).or_default().push(meaning);
    }

    /// Adds every leaf of a `use` tree.
    fn import(&mut self, before: &[String], tree: &UseTree, kind: Kind) {
        let line = tree.span().start().line;
        let with = |name: String| -> Path {
            let mut path = before.to_vec();
            if name != "self" || path.is_empty() {
                path.push(name);
            }
            path
        };
        let (path, name) = match tree {
            UseTree::Path(part) => {
                return self.import(&with(part.ident.to_string()), &part.tree, kind);
            }
            UseTree::Group(group) => {
                return group
                    .items
                    .iter()
                    .for_each(|tree| self.import(before, tree, kind));
            }
            UseTree::Glob(_) => {
                self.globs.push(before.to_vec());
                let path = before.to_vec();
                return self.named.push(Named { path, kind, line });
            }
            UseTree::Name(part) => {
                let path = with(part.ident.to_string());
                let name = path.last().cloned().unwrap_or_default();
                (path, name)
            }
            UseTree::Rename(part) => (with(part.ident.to_string()), part.rename.to_string()),
        };
        self.mean(name, Meaning::Import(path.clone()));
        self.named.push(Named { path, kind, line });
    }

    fn name(&mut self, path: Path, line: usize) {
        let kind = Kind::Inline;
        self.named.push(Named { path, kind, line });
    }

    /// Adds the paths in what the compiler has not parsed: `a :: b` in a row.
    fn scan(&mut self, tokens: TokenStream) {
        let mut path: Path = Vec::new();
        let mut line = 0;
        // Whether the next name goes on with the path, and what stood before.
        let (mut is_joined, mut is_field) = (false, false);
        for token in tokens {
            match &token {
                TokenTree::Ident(word) => {
                    if word == "unsafe" {
                        self.unsafe_lines.insert(word.span().start().line);
                    }
                    if !is_joined {
                        self.end_of(&mut path, line);
                    }
                    if !is_field {
                        line = word.span().start().line;
                        path.push(word.to_string());
                    } else {
                        self.methods
                            .push((word.to_string(), word.span().start().line));
                    }
                    (is_joined, is_field) = (false, false);
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => {
                    // `a: b` is no path; the second of `::` stands alone.
                    if mark.spacing() == Spacing::Joint {
                        is_joined = true;
                    } else if !is_joined {
                        self.end_of(&mut path, line);
                    }
                }
                TokenTree::Punct(mark) => {
                    self.end_of(&mut path, line);
                    (is_joined, is_field) = (false, mark.as_char() == '.');
                }
                TokenTree::Group(group) => {
                    self.end_of(&mut path, line);
                    (is_joined, is_field) = (false, false);
                    self.scan(group.stream());
                }
                TokenTree::Literal(_) => {
                    self.end_of(&mut path, line);
                    (is_joined, is_field) = (false, false);
                }
            }
        }
        self.end_of(&mut path, line);
    }

    fn end_of(&mut self, path: &mut Path, line: usize) {
        if !path.is_empty() {
            let path = std::mem::take(path);
            self.name(path, line);
        }
    }

    /// Adds the paths that an attribute's strings hold: `deserialize_with = "parse::time"`.
    fn scan_strings(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Literal(literal) => {
                    let text = literal.to_string();
                    let text = text.trim_matches('"');
                    if text.contains("::")
                        && let Ok(path) = syn::parse_str::<syn::Path>(text)
                    {
                        let line = literal.span().start().line;
                        self.name(names(&path), line);
                    }
                }
                TokenTree::Group(group) => self.scan_strings(group.stream()),
                _ => {}
            }
        }
    }
}

/// The type that a macro is called to define, in a place of items: `number! { Pid, u32 }`.
pub(super) fn type_of_macro(item: &ItemMacro) -> Option<Ident> {
    let mut name = None;
    for token in item.mac.tokens.clone() {
        match token {
            TokenTree::Ident(word) => name = is_type_name(&word.to_string()).then_some(word),
            TokenTree::Punct(mark) if mark.as_char() == ',' && name.is_some() => return name,
            _ => name = None,
        }
    }
    None
}

/// Returns true if a name is written `LikeThis`.
pub(super) fn is_type_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase())
        && name.contains(|letter: char| letter.is_ascii_lowercase())
        && name.chars().all(char::is_alphanumeric)
}

/// The names of a path.
fn names(path: &syn::Path) -> Path {
    let leading = path.leading_colon.as_ref().map(|_| String::new());
    let names = path.segments.iter().map(|part| part.ident.to_string());
    leading.into_iter().chain(names).collect()
}

impl<'syntax> Visit<'syntax> for Scope {
    fn visit_item_use(&mut self, item: &'syntax ItemUse) {
        let kind = match item.vis {
            Visibility::Inherited => Kind::Import,
            _ => Kind::ReExport,
        };
        let leading = item.leading_colon.as_ref().map(|_| String::new());
        let before: Path = leading.into_iter().collect();
        self.import(&before, &item.tree, kind);
    }

    fn visit_path(&mut self, path: &'syntax syn::Path) {
        self.name(names(path), path.span().start().line);
        visit::visit_path(self, path);
    }

    fn visit_pat_ident(&mut self, variable: &'syntax PatIdent) {
        self.variables.insert(variable.ident.to_string());
        visit::visit_pat_ident(self, variable);
    }

    /// `pub(super)` names no item.
    fn visit_vis_restricted(&mut self, _: &'syntax VisRestricted) {}

    fn visit_macro(&mut self, called: &'syntax Macro) {
        self.scan(called.tokens.clone());
        visit::visit_macro(self, called);
    }

    fn visit_attribute(&mut self, attribute: &'syntax Attribute) {
        match &attribute.meta {
            Meta::List(list) => {
                self.scan(list.tokens.clone());
                self.scan_strings(list.tokens.clone());
            }
            Meta::NameValue(pair) if pair.path.is_ident("doc") => {}
            _ => visit::visit_attribute(self, attribute),
        }
    }

    fn visit_expr_method_call(&mut self, call: &'syntax syn::ExprMethodCall) {
        let line = call.method.span().start().line;
        self.methods.push((call.method.to_string(), line));
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_unsafe(&mut self, block: &'syntax syn::ExprUnsafe) {
        self.unsafe_lines.insert(block.span().start().line);
        visit::visit_expr_unsafe(self, block);
    }

    fn visit_signature(&mut self, signature: &'syntax syn::Signature) {
        if let Some(word) = &signature.unsafety {
            self.unsafe_lines.insert(word.span().start().line);
        }
        visit::visit_signature(self, signature);
    }

    fn visit_item_impl(&mut self, block: &'syntax syn::ItemImpl) {
        if let Some(word) = &block.unsafety {
            self.unsafe_lines.insert(word.span().start().line);
        }
        visit::visit_item_impl(self, block);
    }

    fn visit_item_foreign_mod(&mut self, block: &'syntax syn::ItemForeignMod) {
        self.unsafe_lines.insert(block.span().start().line);
        visit::visit_item_foreign_mod(self, block);
    }
}
