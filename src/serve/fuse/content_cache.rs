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
const MAX_CONTENT_BYTES: usize = 256 << 10;
/// Of so many that are not kept it is remembered what they said.
const MAX_FINGERPRINTS: usize = 16 << 10;
const SHARDS: usize = 16;

/// What a file said at a moment.
#[derive(Debug, Clone)]
pub(super) struct Content {
    /// What it said.
    pub(super) bytes: Arc<[u8]>,
    /// When it was asked.
    taken: Micros,
    /// When it began to say that: another time for another content.
    pub(super) changed: SystemTime,
    /// When its reader was last told that it may be old.
    recheck_claimed: Option<Micros>,
}

/// ContentCache by inode number.
#[derive(Debug, Default)]
pub(super) struct ContentCache([Mutex<Shard>; SHARDS]);

/// What is left of a content that is not kept: enough to know it again, so that the kernel need not
/// read what it has.
#[derive(Debug, Clone, Copy)]
struct Fingerprint {
    hash: u64,
    changed: SystemTime,
}

#[derive(Debug, Default)]
struct Shard {
    contents: HashMap<u64, Content>,
    fingerprints: HashMap<u64, Fingerprint>,
    /// Whose, the oldest first.
    fingerprint_order: VecDeque<u64>,
    hasher: RandomState,
    // In the order of the moments they were taken at; an inode may stand here more than once.
    order: VecDeque<(Micros, u64)>,
    bytes: usize,
}

impl ContentCache {
    /// What the file said less than `age` before `now`.
    pub(super) fn get_younger(&self, inode: u64, age: Micros, now: Micros) -> Option<Content> {
        let shard = self.shard(inode).lock();
        let content = shard.contents.get(&inode)?;
        (now.less(content.taken) < age).then(|| content.clone())
    }

    /// When the file began to say what it said last, however long ago; `None` if it is not known.
    pub(super) fn changed(&self, inode: u64) -> Option<SystemTime> {
        let shard = self.shard(inode).lock();
        let kept = shard.contents.get(&inode).map(|content| content.changed);
        kept.or_else(|| {
            shard
                .fingerprints
                .get(&inode)
                .map(|fingerprint| fingerprint.changed)
        })
    }

    /// Whether nobody has said less than `age` before `now` that the content may be old; then it is
    /// said now.
    pub(super) fn claim_recheck(&self, inode: u64, age: Micros, now: Micros) -> bool {
        let mut shard = self.shard(inode).lock();
        let Some(content) = shard.contents.get_mut(&inode) else {
            return true;
        };
        let is_first = content
            .recheck_claimed
            .is_none_or(|recheck_claimed| now.less(recheck_claimed) >= age);
        content.recheck_claimed = is_first.then_some(now);
        is_first
    }

    /// Keeps what the file says since `taken`. If it is what it said before, it has not changed.
    pub(super) fn put(&self, inode: u64, bytes: Arc<[u8]>, taken: Micros) -> Content {
        let mut shard = self.shard(inode).lock();
        let content = match shard.contents.get(&inode) {
            // Two readers asked at once, and the later one was answered first.
            Some(known) if known.taken > taken => return known.clone(),
            Some(known) if known.bytes == bytes => Content {
                taken,
                recheck_claimed: None,
                ..known.clone()
            },
            known => Content {
                changed: match (known, shard.fingerprints.get(&inode)) {
                    (None, Some(fingerprint))
                        if fingerprint.hash == shard.hasher.hash_one(&*bytes) =>
                    {
                        fingerprint.changed
                    }
                    (known, fingerprint) => {
                        let known = known.map(|known| known.changed);
                        later(known.or(fingerprint.map(|fingerprint| fingerprint.changed)))
                    }
                },
                bytes,
                taken,
                recheck_claimed: None,
            },
        };
        shard.put(inode, content.clone());
        content
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
    fn put(&mut self, inode: u64, content: Content) {
        self.bytes += content.bytes.len();
        self.order.push_back((content.taken, inode));
        if let Some(old) = self.contents.insert(inode, content) {
            self.bytes -= old.bytes.len();
        }
        while self.bytes > MAX_CONTENT_BYTES / SHARDS
            || self.order.len() > self.contents.len() * 2 + SHARDS
        {
            let Some((taken, inode)) = self.order.pop_front() else {
                return;
            };
            let is_last = |content: &Content| content.taken == taken;
            if self.order.is_empty() || !self.contents.get(&inode).is_some_and(is_last) {
                continue;
            }
            if let Some(old) = self.contents.remove(&inode) {
                self.bytes -= old.bytes.len();
                self.fingerprint(inode, &old);
            }
        }
    }

    fn fingerprint(&mut self, inode: u64, content: &Content) {
        let fingerprint = Fingerprint {
            hash: self.hasher.hash_one(&*content.bytes),
            changed: content.changed,
        };
        if self.fingerprints.insert(inode, fingerprint).is_none() {
            self.fingerprint_order.push_back(inode);
        }
        if self.fingerprints.len() > MAX_FINGERPRINTS / SHARDS
            && let Some(oldest) = self.fingerprint_order.pop_front()
        {
            self.fingerprints.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(content: &str) -> Arc<[u8]> {
        Arc::from(content.as_bytes())
    }

    #[test]
    fn a_text_is_shared_as_long_as_it_is_young_enough() {
        let contents = ContentCache::default();
        contents.put(1, bytes("a"), Micros(100));
        assert!(contents.get_younger(1, Micros(10), Micros(109)).is_some());
        assert!(contents.get_younger(1, Micros(10), Micros(110)).is_none());
        assert!(contents.get_younger(2, Micros(10), Micros(100)).is_none());
    }

    #[test]
    fn what_says_the_same_again_has_not_changed_and_what_says_another_has() {
        let contents = ContentCache::default();
        let first = contents.put(1, bytes("a"), Micros(100));
        let same = contents.put(1, bytes("a"), Micros(200));
        let other = contents.put(1, bytes("b"), Micros(300));
        assert_eq!(first.changed, same.changed);
        assert!(other.changed > same.changed);
    }

    #[test]
    fn every_second_doubt_that_follows_at_once_is_none() {
        let contents = ContentCache::default();
        contents.put(1, bytes("a"), Micros(100));
        let mut doubt = |now| contents.claim_recheck(1, Micros(10), Micros(now));
        assert_eq!(
            [200, 201, 202, 300].map(&mut doubt),
            [true, false, true, true]
        );
        contents.put(1, bytes("a"), Micros(301));
        assert!(contents.claim_recheck(1, Micros(10), Micros(302)));
    }

    #[test]
    fn an_answer_that_was_overtaken_does_not_bring_back_the_past() {
        let contents = ContentCache::default();
        contents.put(1, bytes("new"), Micros(200));
        let told = contents.put(1, bytes("old"), Micros(100));
        assert_eq!(&*told.bytes, b"new");
    }

    #[test]
    fn a_text_that_is_not_kept_any_more_is_still_known_again() {
        let contents = ContentCache::default();
        let first = contents.put(1, bytes("a"), Micros(100)).changed;
        let crowd = |from| {
            (from..from + 1000).for_each(|inode| {
                contents.put(inode, bytes(&"x".repeat(1000)), Micros(inode));
            });
            assert!(
                contents
                    .get_younger(1, Micros(u64::MAX), Micros(200))
                    .is_none()
            );
        };
        crowd(1000);
        assert_eq!(contents.put(1, bytes("a"), Micros(10_000)).changed, first);
        crowd(20_000);
        assert!(contents.put(1, bytes("b"), Micros(40_000)).changed > first);
    }

    #[test]
    fn however_many_files_there_are_what_is_kept_has_a_bound() {
        let contents = ContentCache::default();
        for inode in 0..100_000 {
            contents.put(inode, bytes(&"x".repeat(1000)), Micros(inode));
        }
        let shards = contents.0.iter();
        let kept: usize = shards.map(|shard| shard.lock().bytes).sum();
        assert!(kept <= MAX_CONTENT_BYTES && kept > 0);
        let entries = contents.0.iter().map(|shard| shard.lock().order.len());
        assert!(entries.sum::<usize>() < 1000);
        let fingerprints = contents
            .0
            .iter()
            .map(|shard| shard.lock().fingerprints.len());
        assert!(fingerprints.sum::<usize>() <= MAX_FINGERPRINTS);
    }
}
