//! Wake-ups: a reader that waits for a timeline to grow, without a list of who waits for what.
//!
//! A wake-up carries no data and may be spurious: timelines share a fixed number of slots by
//! hash, so memory does not depend on how many are watched. Whoever wakes reads again.

use std::hash::BuildHasher as _;
use std::pin::Pin;
use std::sync::Arc;

use foldhash::fast::RandomState;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// How many slots timelines are spread over. Two busy timelines rarely share one of 4,096.
const SLOTS: usize = 4_096;

/// The slots of one store.
#[derive(Debug)]
pub struct Watchers {
    hash: RandomState,
    slots: Box<[Arc<Notify>]>,
}

impl Watchers {
    /// A set of slots nobody waits at.
    pub fn new() -> Watchers {
        let slots = (0..SLOTS).map(|_| Arc::new(Notify::new())).collect();
        Watchers { hash: RandomState::default(), slots }
    }

    /// Waits for growth from this moment on: growth before the first poll counts too.
    pub fn watch(&self, key: &[u8]) -> Watch {
        let mut next = Box::pin(Arc::clone(self.slot(key)).notified_owned());
        next.as_mut().enable();
        Watch { next }
    }

    /// Wakes whoever watches the timeline with this key. Call it once its entries are readable.
    pub fn wake(&self, key: &[u8]) {
        self.slot(key).notify_waiters();
    }

    fn slot(&self, key: &[u8]) -> &Arc<Notify> {
        &self.slots[self.hash.hash_one(key) as usize % SLOTS]
    }
}

impl Default for Watchers {
    fn default() -> Watchers {
        Watchers::new()
    }
}

/// A reader's place at one timeline. Make it, read, and only then wait: then nothing is missed.
#[derive(Debug)]
pub struct Watch {
    next: Pin<Box<OwnedNotified>>,
}

impl Watch {
    /// Completes once the timeline may have grown since this was made.
    pub async fn grown(self) {
        self.next.await;
    }
}
