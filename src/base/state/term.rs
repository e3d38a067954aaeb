//! Pure. The term: the right to serve on a mount point, as one word of the state that every process
//! of a hand-over shares.
//!
//! A message can be late or get lost, so messages alone cannot decide which of two daemons serves. The
//! word changes by one atomic instruction, and so gives the right to one of them
//! (`integration/serve/handover` proves this).

use serde::{Deserialize, Serialize};

/// The highest number of a term, after which the numbers begin anew: 31 bits.
const MAX_NUMBER: u32 = (1 << 31) - 1;

/// The period in which one daemon serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Term {
    /// The number that a daemon and all daemons which its keeper starts later have in common. A daemon
    /// that replaces another one begins a new lineage.
    pub lineage: u32,
    /// The number of the term, one more than that of the term before.
    pub number: u32,
}

/// The term of the present, and whether its daemon offers the right to a successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ServingRight {
    /// The term of the daemon that serves, or that served last.
    pub term: Term,
    /// True while that daemon takes no requests and waits for its successor.
    pub is_offered: bool,
}

impl ServingRight {
    /// Returns the word; never 0 for a number from 1 on.
    #[must_use]
    pub fn word(self) -> u64 {
        let number = u64::from(self.term.number & MAX_NUMBER);
        u64::from(self.term.lineage) << 32 | number << 1 | u64::from(self.is_offered)
    }

    /// Reads a word. `None` for 0: the daemon that made the state is of a version without terms.
    #[must_use]
    pub fn of_word(word: u64) -> Option<ServingRight> {
        let low = u32::try_from(word & u64::from(u32::MAX)).ok()?;
        let term = Term {
            lineage: u32::try_from(word >> 32).ok()?,
            number: low >> 1,
        };
        (word != 0).then_some(ServingRight {
            term,
            is_offered: low & 1 == 1,
        })
    }

    /// Returns the right of the first daemon of a lineage.
    #[must_use]
    pub fn first_of(lineage: u32) -> ServingRight {
        let term = Term { lineage, number: 1 };
        ServingRight {
            term,
            is_offered: false,
        }
    }

    /// Returns the right after a daemon of `lineage` has claimed it. `None` when that daemon must not
    /// serve: the term belongs to another lineage, whose daemon does not offer it.
    ///
    /// `dead` is the term of a daemon which handed its descriptors to the claimant and died before it
    /// offered its term; the term can be claimed as long as no daemon has begun another one.
    #[must_use]
    pub fn claimed_by(self, lineage: u32, dead: Option<Term>) -> Option<ServingRight> {
        let is_free = self.is_offered || dead == Some(self.term);
        let may_claim = is_free || self.term.lineage == lineage;
        let number = if self.term.number == MAX_NUMBER {
            1
        } else {
            self.term.number + 1
        };
        may_claim.then_some(ServingRight {
            term: Term { lineage, number },
            is_offered: false,
        })
    }

    /// Returns the right after the daemon of `lineage` has offered it to a successor. `None` when that
    /// daemon does not have the right any more.
    #[must_use]
    pub fn offered_by(self, lineage: u32) -> Option<ServingRight> {
        self.with_offer(lineage, true)
    }

    /// Returns the right after the daemon of `lineage` has withdrawn its offer. `None` when a
    /// successor has claimed the right.
    #[must_use]
    pub fn kept_by(self, lineage: u32) -> Option<ServingRight> {
        self.with_offer(lineage, false)
    }

    fn with_offer(self, lineage: u32, is_offered: bool) -> Option<ServingRight> {
        (self.term.lineage == lineage).then_some(ServingRight { is_offered, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    const OWN: u32 = 7;
    const OTHER: u32 = 8;

    #[test]
    fn an_offered_term_goes_to_the_first_that_claims() {
        let offered = ServingRight::first_of(OTHER).offered_by(OTHER).unwrap();
        let claimed = offered.claimed_by(OWN, None).unwrap();
        assert_eq!((claimed.term.lineage, claimed.term.number), (OWN, 2));
        assert_eq!(claimed.kept_by(OTHER), None);
        assert_eq!(claimed.claimed_by(OTHER, None), None);
    }

    #[test]
    fn a_term_that_is_not_offered_stays_in_its_lineage() {
        let right = ServingRight::first_of(OTHER);
        assert_eq!(right.claimed_by(OWN, None), None);
        assert!(right.claimed_by(OTHER, None).is_some());
        let kept = right.offered_by(OTHER).unwrap().kept_by(OTHER).unwrap();
        assert_eq!(kept, right);
    }

    #[test]
    fn the_term_of_a_dead_daemon_can_be_claimed_until_another_one_begins() {
        let right = ServingRight::first_of(OTHER);
        assert!(right.claimed_by(OWN, Some(right.term)).is_some());
        let next = right.claimed_by(OTHER, None).unwrap();
        assert_eq!(next.claimed_by(OWN, Some(right.term)), None);
    }

    proptest! {
        #[test]
        fn a_right_is_read_as_it_was_written(lineage in any::<u32>(), number in 1..=MAX_NUMBER, is_offered in any::<bool>()) {
            let right = ServingRight { term: Term { lineage, number }, is_offered };
            prop_assert_eq!(ServingRight::of_word(right.word()), Some(right));
        }
    }

    #[test]
    fn a_state_without_terms_has_no_right() {
        assert_eq!(ServingRight::of_word(0), None);
    }
}
