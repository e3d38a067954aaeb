//! Pure. Processes, threads and containers by number.

use std::{fmt, num::ParseIntError, str::FromStr};

use serde::{Deserialize, Serialize};

/// Declares a number that may not be mixed up with another one.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $integer:ty) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $integer);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIntError;

            /// Parses decimal digits.
            fn from_str(text: &str) -> Result<$name, ParseIntError> {
                text.parse().map($name)
            }
        }
    };
}

number! {
    /// The id of a process, as the pid namespace of this program numbers it.
    Pid, u32
}

number! {
    /// The id of a thread, as the pid namespace of this program numbers it.
    Tid, u32
}

number! {
    /// The key of a container: the inode number of the cgroup directory that is its root.
    Key, u64
}

impl Pid {
    /// Returns the main thread of the process, which has the same number.
    #[must_use]
    pub fn main_thread(self) -> Tid {
        Tid(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_reads_what_it_prints() {
        assert_eq!(Pid(17).to_string().parse(), Ok(Pid(17)));
        assert_eq!("18446744073709551615".parse(), Ok(Key(u64::MAX)));
    }

    #[test]
    fn text_that_is_no_number_is_refused() {
        assert!("-1".parse::<Tid>().is_err());
    }
}
