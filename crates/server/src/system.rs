//! The operating system's clock and randomness, behind the ports of the domain.

use std::time::{SystemTime, UNIX_EPOCH};

use seqline_core::clock::{Clock, Entropy, UnixMillis};

/// The wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixMillis {
        // A clock before 1970 reads as 0; stores keep the larger of two times anyway.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// The kernel's random numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn random(&self) -> u64 {
        getrandom::u64().expect("the kernel has random numbers once the machine has booted")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_shows_a_time_after_this_was_written() {
        assert!(SystemClock.now() > UnixMillis(1_700_000_000_000));
    }

    #[test]
    fn random_numbers_differ() {
        assert_ne!(SystemEntropy.random(), SystemEntropy.random());
    }
}
