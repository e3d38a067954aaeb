//! Holds the source tree to what `src/lib.rs` and each `src/WING/mod.rs` say of it.
//!
//! [`source`] reads the files, [`scope`] collects what each declares and names, [`uses`] resolves
//! every named path to the file that defines the item. [`documents`] reads the documents. The other files
//! each test one promise.

mod circles;
mod commands;
mod documents;
mod files;
mod layers;
mod links;
mod map;
mod metrics;
mod names;
mod notices;
mod pictures;
mod purity;
mod scope;
mod sizes;
mod source;
mod streams;
mod uses;
mod words;

/// Fails with one line for each finding.
fn check(findings: &[String]) {
    let count = findings.len();
    assert!(
        findings.is_empty(),
        "{count} found:\n  {}",
        findings.join("\n  ")
    );
}

/// Prints what `--nocapture` shows.
#[expect(clippy::print_stdout, reason = "numbers to be read, not to be tested")]
fn report(line: &str) {
    println!("{line}");
}
