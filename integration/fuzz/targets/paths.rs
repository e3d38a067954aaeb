//! Lists of mounts, and the paths that a user or the kernel looks up in the tree.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll::{base::mountinfo, facts::engines, serve::tree::{Entry, ROOT}, view::files::{Attribute, File}};

fuzz_target!(|text: &str| {
    let all: Vec<_> = mountinfo::parse(text).collect();
    assert!(mountinfo::visible(&all).len() <= all.len());
    assert!(mountinfo::parse_kind(text.as_bytes(), "fuse").count() <= all.len());
    let _ = mountinfo::parse_peers(text.as_bytes()).count();
    let _ = (File::named(text), engines::container_cgroups(text).count());
    if let Some(attribute) = Attribute::at(text) {
        assert_eq!(attribute.path(), text);
    }
    let entry = text.split('/').try_fold(ROOT, |entry, name| entry.child(name));
    if let Some(entry) = entry {
        assert_eq!(Entry::from_inode(entry.inode()), Some(entry));
    }
});
