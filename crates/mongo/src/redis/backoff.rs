//! How long to leave a server alone that has failed: longer each time, and never together with
//! everybody else.

use std::time::Duration;

/// The pauses between attempts that go on for ever.
#[derive(Debug)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The longest first pause. A moment's trouble is over by then.
    const FIRST: Duration = Duration::from_millis(100);
    /// The longest pause, and so how late a Redis that came back may be noticed.
    pub(super) const LONGEST: Duration = Duration::from_secs(5);

    pub(super) fn new() -> Backoff {
        Backoff { failures: 0 }
    }

    /// The pause after one more failure: half to the whole of a time that doubles. `random`
    /// decides where between, so that a thousand instances do not come back at once.
    pub(super) fn next(&mut self, random: u64) -> Duration {
        let whole = Self::FIRST.saturating_mul(1 << self.failures.min(16)).min(Self::LONGEST);
        self.failures = self.failures.saturating_add(1);
        let half = whole / 2;
        let part = (random % 1_000) as u32;
        half + half * part / 999
    }

    /// All is well again: the next pause is a first one.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_after_success() {
        let mut backoff = Backoff::new();
        let pauses: Vec<u128> = (0..8).map(|_| backoff.next(999).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        backoff.reset();
        assert_eq!(backoff.next(999), Duration::from_millis(100));
        assert_eq!(backoff.next(0), Duration::from_millis(100), "half of 200 ms");
        (0..100).for_each(|n| assert!(backoff.next(n) <= Backoff::LONGEST));
    }
}
