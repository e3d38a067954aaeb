//! The latest content of each file, by inode number. Readers of one container share it on both
//! connections.

use crate::base::units::Micros;
use parking_lot::Mutex;
use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::SystemTime,
};

/// Maximum of the cached bytes, all shards together; the oldest content goes first.
const MAX_CONTENT_BYTES: usize = 256 << 10;
/// Maximum number of fingerprints, all shards together; the oldest goes first.
const MAX_FINGERPRINTS: usize = 16 << 10;
const SHARDS: usize = 16;

/// The content of a file at one moment.
#[derive(Debug, Clone)]
pub(super) struct Content {
    /// The bytes of the file.
    pub(super) bytes: Arc<[u8]>,
    /// Moment at which the content was made, on the clock of [`Answers::now`].
    ///
    /// [`Answers::now`]: crate::view::answer::Answers::now
    taken: Micros,
    /// Time since which the file has these bytes, for mtime. Two contents that follow each other
    /// have two times.
    pub(super) changed: SystemTime,
    /// Moment of the last recheck claim that was granted and not answered by new content.
    recheck_claimed: Option<Micros>,
}

/// The contents by inode number.
#[derive(Debug, Default)]
pub(super) struct ContentCache([Mutex<Shard>; SHARDS]);

/// Hash and time of a content that left the cache. If the file still has these bytes, mtime stays
/// and the kernel keeps its pages.
#[derive(Debug, Clone, Copy)]
struct Fingerprint {
    hash: u64,
    changed: SystemTime,
}

#[derive(Debug, Default)]
struct Shard {
    contents: HashMap<u64, Content>,
    fingerprints: HashMap<u64, Fingerprint>,
    /// Inode numbers of the fingerprints, the oldest first.
    fingerprint_order: VecDeque<u64>,
    hasher: RandomState,
    /// Moments and inode numbers of the contents, the oldest first. An inode number may occur again
    /// for a later content.
    content_order: VecDeque<(Micros, u64)>,
    /// Sum of the cached bytes.
    bytes: usize,
}

impl ContentCache {
    /// Returns the content if it was made less than `max_age` before `now`.
    pub(super) fn get_younger(&self, inode: u64, max_age: Micros, now: Micros) -> Option<Content> {
        let shard = self.shard(inode).lock();
        let content = shard.contents.get(&inode)?;
        (now.less(content.taken) < max_age).then(|| content.clone())
    }

    /// Claims the right to force one re-check of the content. Grants at most one claim per `age`; a
    /// refusal and new content free the claim again.
    ///
    /// Always grants the claim if no content is cached.
    pub(super) fn claim_recheck(&self, inode: u64, age: Micros, now: Micros) -> bool {
        let mut shard = self.shard(inode).lock();
        let Some(content) = shard.contents.get_mut(&inode) else {
            return true;
        };
        let is_granted = content
            .recheck_claimed
            .is_none_or(|claimed| now.less(claimed) >= age);
        content.recheck_claimed = is_granted.then_some(now);
        is_granted
    }

    /// Caches the bytes that the file had at the moment `taken`, and returns the latest content.
    ///
    /// The time of change stays if the bytes are those of the content before.
    pub(super) fn put(&self, inode: u64, bytes: Arc<[u8]>, taken: Micros) -> Content {
        let mut shard = self.shard(inode).lock();
        let content = match shard.contents.get(&inode) {
            // Two readers made contents at once, and the later content came first.
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
        // The upper bits of an inode number are the key, the lower ones the row of the file.
        let mixed = inode ^ (inode >> 24);
        let at = usize::try_from(mixed).unwrap_or(0) % SHARDS;
        self.0.get(at).unwrap_or(&self.0[0])
    }
}

/// Returns the present time, or the time right after `before` if the clock was set back.
fn later(before: Option<SystemTime>) -> SystemTime {
    let now = SystemTime::now();
    match before {
        Some(before) if before >= now => before + std::time::Duration::from_nanos(1),
        _ => now,
    }
}

impl Shard {
    /// Inserts a content, and removes the oldest ones beyond the maximum.
    fn put(&mut self, inode: u64, content: Content) {
        self.bytes += content.bytes.len();
        self.content_order.push_back((content.taken, inode));
        if let Some(old) = self.contents.insert(inode, content) {
            self.bytes -= old.bytes.len();
        }
        while self.bytes > MAX_CONTENT_BYTES / SHARDS
            || self.content_order.len() > self.contents.len() * 2 + SHARDS
        {
            let Some((taken, inode)) = self.content_order.pop_front() else {
                return;
            };
            let is_latest = |content: &Content| content.taken == taken;
            if self.content_order.is_empty() || !self.contents.get(&inode).is_some_and(is_latest) {
                continue;
            }
            if let Some(old) = self.contents.remove(&inode) {
                self.bytes -= old.bytes.len();
                self.add_fingerprint(inode, &old);
            }
        }
    }

    /// Keeps the fingerprint of a content that leaves the cache.
    fn add_fingerprint(&mut self, inode: u64, content: &Content) {
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
    fn a_content_is_shared_as_long_as_it_is_young_enough() {
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
    fn every_second_claim_that_follows_at_once_is_refused() {
        let contents = ContentCache::default();
        contents.put(1, bytes("a"), Micros(100));
        let mut claim = |now| contents.claim_recheck(1, Micros(10), Micros(now));
        assert_eq!(
            [200, 201, 202, 300].map(&mut claim),
            [true, false, true, true]
        );
        contents.put(1, bytes("a"), Micros(301));
        assert!(contents.claim_recheck(1, Micros(10), Micros(302)));
    }

    #[test]
    fn an_answer_that_was_overtaken_does_not_bring_back_the_past() {
        let contents = ContentCache::default();
        contents.put(1, bytes("new"), Micros(200));
        let latest = contents.put(1, bytes("old"), Micros(100));
        assert_eq!(&*latest.bytes, b"new");
    }

    #[test]
    fn a_content_that_is_not_kept_any_more_is_still_known_again() {
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
        let entries = contents
            .0
            .iter()
            .map(|shard| shard.lock().content_order.len());
        assert!(entries.sum::<usize>() < 1000);
        let fingerprints = contents
            .0
            .iter()
            .map(|shard| shard.lock().fingerprints.len());
        assert!(fingerprints.sum::<usize>() <= MAX_FINGERPRINTS);
    }
}
