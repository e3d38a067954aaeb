//! Work that may block for ever, such as a call into a file system whose daemon hangs.

use std::{sync::mpsc::channel, thread, time::Duration};

/// Returns the result of `work`, or `None` if `work` takes longer than `timeout`. A thread that
/// is late goes on running until `work` returns.
pub fn with_timeout<T: Send + 'static>(
    timeout: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, answer) = channel();
    thread::spawn(move || sender.send(work()));
    answer.recv_timeout(timeout).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn work_that_never_ends_holds_nobody_up() {
        let begun = Instant::now();
        let timeout = Duration::from_millis(10);
        let never = with_timeout(timeout, || thread::sleep(Duration::from_secs(3600)));
        assert_eq!(never, None);
        assert!(begun.elapsed() < Duration::from_secs(60));
        assert_eq!(with_timeout(Duration::from_secs(60), || 7), Some(7));
    }
}
