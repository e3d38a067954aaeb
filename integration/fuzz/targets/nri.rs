//! The bytes of a container runtime that speaks NRI: none panics, and how they are cut does not matter.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll::inject::nri::{
    Conversation, FieldReader, Heard, ListedPart, NriRuntime, Pod, PodContainer, WireError,
};

fuzz_target!(|bytes: &[u8]| {
    let _ = FieldReader::new(bytes).count();
    let _ = (NriRuntime::parse(bytes), ListedPart::parse(bytes));
    let _ = (Pod::parse(bytes), PodContainer::parse(bytes));
    let whole = heard(bytes, bytes.len());
    let size = bytes.first().map_or(1, |size| usize::from(size % 64) + 1);
    assert_eq!(heard(bytes, size).is_ok(), whole.is_ok());
    if let (Ok(whole), Ok(cut)) = (whole, heard(bytes, size)) {
        assert_eq!(whole, cut);
    }
});

/// Returns what a runtime says by `bytes` in pieces of that size, and the answers.
fn heard(bytes: &[u8], size: usize) -> Result<(Vec<Heard>, Vec<u8>), WireError> {
    let mut conversation = Conversation::new("plimsoll", "90");
    let mut heard = Vec::new();
    for piece in bytes.chunks(size.max(1)) {
        heard.extend(conversation.read(piece)?);
    }
    Ok((heard, conversation.output().clone()))
}
