//! Wake-ups: a reader that waits for a timeline to grow, without a list of who waits for what.
//!
//! A wake-up carries no data and may be spurious: timelines share a fixed number of slots by
//! hash, so memory does not depend on how many are watched. Whoever wakes reads again.

use std::hash::BuildHasher as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering, fence};

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
    /// How many watch, so that a send to thousands is not slowed down where nobody does.
    watching: Arc<AtomicUsize>,
}

impl Watchers {
    /// A set of slots nobody waits at.
    pub fn new() -> Watchers {
        let slots = (0..SLOTS).map(|_| Arc::new(Notify::new())).collect();
        Watchers { hash: RandomState::default(), slots, watching: Arc::default() }
    }

    /// Waits for growth from this moment on: growth before the first poll counts too.
    pub fn watch(&self, key: &[u8]) -> Watch {
        let mut next = Box::pin(Arc::clone(self.slot(key)).notified_owned());
        next.as_mut().enable();
        self.watching.fetch_add(1, Ordering::Relaxed);
        // Whoever asks next whether anybody watches must see this one, or else the reader that
        // made it must see what was published before: one of the two fences comes first.
        fence(Ordering::SeqCst);
        Watch { next, watching: Arc::clone(&self.watching), _waits: None }
    }

    /// Whether anybody watches anything. Ask after publishing; if not, nobody needs a wake-up.
    pub fn any(&self) -> bool {
        fence(Ordering::SeqCst);
        self.watching.load(Ordering::Relaxed) > 0
    }

    /// Wakes whoever watches the timeline with this key. Call it once its entries are readable.
    pub fn wake(&self, key: &[u8]) {
        self.slot(key).notify_waiters();
    }

    /// Wakes everybody: for whoever does not know which timelines have grown.
    pub fn wake_all(&self) {
        self.slots.iter().for_each(|slot| slot.notify_waiters());
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
    watching: Arc<AtomicUsize>,
    _waits: Option<Arc<()>>,
}

impl Watch {
    /// Keeps `waits` for as long as this watch lives: for a store that looks after the timelines
    /// somebody waits for.
    #[must_use]
    pub fn keeping(mut self, waits: Arc<()>) -> Watch {
        self._waits = Some(waits);
        self
    }

    /// Completes once the timeline may have grown since this was made.
    pub async fn grown(mut self) {
        self.next.as_mut().await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.watching.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Whether `watch` is done, without waiting for it.
    fn has_grown(watch: Watch) -> bool {
        let mut grown = pin!(watch.grown());
        grown.as_mut().poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    /// A key in another slot than `key`.
    fn elsewhere(watchers: &Watchers, key: &[u8]) -> Vec<u8> {
        let apart = |other: &Vec<u8>| !Arc::ptr_eq(watchers.slot(other), watchers.slot(key));
        (0..100_u8).map(|byte| vec![byte]).find(apart).expect("100 keys in more than one slot")
    }

    #[test]
    fn growth_before_the_first_poll_counts() {
        let watchers = Watchers::new();
        let watch = watchers.watch(b"a");
        watchers.wake(b"a");
        assert!(has_grown(watch));
    }

    #[test]
    fn growth_before_the_watch_does_not_count() {
        let watchers = Watchers::new();
        watchers.wake(b"a");
        assert!(!has_grown(watchers.watch(b"a")));
    }

    #[test]
    fn everybody_at_a_timeline_wakes_and_nobody_elsewhere() {
        let watchers = Watchers::new();
        let other = watchers.watch(&elsewhere(&watchers, b"a"));
        let watches: Vec<_> = (0..10).map(|_| watchers.watch(b"a")).collect();
        watchers.wake(b"a");
        assert!(watches.into_iter().all(has_grown));
        assert!(!has_grown(other));
    }

    #[test]
    fn all_are_woken_at_once() {
        let watchers = Watchers::new();
        let watches = [&b"a"[..], b"b", b"c"].map(|key| watchers.watch(key));
        watchers.wake_all();
        assert!(watches.into_iter().all(has_grown));
    }

    #[test]
    fn a_waiting_task_is_woken() {
        struct Count(std::sync::atomic::AtomicUsize);
        impl std::task::Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
        }
        let count = Arc::new(Count(0.into()));
        let waker = Waker::from(Arc::clone(&count));
        let watchers = Watchers::new();
        let mut grown = pin!(watchers.watch(b"a").grown());
        let mut context = Context::from_waker(&waker);
        assert_eq!(grown.as_mut().poll(&mut context), Poll::Pending);
        watchers.wake(b"a");
        assert_eq!(count.0.load(std::sync::atomic::Ordering::SeqCst), 1);
        assert_eq!(grown.as_mut().poll(&mut context), Poll::Ready(()));
    }

    #[test]
    fn dropped_watches_leave_nothing_behind() {
        let watchers = Watchers::new();
        for _ in 0..1_000 {
            drop(watchers.watch(b"a"));
        }
        assert!(!watchers.any());
        watchers.wake(b"a");
        assert!(!has_grown(watchers.watch(b"a")));
    }

    #[test]
    fn it_is_known_whether_anybody_watches() {
        let watchers = Watchers::new();
        assert!(!watchers.any());
        let (one, other) = (watchers.watch(b"a"), watchers.watch(b"b"));
        drop(one);
        assert!(watchers.any());
        drop(other);
        assert!(!watchers.any());
    }
}
