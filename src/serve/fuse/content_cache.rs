//! What was said lately, by inode number: readers of one container share it, on both connections.

use crate::base::units::Micros;
use parking_lot::Mutex;
use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::SystemTime,
};

/// So many bytes are kept; the oldest go first.
const MOST: usize = 256 << 10;
/// Of so many that are not kept it is remembered what they said.
const REMEMBERED: usize = 16 << 10;
const SHARDS: usize = 16;

/// What a file said at a moment.
#[derive(Debug, Clone)]
pub(super) struct Text {
    /// What it said.
    pub(super) bytes: Arc<[u8]>,
    /// When it was asked.
    taken: Micros,
    /// When it began to say that: another time for another content.
    pub(super) changed: SystemTime,
    /// When its reader was last told that it may be old.
    doubted: Option<Micros>,
}

/// Texts by inode number.
#[derive(Debug, Default)]
pub(super) struct Texts([Mutex<Shard>; SHARDS]);

/// What is left of a text that is not kept: enough to know it again, so that the kernel need not
/// read what it has.
#[derive(Debug, Clone, Copy)]
struct Trace {
    hash: u64,
    changed: SystemTime,
}

#[derive(Debug, Default)]
struct Shard {
    texts: HashMap<u64, Text>,
    traces: HashMap<u64, Trace>,
    /// Whose, the oldest first.
    traced: VecDeque<u64>,
    hasher: RandomState,
    // In the order of the moments they were taken at; an inode may stand here more than once.
    order: VecDeque<(Micros, u64)>,
    bytes: usize,
}

impl Texts {
    /// What the file said less than `age` before `now`.
    pub(super) fn within(&self, inode: u64, age: Micros, now: Micros) -> Option<Text> {
        let shard = self.shard(inode).lock();
        let text = shard.texts.get(&inode)?;
        (now.less(text.taken) < age).then(|| text.clone())
    }

    /// When the file began to say what it said last, however long ago; `None` if it is not known.
    pub(super) fn changed(&self, inode: u64) -> Option<SystemTime> {
        let shard = self.shard(inode).lock();
        let kept = shard.texts.get(&inode).map(|text| text.changed);
        kept.or_else(|| shard.traces.get(&inode).map(|trace| trace.changed))
    }

    /// Whether nobody has said less than `age` before `now` that the text may be old; then it is
    /// said now.
    pub(super) fn doubt(&self, inode: u64, age: Micros, now: Micros) -> bool {
        let mut shard = self.shard(inode).lock();
        let Some(text) = shard.texts.get_mut(&inode) else {
            return true;
        };
        let is_first = text.doubted.is_none_or(|doubted| now.less(doubted) >= age);
        text.doubted = is_first.then_some(now);
        is_first
    }

    /// Keeps what the file says since `taken`. If it is what it said before, it has not changed.
    pub(super) fn put(&self, inode: u64, bytes: Arc<[u8]>, taken: Micros) -> Text {
        let mut shard = self.shard(inode).lock();
        let text = match shard.texts.get(&inode) {
            // Two readers asked at once, and the later one was answered first.
            Some(known) if known.taken > taken => return known.clone(),
            Some(known) if known.bytes == bytes => Text {
                taken,
                doubted: None,
                ..known.clone()
            },
            known => Text {
                changed: match (known, shard.traces.get(&inode)) {
                    (None, Some(trace)) if trace.hash == shard.hasher.hash_one(&*bytes) => {
                        trace.changed
                    }
                    (known, trace) => {
                        let known = known.map(|known| known.changed);
                        later(known.or(trace.map(|trace| trace.changed)))
                    }
                },
                bytes,
                taken,
                doubted: None,
            },
        };
        shard.put(inode, text.clone());
        text
    }

    fn shard(&self, inode: u64) -> &Mutex<Shard> {
        // Keys stand in the upper bits, rows of files in the lower ones.
        let mixed = inode ^ (inode >> 24);
        let at = usize::try_from(mixed).unwrap_or(0) % SHARDS;
        self.0.get(at).unwrap_or(&self.0[0])
    }
}

// The clock may have been set back.
fn later(before: Option<SystemTime>) -> SystemTime {
    let now = SystemTime::now();
    match before {
        Some(before) if before >= now => before + std::time::Duration::from_nanos(1),
        _ => now,
    }
}

impl Shard {
    fn put(&mut self, inode: u64, text: Text) {
        self.bytes += text.bytes.len();
        self.order.push_back((text.taken, inode));
        if let Some(old) = self.texts.insert(inode, text) {
            self.bytes -= old.bytes.len();
        }
        while self.bytes > MOST / SHARDS || self.order.len() > self.texts.len() * 2 + SHARDS {
            let Some((taken, inode)) = self.order.pop_front() else {
                return;
            };
            let is_last = |text: &Text| text.taken == taken;
            if self.order.is_empty() || !self.texts.get(&inode).is_some_and(is_last) {
                continue;
            }
            if let Some(old) = self.texts.remove(&inode) {
                self.bytes -= old.bytes.len();
                self.trace(inode, &old);
            }
        }
    }

    fn trace(&mut self, inode: u64, text: &Text) {
        let trace = Trace {
            hash: self.hasher.hash_one(&*text.bytes),
            changed: text.changed,
        };
        if self.traces.insert(inode, trace).is_none() {
            self.traced.push_back(inode);
        }
        if self.traces.len() > REMEMBERED / SHARDS
            && let Some(oldest) = self.traced.pop_front()
        {
            self.traces.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Arc<[u8]> {
        Arc::from(text.as_bytes())
    }

    #[test]
    fn a_text_is_shared_as_long_as_it_is_young_enough() {
        let texts = Texts::default();
        texts.put(1, bytes("a"), Micros(100));
        assert!(texts.within(1, Micros(10), Micros(109)).is_some());
        assert!(texts.within(1, Micros(10), Micros(110)).is_none());
        assert!(texts.within(2, Micros(10), Micros(100)).is_none());
    }

    #[test]
    fn what_says_the_same_again_has_not_changed_and_what_says_another_has() {
        let texts = Texts::default();
        let first = texts.put(1, bytes("a"), Micros(100));
        let same = texts.put(1, bytes("a"), Micros(200));
        let other = texts.put(1, bytes("b"), Micros(300));
        assert_eq!(first.changed, same.changed);
        assert!(other.changed > same.changed);
    }

    #[test]
    fn every_second_doubt_that_follows_at_once_is_none() {
        let texts = Texts::default();
        texts.put(1, bytes("a"), Micros(100));
        let mut doubt = |now| texts.doubt(1, Micros(10), Micros(now));
        assert_eq!(
            [200, 201, 202, 300].map(&mut doubt),
            [true, false, true, true]
        );
        texts.put(1, bytes("a"), Micros(301));
        assert!(texts.doubt(1, Micros(10), Micros(302)));
    }

    #[test]
    fn an_answer_that_was_overtaken_does_not_bring_back_the_past() {
        let texts = Texts::default();
        texts.put(1, bytes("new"), Micros(200));
        let told = texts.put(1, bytes("old"), Micros(100));
        assert_eq!(&*told.bytes, b"new");
    }

    #[test]
    fn a_text_that_is_not_kept_any_more_is_still_known_again() {
        let texts = Texts::default();
        let first = texts.put(1, bytes("a"), Micros(100)).changed;
        let crowd = |from| {
            (from..from + 1000).for_each(|inode| {
                texts.put(inode, bytes(&"x".repeat(1000)), Micros(inode));
            });
            assert!(texts.within(1, Micros(u64::MAX), Micros(200)).is_none());
        };
        crowd(1000);
        assert_eq!(texts.put(1, bytes("a"), Micros(10_000)).changed, first);
        crowd(20_000);
        assert!(texts.put(1, bytes("b"), Micros(40_000)).changed > first);
    }

    #[test]
    fn however_many_files_there_are_what_is_kept_has_a_bound() {
        let texts = Texts::default();
        for inode in 0..100_000 {
            texts.put(inode, bytes(&"x".repeat(1000)), Micros(inode));
        }
        let shards = texts.0.iter();
        let kept: usize = shards.map(|shard| shard.lock().bytes).sum();
        assert!(kept <= MOST && kept > 0);
        let entries = texts.0.iter().map(|shard| shard.lock().order.len());
        assert!(entries.sum::<usize>() < 1000);
        let traces = texts.0.iter().map(|shard| shard.lock().traces.len());
        assert!(traces.sum::<usize>() <= REMEMBERED);
    }
}
