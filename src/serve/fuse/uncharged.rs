//! The CPU time of a thread that no container was charged for yet.
//!
//! A thread takes a request from the kernel, wakes another thread or waits, answers, and takes the next one. All
//! of that is work for the request: a request is charged with all that the thread used since the request before.

use crate::base::{sys, units::Micros};
use std::cell::Cell;

thread_local! {
    static TAKEN: Cell<Micros> = const { Cell::new(Micros::ZERO) };
}

/// Returns the CPU time that this thread has used since the last call, or since its start.
pub(super) fn take() -> Micros {
    let now = sys::thread_time();
    now.less(TAKEN.replace(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_thread_is_taken_once() {
        let begun = sys::thread_time();
        take();
        while sys::thread_time().less(begun) < Micros(20_000) {}
        let taken = take();
        assert!((19_990..200_000).contains(&taken.0), "{taken:?}");
        assert!(take() < Micros(10_000));
    }
}
