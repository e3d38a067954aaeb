//! Pure. The layout of an entry in memory: a head of six words, then the bytes of the value.
//!
//! | word | meaning |
//! |---|---|
//! | 0 | the slot's class, from 1: the slot has `MIN_SLOT << (class - 1)` bytes; written once; 0 where no slot was made yet |
//! | 1 | the kind of the entry, written last; 0 in a slot that is free |
//! | 2 | the key of the entry |
//! | 3 | the sequence number: of two entries with one kind and key the larger number is valid |
//! | 4 | the number of bytes of the value |
//! | 5 | a checksum of words 1 to 4 and of the bytes |

/// The size of the smallest slot in bytes, the head included.
pub(super) const MIN_SLOT: usize = 256;
/// The number of slot sizes: the largest slot has 1 MiB.
pub(super) const CLASSES: usize = 13;
/// The size of a head in bytes.
pub(super) const HEAD: usize = 6 * WORD;
/// The size of a word in bytes.
pub(super) const WORD: usize = 8;

/// The head of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: u64,
    pub(super) key: u64,
    pub(super) sequence: u64,
}

/// Returns the size in bytes of a slot of `class`, counted from 0.
pub(super) fn size(class: usize) -> usize {
    MIN_SLOT << class
}

/// Returns the smallest class, counted from 0, with room for `length` bytes.
pub(super) fn class(length: usize) -> Option<usize> {
    (0..CLASSES).find(|class| size(*class) - HEAD >= length)
}

/// Returns the class, counted from 0, that word 0 of a slot names; `None` where there is no slot.
pub(super) fn class_of(word: u64) -> Option<usize> {
    let class = usize::try_from(word).ok()?.checked_sub(1)?;
    (class < CLASSES).then_some(class)
}

/// Returns words 2 to 5 of the head of an entry.
pub(super) fn encode(head: &Head, bytes: &[u8]) -> [u8; 4 * WORD] {
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let words = [
        head.key,
        head.sequence,
        length,
        checksum(head, length, bytes),
    ];
    let mut encoded = [0; 4 * WORD];
    for (place, word) in encoded.chunks_exact_mut(WORD).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    encoded
}

/// Returns the entry in a slot; `None` for a free slot, a corrupt slot, and a slot whose writer died
/// while it wrote. `slot` is the slot after word 0.
pub(super) fn decode(slot: &[u8]) -> Option<(Head, &[u8])> {
    let [kind, key, sequence, length, sum] = words(slot)?;
    let head = Head {
        kind,
        key,
        sequence,
    };
    let bytes = slot.get(5 * WORD..)?.get(..usize::try_from(length).ok()?)?;
    (kind != 0 && sum == checksum(&head, length, bytes)).then_some((head, bytes))
}

/// Returns the first `N` words of `bytes`; `None` when `bytes` is shorter.
pub fn words<const N: usize>(bytes: &[u8]) -> Option<[u64; N]> {
    let (chunks, _) = bytes.as_chunks::<WORD>();
    let chunks: &[_; N] = chunks.first_chunk()?;
    Some(chunks.map(u64::from_le_bytes))
}

fn checksum(head: &Head, length: u64, bytes: &[u8]) -> u64 {
    // The checksum detects a kill in the middle of a write and flipped bits, not an attack.
    let mix = |sum: u64, word: u64| {
        (sum ^ word)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29)
    };
    let head = [head.kind, head.key, head.sequence, length];
    let sum = head.into_iter().fold(0x506c_696d_736f_6c6c, mix);
    let (chunks, rest) = bytes.as_chunks::<WORD>();
    let sum = chunks
        .iter()
        .fold(sum, |sum, chunk| mix(sum, u64::from_le_bytes(*chunk)));
    let sum = rest
        .iter()
        .fold(sum, |sum, byte| mix(sum, u64::from(*byte)));
    mix(sum, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    fn slot(head: &Head, bytes: &[u8]) -> Vec<u8> {
        let mut slot = head.kind.to_le_bytes().to_vec();
        slot.extend(encode(head, bytes));
        slot.extend(bytes);
        slot.extend([7; 3]);
        slot
    }

    #[test]
    fn the_smallest_slot_with_room_is_taken() {
        assert_eq!(class(0), Some(0));
        assert_eq!(class(MIN_SLOT - HEAD), Some(0));
        assert_eq!(class(MIN_SLOT - HEAD + 1), Some(1));
        assert_eq!(class(size(CLASSES - 1)), None);
        assert_eq!(
            (class_of(0), class_of(1), class_of(14)),
            (None, Some(0), None)
        );
    }

    proptest! {
        #[test]
        fn an_entry_is_read_as_it_was_written(
            kind in 1u64.., key: u64, sequence: u64, bytes in any::<Vec<u8>>()
        ) {
            let head = Head { kind, key, sequence };
            assert_eq!(decode(&slot(&head, &bytes)), Some((head, &bytes[..])));
        }

        #[test]
        fn an_entry_with_one_wrong_bit_is_none(
            key: u64, bytes in proptest::collection::vec(any::<u8>(), 1..100), at: usize
        ) {
            let mut slot = slot(&Head { kind: 2, key, sequence: 3 }, &bytes);
            let bits = (slot.len() - 3) * 8;
            let bit = at % bits;
            slot[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&slot), None);
        }

        #[test]
        fn no_memory_makes_the_decoder_panic(slot in any::<Vec<u8>>()) {
            let _ = decode(&slot);
        }
    }
}
