//! Work that may have to wait for ever: for a file system whose daemon hangs, or a program that does.

use std::{sync::mpsc::channel, thread, time::Duration};

/// What `work` answers within that time; `None` if it has not by then. Its thread is left to it.
pub fn within<T: Send + 'static>(
    patience: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, answer) = channel();
    thread::spawn(move || sender.send(work()));
    answer.recv_timeout(patience).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn what_never_ends_is_not_waited_for() {
        let begun = Instant::now();
        let patience = Duration::from_millis(10);
        let never = within(patience, || thread::sleep(Duration::from_secs(3600)));
        assert_eq!(never, None);
        assert!(begun.elapsed() < Duration::from_secs(60));
        assert_eq!(within(Duration::from_secs(60), || 7), Some(7));
    }
}
