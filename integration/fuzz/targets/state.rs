//! The state of a daemon before: memory with any content, and whole entries with any value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll::{
    base::state::{Kind, Store, TermWord},
    serve::{fuse::Server, wire::Side},
    view::answer::Answers,
};
use std::{
    fs::File,
    os::{fd::AsFd, unix::fs::FileExt},
    sync::Arc,
};

const KINDS: [Kind; 4] = [Kind::Container, Kind::OpenFile, Kind::Suspect, Kind::Strikes];

fuzz_target!(|input: (Vec<(u8, u64, Vec<u8>)>, u16, Vec<u8>)| {
    let (entries, at, bytes) = input;
    let store = Store::new().unwrap();
    for (kind, key, value) in &entries {
        store.put(KINDS[usize::from(*kind) % KINDS.len()], *key, value);
        store.mark(kind % 16, *key);
    }
    let memory = store.as_fd().try_clone_to_owned().unwrap();
    // The first 16 bytes say that this is a state.
    let _ = File::from(memory).write_at(&bytes, 16 + u64::from(at));
    let memory = store.as_fd().try_clone_to_owned().unwrap();
    let _ = TermWord::of(memory).map(|term| term.right());
    let memory = store.as_fd().try_clone_to_owned().unwrap();
    let next = Arc::new(Store::of(memory).unwrap());
    for kind in KINDS {
        for key in next.keys(kind) {
            let value = next.get(kind, key).expect("a key without a value");
            next.put(kind, key, &value);
            assert_eq!(next.get(kind, key), Some(value));
        }
    }
    let answers = Answers::here().unwrap().with_store(Arc::clone(&next));
    let server = Server::new(Arc::new(answers), next, 10);
    let _ = server.count_death();
    let _ = Side::BOTH.map(|side| server.oldest_waiting(side));
});
