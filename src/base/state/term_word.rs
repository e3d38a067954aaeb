//! The term of a store, apart from its entries: a process may change the term of a store to which
//! another daemon still writes.

use super::{ServingRight, StoreError, TERM, WORD, opened, slot};
use crate::base::sys::Shared;
use std::os::fd::OwnedFd;

/// The word of a store that tells which daemon may serve.
#[derive(Debug)]
pub struct TermWord(Shared);

impl TermWord {
    /// Opens the word of the store with this descriptor.
    ///
    /// # Errors
    /// When the store has another version, or the memory is no store.
    pub fn of(fd: OwnedFd) -> Result<TermWord, StoreError> {
        opened(fd).map(TermWord)
    }

    /// Returns the right to serve. `None` when no daemon with terms has served.
    #[must_use]
    pub fn right(&self) -> Option<ServingRight> {
        let word = self.0.read(TERM, WORD);
        let [word] = word.and_then(|word| slot::words(&word))?;
        ServingRight::of_word(word)
    }

    /// Removes the right: the daemon that serves is of a version without terms.
    pub fn clear(&self) {
        while let Some(right) = self.right() {
            let _ = self.0.exchange(TERM, right.word(), 0);
        }
    }

    /// Replaces the right by what `next` makes of it, and returns the new one. No change of another
    /// process lies between the value that `next` gets and the new one. `None`, without a change, when
    /// `next` returns `None`.
    pub fn change(
        &self,
        next: impl Fn(Option<ServingRight>) -> Option<ServingRight>,
    ) -> Option<ServingRight> {
        loop {
            let before = self.right();
            let new = next(before)?;
            let word = before.map_or(0, ServingRight::word);
            if self.0.exchange(TERM, word, new.word())? == word {
                return Some(new);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::state::Store;
    use std::{os::fd::AsFd, thread};

    fn word(store: &Store) -> TermWord {
        TermWord::of(store.as_fd().try_clone_to_owned().unwrap()).unwrap()
    }

    #[test]
    fn of_many_claimants_of_an_offered_term_one_gets_it() {
        let store = Store::new().unwrap();
        let offer = ServingRight::first_of(1).offered_by(1);
        word(&store).change(|_| offer).unwrap();
        let claims = (2..10).map(|lineage| {
            let word = word(&store);
            thread::spawn(move || word.change(|right| right?.claimed_by(lineage, None)))
        });
        let claims: Vec<_> = claims.collect();
        let claims = claims.into_iter().filter_map(|claim| claim.join().unwrap());
        assert_eq!(claims.count(), 1);
    }

    #[test]
    fn a_right_that_was_cleared_is_none() {
        let store = Store::new().unwrap();
        word(&store).change(|_| Some(ServingRight::first_of(1)));
        word(&store).clear();
        assert_eq!(word(&store).right(), None);
    }

    #[test]
    fn the_state_of_a_version_without_terms_has_no_right() {
        let store = Store::new().unwrap();
        assert_eq!(word(&store).right(), None);
        assert_eq!(word(&store).change(|right| right?.kept_by(1)), None);
    }
}
