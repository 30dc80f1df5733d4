//! Time and randomness as ports, so that tests decide both. Nothing else in this crate asks the
//! operating system for either.

use std::sync::atomic::{AtomicU64, Ordering};

/// Milliseconds since 1970-01-01 00:00 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub u64);

/// Where the service and the stores get the time from.
pub trait Clock: Send + Sync + 'static {
    /// The time now. It may step back; whoever needs order keeps the larger of two.
    fn now(&self) -> UnixMillis;
}

/// Where message ids and epochs get their random bits from.
pub trait Entropy: Send + Sync + 'static {
    /// 64 bits nobody can guess.
    fn random(&self) -> u64;
}

/// A clock that stands still until it is told otherwise. For tests.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: UnixMillis) -> ManualClock {
        ManualClock(AtomicU64::new(now.0))
    }

    /// Sets the time, also back.
    pub fn set(&self, now: UnixMillis) {
        self.0.store(now.0, Ordering::SeqCst);
    }

    /// Moves the time on by `millis`.
    pub fn advance(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.0.load(Ordering::SeqCst))
    }
}

/// Entropy that counts: every id is different and every run the same. For tests.
#[derive(Debug, Default)]
pub struct CountingEntropy(AtomicU64);

impl Entropy for CountingEntropy {
    fn random(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}
