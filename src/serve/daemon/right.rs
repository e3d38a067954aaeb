//! The right to serve, as the daemons of a hand-over claim it. The sequence of messages is drawn in
//! [`handover`](crate::serve::handover).

use super::{predecessor::Predecessor, supervisor::Supervisor};
use crate::{
    base::state::{ServingRight, Term, TermWord},
    serve::handover::{Descriptors, Name},
};
use anyhow::{Context, Result, bail};
use std::hash::{BuildHasher, Hasher, RandomState};

/// Returns a lineage for a daemon that continues none: a random number.
pub(super) fn new_lineage() -> u32 {
    let random = RandomState::new().build_hasher().finish();
    u32::try_from(random >> 32).unwrap_or_default()
}

/// Opens the term word of the state in a set of descriptors.
///
/// # Errors
/// When the set has no state, or the state of another version.
pub(super) fn term_word(descriptors: &Descriptors) -> Result<TermWord> {
    let state = descriptors.duplicate(&Name::State)?;
    let state = state.context("the state of the predecessor is missing")?;
    Ok(TermWord::of(state)?)
}

/// Claims the right to serve for the lineage in the manifest of `descriptors`, then dismisses the
/// predecessor that is recorded there, if there is one, and gives the keeper the remaining
/// descriptors. Returns the term in which this daemon serves. `dead` is the term of a predecessor
/// that died before it was drained.
///
/// Two daemons never serve at once: this daemon takes no request before this function returns.
///
/// # Errors
/// When another daemon serves on.
pub(super) fn claim(
    descriptors: &mut Descriptors,
    supervisor: &Supervisor,
    dead: Option<Term>,
) -> Result<Term> {
    let predecessor = Predecessor::take_from(descriptors);
    let own = descriptors.manifest().ok().and_then(|one| one.term());
    let lineage = own.map_or_else(new_lineage, |term| term.lineage);
    let first = ServingRight::first_of(lineage);
    let right = match term_word(descriptors) {
        // Without a state no connection is resumed: this daemon begins anew.
        Err(_) => Ok(first),
        Ok(word) => claim_in(&word, first, predecessor.as_ref(), dead),
    };
    // The keeper of this daemon must start no other one where the predecessor serves on.
    let right = right.inspect_err(|_| supervisor.leaving(&Descriptors::default()))?;
    if predecessor.is_some()
        && let Err(error) = supervisor.hold(descriptors)
    {
        // A new keeper gets the descriptors, too: see `Supervisor::attend`.
        tracing::warn!(error = format!("{error:#}"), "serving without a keeper");
    }
    Ok(right.term)
}

/// Claims the right in the word for the lineage of `first`, and dismisses the predecessor.
fn claim_in(
    word: &TermWord,
    first: ServingRight,
    predecessor: Option<&Predecessor>,
    dead: Option<Term>,
) -> Result<ServingRight> {
    if word.right().is_none() {
        // A predecessor of a version without terms decides by messages.
        predecessor.map_or(Ok(()), Predecessor::dismiss)?;
        return word
            .change(|_| Some(first))
            .context("cannot write the term");
    }
    let claimed = word.change(|right| right?.claimed_by(first.term.lineage, dead));
    let Some(claimed) = claimed else {
        bail!("another daemon serves on");
    };
    predecessor.inspect(|predecessor| predecessor.inform());
    Ok(claimed)
}
