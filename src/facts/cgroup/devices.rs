//! Pure. The requests of a cgroup to block devices.
//!
//! Some kernels run the lines of several devices together: a device without counts has no newline, so
//! that the next device follows on the same line. The counts belong to the last device before them.

use super::{DeviceUse, Transfers};
use crate::base::units::{Bytes, count};
use std::collections::HashMap;

/// Parses `io.stat` of v2: a line has a device, then nested keys (`rbytes=1 wbytes=2 rios=3 ...`). A
/// word that is neither is left out, and a device without counts.
#[must_use]
pub fn io_stat(text: &str) -> Vec<DeviceUse> {
    let mut devices = Devices::default();
    for line in text.lines() {
        let mut number = None;
        for word in line.split_ascii_whitespace() {
            if let Some((key, value)) = word.split_once('=') {
                match number.zip(count(value)) {
                    Some((number, value)) => devices.count(number, key, value),
                    // The next device may follow without a space.
                    None if value.contains(':') => number = None,
                    None => {}
                }
            } else if let Some(found) = device_number(word) {
                number = Some(found);
            } else if word.starts_with('(') {
                // `(unknown)` stands for a device that is gone, and the counts are its own.
                number = None;
            }
        }
    }
    devices.list
}

/// Parses `blkio.throttle.io_service_bytes_recursive` and `blkio.throttle.io_serviced_recursive` of
/// v1: a line has a device, a kind of request and a number.
#[must_use]
pub fn blkio(bytes: &str, serviced: &str) -> Vec<DeviceUse> {
    let mut devices = Devices::default();
    for (text, is_bytes) in [(bytes, true), (serviced, false)] {
        for line in text.lines() {
            let mut number = None;
            let mut words = line.split_ascii_whitespace();
            while let Some(word) = words.next() {
                let key = match (word, is_bytes) {
                    ("Read", true) => "rbytes",
                    ("Write", true) => "wbytes",
                    ("Discard", true) => "dbytes",
                    ("Read", false) => "rios",
                    ("Write", false) => "wios",
                    ("Discard", false) => "dios",
                    _ => {
                        number = device_number(word)
                            .or(number)
                            .filter(|_| !word.starts_with('('));
                        continue;
                    }
                };
                let value = words.next().and_then(count);
                if let Some((number, value)) = number.zip(value) {
                    devices.count(number, key, value);
                }
            }
        }
    }
    devices.list
}

/// Devices in the order in which they were found.
#[derive(Debug, Default)]
struct Devices {
    list: Vec<DeviceUse>,
    places: HashMap<(u32, u32), usize>,
}

impl Devices {
    /// Sets the count that `io.stat` calls `key`, if it is a known one.
    fn count(&mut self, number: (u32, u32), key: &str, value: u64) {
        let kind: fn(&mut DeviceUse) -> &mut Transfers = match key.as_bytes().first() {
            Some(b'r') => |device| &mut device.read,
            Some(b'w') => |device| &mut device.written,
            Some(b'd') => |device| &mut device.discarded,
            _ => return,
        };
        let is_bytes = match key.get(1..) {
            Some("bytes") => true,
            Some("ios") => false,
            _ => return,
        };
        let next = self.list.len();
        let at = *self.places.entry(number).or_insert(next);
        if at == next {
            self.list.push(DeviceUse {
                number,
                ..DeviceUse::default()
            });
        }
        let Some(transfers) = self.list.get_mut(at).map(kind) else {
            return;
        };
        match is_bytes {
            true => transfers.bytes = Bytes(value),
            false => transfers.requests = value,
        }
    }
}

fn device_number(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    #[test]
    fn both_versions_tell_the_same_of_a_device() {
        let device = DeviceUse {
            number: (259, 0),
            read: Transfers {
                requests: 3,
                bytes: Bytes(4096),
            },
            written: Transfers {
                requests: 1,
                bytes: Bytes(512),
            },
            ..DeviceUse::default()
        };
        let v2 = "259:0 rbytes=4096 wbytes=512 rios=3 wios=1 dbytes=0 dios=0 new=7\n";
        assert_eq!(io_stat(v2), [device]);
        let bytes = "259:0 Read 4096\n259:0 Write 512\n259:0 Total 4608\nTotal 4608\n";
        let serviced = "259:0 Read 3\n259:0 Write 1\nTotal 4\n";
        assert_eq!(blkio(bytes, serviced), [device]);
    }

    /// Returns the number, the reads and the writes of each device.
    fn requests(devices: &[DeviceUse]) -> Vec<((u32, u32), u64, u64)> {
        let device = |one: &DeviceUse| (one.number, one.read.requests, one.written.requests);
        devices.iter().map(device).collect()
    }

    #[test]
    fn devices_that_the_kernel_runs_together_lose_no_counts() {
        let text = "7:7 7:6 7:5 259:0 rbytes=1 wbytes=2 rios=583 wios=4215 dbytes=0 dios=0\n\
            8:0\n8:16 rios=x wios=3 cost.vrate=100.00 depth=max odd\n\
            (unknown) rios=9\n8:32 (unknown) rios=9 wios=9 8:48 rios=48:64 rios=9\n8:80 wios=1";
        let expected = [((259, 0), 583, 4215), ((8, 16), 0, 3), ((8, 80), 0, 1)];
        assert_eq!(requests(&io_stat(text)), expected);
    }

    #[test]
    fn an_odd_word_of_v1_costs_no_line() {
        let serviced = "7:7 7:6 8:0 Read 5\n8:0 Write x\n8:0 odd Write 6\n(unknown) Read 9\n\
            8:0 (unknown) Read 9\n8:16\nTotal 20\nRead 7\n8:0 Sync 3 Async 4";
        assert_eq!(requests(&blkio("", serviced)), [((8, 0), 5, 6)]);
    }

    proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(text in any::<String>()) {
            let _ = (io_stat(&text), blkio(&text, &text));
        }

        #[test]
        fn a_line_without_counts_changes_nothing(line in "[a-zA-Z0-9 :()._-]{0,40}", at in 0usize..3) {
            let lines = ["8:0 rbytes=5 wios=2", "259:0 rios=7", "8:16 dios=1"];
            let mut odd = lines.to_vec();
            odd.insert(at, &line);
            prop_assert_eq!(io_stat(&odd.join("\n")), io_stat(&lines.join("\n")));
        }
    }
}
