//! What a daemon gets from another process: manifests, names, messages and packets of any order.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll::{
    base::{state::ServingRight, sys::{fd, packet}},
    serve::handover::{Channel, Manifest, Message, Name},
};
use std::os::fd::AsFd;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(manifest) = Manifest::parse(bytes) {
        assert_eq!(Manifest::parse(&manifest.text()).ok(), Some(manifest));
    }
    if let Some(message) = Message::parse(bytes) {
        assert_eq!(message.text().as_bytes(), bytes);
    }
    if let Some(name) = std::str::from_utf8(bytes).ok().and_then(Name::parse) {
        assert_eq!(Name::parse(name.as_str()), Some(name));
    }
    for word in bytes.chunks_exact(8).filter_map(|word| word.try_into().ok()) {
        let word = u64::from_le_bytes(word);
        let Some(right) = ServingRight::of_word(word) else {
            continue;
        };
        assert_eq!(right.word(), word);
        let _ = (right.claimed_by(7, None), right.claimed_by(7, Some(right.term)));
        let _ = (right.offered_by(right.term.lineage), right.kept_by(right.term.lineage));
    }
    packets(bytes);
});

/// Sends each line as a packet, with as many descriptors as its first byte says.
fn packets(bytes: &[u8]) {
    let (ours, theirs) = fd::pair().unwrap();
    let mut channel = Channel::from(theirs);
    for line in bytes.split(|byte| *byte == b'\n').take(16) {
        let (count, text) = line.split_first().unwrap_or((&0, &[]));
        let fds = vec![ours.as_fd(); usize::from(count % 4)];
        if !text.is_empty() && packet::send(&ours, text, &fds).is_ok() {
            let _ = channel.recv_packet();
        }
    }
}
