//! Functions and files stay small. Only production code counts: of a file, the lines before
//! `#[cfg(test)] mod tests`; of a function, the lines from `fn` to the closing brace.

use syn::{
    Block, ImplItemFn, ItemFn, Signature, TraitItemFn,
    spanned::Spanned,
    visit::{self, Visit},
};

use super::{check, report, source::Tree};

/// The functions of one file, each with its name and its lines.
#[derive(Default)]
struct Functions {
    found: Vec<(String, usize)>,
}

impl Functions {
    /// Counts from the line with `fn` to the line of the closing brace.
    fn add(&mut self, signature: &Signature, body: &Block) {
        let (first, last) = (signature.span().start().line, body.span().end().line);
        let name = signature.ident.to_string();
        self.found.push((name, last - first + 1));
    }
}

impl<'syntax> Visit<'syntax> for Functions {
    fn visit_item_fn(&mut self, function: &'syntax ItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'syntax ImplItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'syntax TraitItemFn) {
        if let Some(body) = &function.default {
            self.add(&function.sig, body);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

/// Returns the smallest size that at least `percent` percent of the sizes do not exceed.
fn percentile(sorted: &[(String, usize)], percent: usize) -> usize {
    let rank = (sorted.len() * percent).div_ceil(100);
    let size = rank.checked_sub(1).and_then(|index| sorted.get(index));
    size.map_or(0, |(_, size)| *size)
}

/// Compares one measure with its limit.
fn compare(what: &str, size: usize, limit: usize) -> Option<String> {
    report(&format!("{what}: {size} lines, at most {limit}"));
    (size > limit).then(|| format!("{what}: {size} lines, more than {limit}"))
}

/// Formats the five largest sizes.
fn largest(sorted: &[(String, usize)]) -> String {
    let largest = sorted.iter().rev().take(5);
    let largest: Vec<String> = largest
        .map(|(name, size)| format!("{name} {size}"))
        .collect();
    largest.join(", ")
}

#[test]
fn functions_stay_as_small_as_they_were() {
    let mut sizes = Vec::new();
    for source in &Tree::read().sources {
        let mut functions = Functions::default();
        functions.visit_file(&source.syntax);
        let path = &source.path;
        let found = functions.found.into_iter();
        sizes.extend(found.map(|(name, size)| (format!("src/{path} {name}"), size)));
    }
    sizes.sort_by_key(|(_, size)| *size);
    let (count, largest) = (sizes.len(), largest(&sizes));
    report(&format!("{count} functions; the largest: {largest}"));
    let findings = [
        compare("function p90", percentile(&sizes, 90), 25),
        compare("function p99", percentile(&sizes, 99), 46),
        compare("function maximum", percentile(&sizes, 100), 57),
    ];
    check(&findings.into_iter().flatten().collect::<Vec<_>>());
}

#[test]
fn files_stay_as_small_as_they_were() {
    let tree = Tree::read();
    let mut sizes: Vec<(String, usize)> = tree
        .sources
        .iter()
        .map(|source| {
            let production = source.text.split("#[cfg(test)]\nmod tests").next();
            let lines = production.map_or(0, |text| text.lines().count());
            (format!("src/{}", source.path), lines)
        })
        .collect();
    sizes.sort_by_key(|(_, size)| *size);
    let (count, largest) = (sizes.len(), largest(&sizes));
    report(&format!("{count} files; the largest: {largest}"));
    let findings = [
        compare("file median", percentile(&sizes, 50), 115),
        compare("file maximum", percentile(&sizes, 100), 394),
    ];
    check(&findings.into_iter().flatten().collect::<Vec<_>>());
}
