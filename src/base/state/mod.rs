//! The state that a daemon keeps for its successor, in memory that outlives the daemon. At any
//! moment of a kill an entry is whole or absent.
//!
//! A new value of an entry goes to another slot first; then the old slot becomes free. A slot never
//! changes its size, so a successor finds every slot by a walk from one to the next.

mod slot;
mod term;
mod term_word;

pub use slot::words;
pub use term::{ServingRight, Term};
pub use term_word::TermWord;

use crate::base::sys::Shared;
use parking_lot::Mutex;
use slot::{CLASSES, HEAD, Head, MIN_SLOT, WORD};
use std::{
    collections::HashMap,
    io,
    num::NonZeroUsize,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

/// The version of the memory layout and of the entries.
pub const VERSION: u64 = 1;
/// The largest size of the memory. An entry that does not fit is lost with the daemon.
const MAX_SIZE: NonZeroUsize = NonZeroUsize::new(64 << 20).unwrap();
/// The first eight bytes of the memory.
const MAGIC: u64 = u64::from_le_bytes(*b"plimsoll");
/// The offset of the [term](ServingRight), in bytes.
const TERM: usize = 16;
/// The offset of the first mark, in bytes, and the number of marks.
const MARKS: (usize, usize) = (64, 16);

/// The subject of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The counters of a container, by the container's key.
    Container,
    /// An open file, by the file's handle.
    OpenFile,
    /// A request during which a daemon died, by the request's number.
    Suspect,
    /// The requests of a container that no daemon could answer, by the container's key.
    Strikes,
    /// The number of the backing file of the direct connection, by 0; 0 where the kernel takes none.
    Backing,
}

impl Kind {
    fn number(self) -> u64 {
        match self {
            Kind::Container => 1,
            Kind::OpenFile => 2,
            Kind::Suspect => 3,
            Kind::Strikes => 4,
            Kind::Backing => 5,
        }
    }

    fn of_number(number: u64) -> Option<Kind> {
        [
            Kind::Container,
            Kind::OpenFile,
            Kind::Suspect,
            Kind::Strikes,
            Kind::Backing,
        ]
        .into_iter()
        .find(|kind| kind.number() == number)
    }
}

/// The reason for which the memory of a predecessor cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The kernel refuses to map the memory.
    #[error("cannot map the state")]
    Refused(#[from] io::Error),
    /// The memory is not of this program.
    #[error("the memory holds no state of this program")]
    Foreign,
    /// The memory is of another version of this program.
    #[error("the state has version {0}; this program supports version {VERSION}")]
    Unknown(u64),
}

/// Entries by kind and key, in memory whose descriptor a successor can receive.
#[derive(Debug)]
pub struct Store {
    memory: Shared,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<(Kind, u64), Slot>,
    free: [Vec<Slot>; CLASSES],
    /// The offset of the next new slot.
    end: usize,
    sequence: u64,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    at: usize,
    class: usize,
}

impl Store {
    /// Makes an empty store.
    ///
    /// # Errors
    /// When the kernel has no memory left.
    pub fn new() -> io::Result<Store> {
        let memory = Shared::new("plimsoll-state", MAX_SIZE)?;
        memory.grow(4096)?;
        memory.write(0, &MAGIC.to_le_bytes());
        memory.write(WORD, &VERSION.to_le_bytes());
        let table = Mutex::new(Table {
            end: MIN_SLOT,
            ..Table::default()
        });
        Ok(Store { memory, table })
    }

    /// Opens the store of a predecessor. Entries that are not whole are absent.
    ///
    /// # Errors
    /// When the store has another version, or the memory is no store.
    pub fn of(fd: OwnedFd) -> Result<Store, StoreError> {
        let memory = opened(fd)?;
        let table = Mutex::new(found(&memory));
        Ok(Store { memory, table })
    }

    /// Replaces the entry. Without room for the new value the entry is absent.
    pub fn put(&self, kind: Kind, key: u64, bytes: &[u8]) {
        let mut table = self.table.lock();
        let Some(slot) = table.room(&self.memory, bytes.len()) else {
            self.forget(&mut table, kind, key);
            return;
        };
        table.sequence += 1;
        let head = Head {
            kind: kind.number(),
            key,
            sequence: table.sequence,
        };
        let words = slot::encode(&head, bytes);
        self.memory.write(slot.at + 2 * WORD, &words);
        self.memory.write(slot.at + HEAD, bytes);
        self.memory.write(slot.at + WORD, &head.kind.to_le_bytes());
        if let Some(old) = table.entries.insert((kind, key), slot) {
            self.release(&mut table, old);
        }
    }

    /// Removes the entry.
    pub fn remove(&self, kind: Kind, key: u64) {
        self.forget(&mut self.table.lock(), kind, key);
    }

    /// Returns the value of the entry, if there is one.
    #[must_use]
    pub fn get(&self, kind: Kind, key: u64) -> Option<Vec<u8>> {
        let table = self.table.lock();
        let slot = table.entries.get(&(kind, key))?;
        let bytes = whole(&self.memory, *slot)?;
        let (_, bytes) = slot::decode(&bytes)?;
        Some(bytes.to_vec())
    }

    /// Returns the keys of every entry of a kind, in no order.
    #[must_use]
    pub fn keys(&self, kind: Kind) -> Vec<u64> {
        let table = self.table.lock();
        let keys = table.entries.keys();
        keys.filter(|(other, _)| *other == kind)
            .map(|(_, key)| *key)
            .collect()
    }

    /// Writes a number at one of 16 places. The call is cheap enough for every request.
    pub fn mark(&self, place: u8, number: u64) {
        if usize::from(place) < MARKS.1 {
            let at = MARKS.0 + usize::from(place) * WORD;
            self.memory.write(at, &number.to_le_bytes());
        }
    }

    /// Returns the last number that was written at `place`, or 0.
    #[must_use]
    pub fn marked(&self, place: u8) -> u64 {
        let at = MARKS.0 + usize::from(place).min(MARKS.1 - 1) * WORD;
        let word = self.memory.read(at, WORD);
        word.and_then(|word| slot::words(&word))
            .map_or(0, |[word]| word)
    }

    fn forget(&self, table: &mut Table, kind: Kind, key: u64) {
        if let Some(slot) = table.entries.remove(&(kind, key)) {
            self.release(table, slot);
        }
    }

    fn release(&self, table: &mut Table, slot: Slot) {
        self.memory.write(slot.at + WORD, &0u64.to_le_bytes());
        if let Some(free) = table.free.get_mut(slot.class) {
            free.push(slot);
        }
    }
}

impl AsFd for Store {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.memory.as_fd()
    }
}

impl Table {
    /// Takes a free slot with room for `length` bytes, or makes one.
    fn room(&mut self, memory: &Shared, length: usize) -> Option<Slot> {
        let class = slot::class(length)?;
        if let Some(slot) = self.free.get_mut(class).and_then(Vec::pop) {
            return Some(slot);
        }
        let at = self.end;
        let end = at + slot::size(class);
        // The word behind the last slot stays zero and ends the walk over the slots.
        if end + WORD > memory.size() {
            memory.grow((end + WORD).next_multiple_of(1 << 16)).ok()?;
        }
        let number = u64::try_from(class + 1).ok()?;
        memory.write(at, &number.to_le_bytes());
        self.end = end;
        Some(Slot { at, class })
    }
}

/// Maps the memory of a store of this version.
fn opened(fd: OwnedFd) -> Result<Shared, StoreError> {
    let memory = Shared::of(fd, MAX_SIZE)?;
    let head = memory.read(0, 2 * WORD).ok_or(StoreError::Foreign)?;
    match slot::words(&head) {
        Some([MAGIC, VERSION]) => Ok(memory),
        Some([MAGIC, version]) => Err(StoreError::Unknown(version)),
        _ => Err(StoreError::Foreign),
    }
}

/// Finds the entries by a walk over the slots.
fn found(memory: &Shared) -> Table {
    let mut table = Table {
        end: MIN_SLOT,
        ..Table::default()
    };
    let mut sequences: HashMap<(Kind, u64), u64> = HashMap::new();
    while let Some(slot) = slot_at(memory, table.end) {
        table.end += slot::size(slot.class);
        let bytes = whole(memory, slot);
        let entry = bytes.as_ref().and_then(|bytes| slot::decode(bytes));
        let head = entry.map(|(head, _)| head);
        let mut useless = Some(slot);
        if let Some(head) = head {
            table.sequence = table.sequence.max(head.sequence);
            let Some(kind) = Kind::of_number(head.kind) else {
                // Another program's entry: that program may serve on, or follow this one.
                continue;
            };
            let place = (kind, head.key);
            if sequences
                .get(&place)
                .is_none_or(|other| *other < head.sequence)
            {
                sequences.insert(place, head.sequence);
                useless = table.entries.insert(place, slot);
            }
        }
        if let Some(slot) = useless {
            memory.write(slot.at + WORD, &0u64.to_le_bytes());
            if let Some(free) = table.free.get_mut(slot.class) {
                free.push(slot);
            }
        }
    }
    table
}

fn slot_at(memory: &Shared, at: usize) -> Option<Slot> {
    let [word] = slot::words(&memory.read(at, WORD)?)?;
    let class = slot::class_of(word)?;
    (at + slot::size(class) <= memory.size()).then_some(Slot { at, class })
}

/// Reads the bytes of a slot after word 0.
fn whole(memory: &Shared, slot: Slot) -> Option<Vec<u8>> {
    memory.read(slot.at + WORD, slot::size(slot.class) - WORD)
}

#[cfg(test)]
impl Store {
    /// Returns copies of the stores that released programs have left.
    pub(crate) fn of_releases() -> Vec<Store> {
        use std::fs;
        let releases = concat!(env!("CARGO_MANIFEST_DIR"), "/integration/fixtures/releases");
        let releases = fs::read_dir(releases).unwrap();
        let stores = releases.map(|release| {
            let mut memory = tempfile::tempfile().unwrap();
            let bytes = fs::read(release.unwrap().path().join("state")).unwrap();
            io::Write::write_all(&mut memory, &bytes).unwrap();
            Store::of(memory.into()).unwrap()
        });
        stores.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn successor(store: &Store) -> Store {
        Store::of(store.as_fd().try_clone_to_owned().unwrap()).unwrap()
    }

    #[test]
    fn an_entry_of_a_kind_that_only_another_program_knows_outlives_this_program() {
        let store = Store::new().unwrap();
        store.put(Kind::Backing, 7, b"entry");
        let slot = store.table.lock().entries[&(Kind::Backing, 7)];
        let head = Head {
            kind: 99,
            key: 7,
            sequence: 1,
        };
        let words = slot::encode(&head, b"entry");
        store.memory.write(slot.at + 2 * WORD, &words);
        store.memory.write(slot.at + WORD, &99u64.to_le_bytes());
        let before = whole(&store.memory, slot);
        let next = successor(&store);
        next.put(Kind::Backing, 7, b"other");
        assert_eq!(whole(&store.memory, slot), before);
        assert_eq!(next.get(Kind::Backing, 7).as_deref(), Some(&b"other"[..]));
    }

    #[test]
    fn a_successor_finds_the_latest_of_each_entry() {
        let store = Store::new().unwrap();
        store.put(Kind::OpenFile, 7, b"first");
        store.put(Kind::OpenFile, 7, &[b'x'; 5000]);
        store.put(Kind::Container, 7, b"counters");
        store.put(Kind::Container, 8, b"gone");
        store.remove(Kind::Container, 8);
        let next = successor(&store);
        assert_eq!(next.get(Kind::OpenFile, 7).unwrap(), [b'x'; 5000]);
        assert_eq!(next.get(Kind::Container, 7).unwrap(), b"counters");
        assert_eq!(next.get(Kind::Container, 8), None);
        assert_eq!(next.keys(Kind::OpenFile), [7]);
    }

    #[test]
    fn an_entry_that_was_being_written_leaves_the_one_before() {
        let store = Store::new().unwrap();
        store.put(Kind::Container, 1, b"whole");
        // What a writer leaves that is killed before it frees the old slot, or writes all bytes.
        let head = Head {
            kind: 1,
            key: 1,
            sequence: 9,
        };
        let slot = store.table.lock().room(&store.memory, 4).unwrap();
        let words = slot::encode(&head, b"torn");
        store.memory.write(slot.at + 2 * WORD, &words);
        store.memory.write(slot.at + HEAD, b"to");
        store.memory.write(slot.at + WORD, &1u64.to_le_bytes());
        assert_eq!(successor(&store).get(Kind::Container, 1).unwrap(), b"whole");
        store.memory.write(slot.at + HEAD, b"torn");
        store.memory.write(slot.at + WORD, &1u64.to_le_bytes());
        assert_eq!(successor(&store).get(Kind::Container, 1).unwrap(), b"torn");
    }

    #[test]
    fn entries_that_come_and_go_take_no_more_memory_than_a_few() {
        let store = Store::new().unwrap();
        for round in 0..10_000u64 {
            store.put(Kind::OpenFile, round, &[1; 3000]);
            store.put(Kind::OpenFile, round, &[2; 3000]);
            store.remove(Kind::OpenFile, round);
        }
        assert!(store.memory.size() < 1 << 17, "{}", store.memory.size());
        assert!(successor(&store).keys(Kind::OpenFile).is_empty());
    }

    #[test]
    fn what_does_not_fit_is_not_kept_and_harms_nothing() {
        let store = Store::new().unwrap();
        store.put(Kind::OpenFile, 1, b"small");
        store.put(Kind::OpenFile, 1, &vec![0; 2 << 20]);
        store.put(Kind::OpenFile, 2, b"other");
        let next = successor(&store);
        assert_eq!(next.get(Kind::OpenFile, 1), None);
        assert_eq!(next.get(Kind::OpenFile, 2).unwrap(), b"other");
    }

    #[test]
    fn memory_of_another_version_or_program_is_refused() {
        let store = Store::new().unwrap();
        let fd = || store.as_fd().try_clone_to_owned().unwrap();
        store.memory.write(WORD, &9u64.to_le_bytes());
        let refused = Store::of(fd()).unwrap_err().to_string();
        assert!(refused.contains("version 9"), "{refused}");
        store.memory.write(0, &[0; 8]);
        assert!(matches!(Store::of(fd()), Err(StoreError::Foreign)));
    }

    #[test]
    fn a_mark_outlives_its_daemon() {
        let store = Store::new().unwrap();
        store.mark(1, 77);
        assert_eq!(
            (successor(&store).marked(0), successor(&store).marked(1)),
            (0, 77)
        );
        store.mark(99, 1);
    }
}
