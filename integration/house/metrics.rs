//! A metric that no code increments is an error.

use proc_macro2::TokenStream;
use syn::{Item, ItemStatic, Type};

use super::{
    check,
    source::{Source, Tree},
};

/// The module that defines the metrics.
const METRICS: &str = "base::metrics";

/// Returns true if the item is one counter, not the table of all.
fn is_counter(item: &ItemStatic) -> bool {
    matches!(&*item.ty, Type::Path(path) if path.path.is_ident("Counter"))
}

/// Returns the production code of a file as tokens, without comments and spaces.
fn code(source: &Source) -> String {
    let production = source.text.split("\n#[cfg(test)]\nmod tests").next();
    let tokens: TokenStream = production.unwrap_or("").parse().unwrap();
    tokens.to_string().replace(char::is_whitespace, "")
}

/// Returns the counters that no production code outside of `base::metrics` increments.
fn not_counted(tree: &Tree) -> Vec<String> {
    let metrics = tree.module(METRICS).unwrap();
    let others = tree.sources.iter();
    let others = others.filter(|source| source.module != METRICS);
    let code: Vec<String> = others.map(code).collect();
    let counters = metrics.syntax.items.iter().filter_map(|item| match item {
        Item::Static(item) if is_counter(item) => Some(&item.ident),
        _ => None,
    });
    let missing = counters.filter(|name| {
        let call = format!("metrics::{name}.count()");
        !code.iter().any(|code| code.contains(&call))
    });
    missing
        .map(|name| format!("src/{}: no code increments {name}", metrics.path))
        .collect()
}

#[test]
fn some_code_increments_each_metric() {
    check(&not_counted(&Tree::read()));
}

#[test]
fn a_metric_that_only_a_comment_or_a_test_increments_is_found() {
    let metrics = "pub static A: Counter = x();\npub static B: Counter = x();\n\
        pub static ALL: [&Counter; 2] = [&A, &B];\n";
    let user = "fn a() {\n    metrics::A.count();\n    // metrics::B.count();\n}\n\
        \n#[cfg(test)]\nmod tests {\n    fn b() { metrics::B.count(); }\n}\n";
    let tree = Tree::of(&[("base/metrics.rs", metrics), ("view/a.rs", user)]);
    assert_eq!(
        not_counted(&tree),
        ["src/base/metrics.rs: no code increments B"]
    );
}
