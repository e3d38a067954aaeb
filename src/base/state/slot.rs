//! Pure. How an entry lies in memory: a head of six words, and its bytes.
//!
//! | word | meaning |
//! |---|---|
//! | 0 | the slot's class, from 1: its size is `SMALLEST << (class - 1)` bytes; written once; 0 where no slot was made yet |
//! | 1 | the kind of the entry, written last; 0 in a slot that is free |
//! | 2 | its key |
//! | 3 | its sequence number: of two entries with one kind and key the larger one is true |
//! | 4 | how many bytes it has |
//! | 5 | a checksum of words 1 to 4 and of the bytes |

/// The size of the smallest slot, its head included.
pub(super) const SMALLEST: usize = 256;
/// The number of sizes: the largest slot has a megabyte.
pub(super) const CLASSES: usize = 13;
/// The size of a head.
pub(super) const HEAD: usize = 6 * WORD;
/// The size of a word.
pub(super) const WORD: usize = 8;

/// The head of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: u64,
    pub(super) key: u64,
    pub(super) sequence: u64,
}

/// The size of a slot of that class, counted from 0.
pub(super) fn size(class: usize) -> usize {
    SMALLEST << class
}

/// The smallest class, counted from 0, with room for so many bytes.
pub(super) fn class(length: usize) -> Option<usize> {
    (0..CLASSES).find(|class| size(*class) - HEAD >= length)
}

/// The class, counted from 0, that word 0 of a slot names; `None` where there is no slot.
pub(super) fn class_of(word: u64) -> Option<usize> {
    let class = usize::try_from(word).ok()?.checked_sub(1)?;
    (class < CLASSES).then_some(class)
}

/// Words 2 to 5 of an entry's head.
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

/// The entry in a slot; `None` if it is free, was being written when the writer died, or is
/// corrupt. `slot` is all of the slot but its word 0.
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

/// The first words of some bytes.
pub(super) fn words<const N: usize>(bytes: &[u8]) -> Option<[u64; N]> {
    let (chunks, _) = bytes.as_chunks::<WORD>();
    let chunks: &[_; N] = chunks.first_chunk()?;
    Some(chunks.map(u64::from_le_bytes))
}

fn checksum(head: &Head, length: u64, bytes: &[u8]) -> u64 {
    // Against a kill in the middle of a write and flipped bits, not against an enemy.
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
        assert_eq!(class(SMALLEST - HEAD), Some(0));
        assert_eq!(class(SMALLEST - HEAD + 1), Some(1));
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
