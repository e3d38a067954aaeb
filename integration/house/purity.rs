//! A file that begins with `//! Pure.` computes, and does nothing else.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    check,
    source::{Source, Tree},
    uses::{Target, Uses},
};

/// The parts of the standard library that a pure file cannot name.
const IMPURE: [&str; 10] = [
    "env",
    "fs",
    "net",
    "os",
    "process",
    "thread",
    "io::stderr",
    "io::stdin",
    "io::stdout",
    "backtrace",
];

/// The parts of other crates that a pure file can name: values, and functions of values alone.
const PURE_ELSEWHERE: [&str; 22] = [
    "alloc",
    "anstyle",
    "clap",
    "core",
    "fuser::FileAttr",
    "fuser::FileType",
    "fuser::INodeNo",
    "glob::Pattern",
    "humantime",
    "jsonc_parser",
    "rustix::process::Resource",
    "rustix::thread::CapabilitySet",
    "serde",
    "serde_json",
    "similar",
    "syscalls::aarch64::Sysno",
    "syscalls::arm::Sysno",
    "syscalls::x86::Sysno",
    "syscalls::x86_64::Sysno",
    "thiserror",
    "toml",
    "toml_edit",
];

/// Types without a crate, which have functions of their own: `u64::from`.
const PRIMITIVES: [&str; 17] = [
    "bool", "char", "f32", "f64", "i128", "i16", "i32", "i64", "i8", "isize", "str", "u128", "u16",
    "u32", "u64", "u8", "usize",
];

/// Methods of the standard library that ask the kernel.
const IMPURE_METHODS: [&str; 12] = [
    "canonicalize",
    "elapsed",
    "exists",
    "is_symlink",
    "metadata",
    "read_dir",
    "read_link",
    "set_permissions",
    "spawn",
    "symlink_metadata",
    "sync_all",
    "try_exists",
];

/// The rooms of this tree that no pure file uses, whatever their files promise.
const IMPURE_ROOMS: [&str; 2] = ["base::sys", "base::metrics"];

/// Lists the reasons why a file is impure, given the modules that are.
fn faults(uses: &Uses, source: &Source, impure: &BTreeSet<&str>) -> Vec<String> {
    let scope = &uses.scopes[source.module.as_str()];
    let path = &source.path;
    let mut found: Vec<String> = scope
        .unsafe_lines
        .iter()
        .map(|line| format!("src/{path}:{line} has unsafe code"))
        .collect();
    for (method, line) in &scope.methods {
        if IMPURE_METHODS.contains(&method.as_str()) {
            found.push(format!("src/{path}:{line} calls {method}"));
        }
    }
    for named in &scope.named {
        if let [_, .., last] = named.path.as_slice()
            && last == "now"
        {
            let (line, written) = (named.line, named.path.join("::"));
            found.push(format!("src/{path}:{line} names {written}"));
        }
    }
    found.extend(foreign(uses, source, impure));
    found
}

/// The uses of a file that lead out of what is pure, one for each module or crate.
fn foreign(uses: &Uses, source: &Source, impure: &BTreeSet<&str>) -> Vec<String> {
    let mut found = BTreeMap::new();
    for one in uses.by(source) {
        let place = format!("{} names {}", one.place(), one.written);
        match &one.target {
            Target::External(path) => {
                let path = path.join("::");
                if !is_pure_path(&path) {
                    found
                        .entry(path.clone())
                        .or_insert(format!("{place}, of {path}, which is not pure"));
                }
            }
            _ if one.is_own_reexport() => {}
            Target::Module(module) | Target::Item { module, .. } => {
                let is_item = matches!(one.target, Target::Item { .. });
                if IMPURE_ROOMS.iter().any(|room| is_in(module, room))
                    || is_item && impure.contains(module.as_str())
                {
                    let fault = format!("{place}, of {module}, which is not pure");
                    found.entry(module.clone()).or_insert(fault);
                }
            }
        }
    }
    found.into_values().collect()
}

/// Returns true if a path of another crate leads to values alone.
fn is_pure_path(path: &str) -> bool {
    if let Some(rest) = path.strip_prefix("std::") {
        // A path as bytes is as pure as one as text.
        return is_in(rest, "os::unix::ffi") || !IMPURE.iter().any(|part| is_in(rest, part));
    }
    let first = path.split("::").next().unwrap_or(path);
    path == "std"
        || PRIMITIVES.contains(&first)
        || PURE_ELSEWHERE.iter().any(|part| is_in(path, part))
}

/// Returns true if the path is `outer` or leads into it.
fn is_in(path: &str, outer: &str) -> bool {
    let rest = path.strip_prefix(outer);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The modules whose items a pure file cannot use: all that do not promise purity, except a `mod.rs`
/// that fulfils the promise without giving it.
fn impure_modules<'tree>(uses: &Uses<'tree>) -> BTreeSet<&'tree str> {
    let sources = &uses.tree.sources;
    let mut impure: BTreeSet<&str> = sources
        .iter()
        .filter(|source| !source.is_marked_pure() && !source.is_front())
        .map(|source| source.module.as_str())
        .collect();
    loop {
        let more: Vec<&str> = sources
            .iter()
            .filter(|source| source.is_front() && !source.is_marked_pure())
            .filter(|source| !impure.contains(source.module.as_str()))
            .filter(|source| !faults(uses, source, &impure).is_empty())
            .map(|source| source.module.as_str())
            .collect();
        if more.is_empty() {
            return impure;
        }
        impure.extend(more);
    }
}

/// Lists the faults of every file that promises to be pure.
fn broken_promises(tree: &Tree) -> Vec<String> {
    let uses = Uses::of(tree);
    let impure = impure_modules(&uses);
    let marked = tree.sources.iter().filter(|source| source.is_marked_pure());
    marked
        .flat_map(|source| faults(&uses, source, &impure))
        .collect()
}

#[test]
fn a_file_that_says_it_is_pure_is() {
    check(&broken_promises(&Tree::read()));
}

/// The faults of one pure file beside rooms that are not.
fn faults_of(text: &str) -> Vec<String> {
    let text = format!("//! Pure. A view.\n{text}");
    broken_promises(&Tree::of(&[
        ("lib.rs", "pub mod base;\npub mod facts;\npub mod view;\n"),
        ("base/mod.rs", "pub mod sys;\npub mod units;\n"),
        ("base/sys/mod.rs", "mod dir;\npub use dir::Dir;\n"),
        ("base/sys/dir.rs", "pub struct Dir;\n"),
        (
            "base/units.rs",
            "//! Pure. Quantities.\npub struct Bytes;\n",
        ),
        ("facts/mod.rs", "pub mod host;\npub mod time;\n"),
        (
            "facts/host/mod.rs",
            "mod read;\npub use read::machine;\npub struct Machine;\n",
        ),
        ("facts/host/read.rs", "use std::fs;\npub fn machine() {}\n"),
        ("facts/time.rs", "//! Time.\npub use std::time::Instant;\n"),
        ("view.rs", &text),
    ]))
}

#[test]
fn a_pure_file_can_use_types_of_pure_files_and_of_a_mod_rs_that_is_pure() {
    let text = "use std::{fmt, os::unix::ffi::OsStrExt, time::Duration};
        use crate::{base::units::Bytes, facts::host::{self, Machine}};
        fn view(m: &host::Machine) -> u64 { u64::MAX }";
    assert_eq!(faults_of(text), [""; 0]);
}

#[test]
fn the_file_system_is_seen_in_a_group_of_the_standard_library() {
    let found = faults_of("use std::{fs, time::Instant};\nfn now() { Instant::now(); }");
    assert_eq!(
        found,
        [
            "src/view.rs:3 names Instant::now",
            "src/view.rs:2 names std::fs, of std::fs, which is not pure"
        ]
    );
}

#[test]
fn a_system_call_is_seen_in_a_group_of_rooms() {
    let found = faults_of("use crate::{facts::host::Machine, base::sys::Dir};");
    assert_eq!(
        found,
        ["src/view.rs:2 names crate::base::sys::Dir, of base::sys::dir, which is not pure"]
    );
}

#[test]
fn a_function_that_reads_is_seen_behind_a_re_export_a_rename_and_a_module() {
    for text in [
        "use crate::facts::host::machine;",
        "use crate::facts::host::{machine as known};",
        "use super::facts::host;\nfn f() { host::machine(); }",
        "fn f() { plimsoll::facts::host::machine(); }",
        "use crate::facts as other;\nfn f() { vec![other::host::machine()]; }",
    ] {
        let found = faults_of(text);
        let is_seen = found
            .iter()
            .any(|fault| fault.ends_with("read, which is not pure"));
        assert!(is_seen, "{text}: {found:?}");
    }
}

#[test]
fn other_ways_to_ask_the_kernel_are_seen() {
    for text in [
        "use std::env::{self, var};",
        "use std as library;\nfn f() { library::fs::read(\"a\"); }",
        "fn f() { std::thread::sleep(D); }",
        "use std::os::fd::OwnedFd;",
        "fn f(t: T) { t.map_or_else(std::time::SystemTime::now, g); }",
        "use crate::facts::time::Instant as Clock;\nfn f() { Clock::now(); }",
        "fn f(t: T) -> D { t.elapsed() }",
        "fn f() { unsafe { g() } }",
        "fn f() { assert!(unsafe { g() }); }",
        "unsafe fn f() {}",
        "fn f() { libc::getpid(); }",
        "use tracing::info;",
        "use nix::unistd;",
        "fn f() { tracing::info!(\"seen\"); }",
        "fn f(p: &Path) { println!(\"{}\", p.exists()); }",
    ] {
        assert!(!faults_of(text).is_empty(), "{text}");
    }
}

#[test]
fn tests_of_a_pure_file_can_read() {
    let found = faults_of("#[cfg(test)]\nmod tests {\n    use std::fs;\n}");
    assert_eq!(found, [""; 0]);
}
