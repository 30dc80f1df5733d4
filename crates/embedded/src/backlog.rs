//! What the index does not have yet: what the committer leaves for the keeper, and back.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::log::Lsn;
use crate::rows::Answer;
use crate::timelines::{Changes, Place};

/// From so many full chunks and keys on, the keeper is woken; before, it looks by itself.
const WAKE_AT: usize = 256;

/// Most idempotency keys the keeper takes at a time.
const KEYS_MAX: usize = 4_096;

/// Work for the keeper.
pub(crate) struct Backlog {
    state: Mutex<State>,
    /// Wakes the keeper.
    grown: Condvar,
    /// Wakes who waits for the keeper.
    progress: Condvar,
    /// How many idempotency keys the index got since the start.
    keys_saved: AtomicU64,
}

#[derive(Default)]
struct State {
    /// Timelines with something the index lacks, by the segment of the oldest of it. One that
    /// was saved since is still named here; its tail tells.
    dirty: BTreeMap<u64, VecDeque<Place>>,
    full: Vec<Place>,
    keys: VecDeque<NewKey>,
    /// Everything before it is published.
    end: Lsn,
    segment: u64,
    /// Timelines the index knows wholly, the longest first.
    clean: VecDeque<Place>,
    /// Entries that trims have hidden since segments were last looked through.
    trimmed: u64,
    /// Segments nothing refers to any more.
    unused: Vec<u64>,
    orders: Orders,
    failed: Option<String>,
    ended: bool,
    #[cfg(test)]
    held: bool,
}

/// What the keeper is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Orders {
    /// How often somebody wanted everything saved and flushed.
    pub(crate) save_all: u64,
    /// How often that was done.
    saved_all: u64,
    /// No work comes any more: do what is left, or nothing if abandoned, and end.
    pub(crate) end: bool,
    pub(crate) abandon: bool,
}

impl Orders {
    /// Whether everything must be saved now.
    pub(crate) fn wants_all(&self) -> bool {
        self.save_all > self.saved_all
    }
}

/// An idempotency key for the index.
#[derive(Clone, Debug)]
pub(crate) struct NewKey {
    pub(crate) segment: u64,
    pub(crate) row: Vec<u8>,
    pub(crate) answer: Answer,
}

/// A part of the work, as the keeper takes it.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) full: Vec<Place>,
    pub(crate) keys: Vec<NewKey>,
    pub(crate) orders: Orders,
    /// The segment that is being written.
    pub(crate) segment: u64,
}

impl Backlog {
    /// Nothing to do for a log that ends at `end`, in `segment`.
    pub(crate) fn new(end: Lsn, segment: u64) -> Backlog {
        let state = State { end, segment, ..State::default() };
        Backlog {
            state: Mutex::new(state),
            grown: Condvar::new(),
            progress: Condvar::new(),
            keys_saved: AtomicU64::new(0),
        }
    }

    /// What a commit has left, and where the log ends now.
    pub(crate) fn add(&self, changes: Changes, keys: Vec<NewKey>, end: Lsn, segment: u64) {
        let mut state = self.lock();
        if !changes.dirty.is_empty() {
            state.dirty.entry(segment).or_default().extend(changes.dirty);
        }
        state.full.extend(changes.full);
        state.keys.extend(keys);
        (state.end, state.segment) = (end, segment);
        if state.full.len() + state.keys.len() >= WAKE_AT {
            self.grown.notify_one();
        }
    }

    /// Everything before it is published.
    pub(crate) fn end_of_log(&self) -> Lsn {
        self.lock().end
    }

    /// The segment that is being written.
    pub(crate) fn segment(&self) -> u64 {
        self.lock().segment
    }

    /// Entries of a timeline were hidden.
    pub(crate) fn trimmed(&self, entries: u64) {
        self.lock().trimmed += entries;
    }

    /// Takes what there is to save now; waits a little for it.
    pub(crate) fn take(&self, wait: Duration) -> Work {
        let mut state = self.lock();
        #[cfg(test)]
        while state.held && !state.orders.end {
            state = self.grown.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let idle = |state: &State| state.full.is_empty() && state.keys.is_empty();
        if idle(&state) && !state.orders.end && !state.orders.wants_all() {
            let waited = self.grown.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Work {
            full: std::mem::take(&mut state.full),
            // They count as the backlog's until they are saved.
            keys: state.keys.iter().take(KEYS_MAX).cloned().collect(),
            orders: state.orders,
            segment: state.segment,
        }
    }

    /// The index has the first `count` keys.
    pub(crate) fn keys_saved(&self, count: usize) {
        self.lock().keys.drain(..count);
        self.keys_saved.fetch_add(count as u64, Ordering::Release);
        self.progress.notify_all();
    }

    /// How many keys the index got since the start.
    pub(crate) fn keys_saved_count(&self) -> u64 {
        self.keys_saved.load(Ordering::Acquire)
    }

    /// Takes up to `max` timelines whose oldest unsaved entry is in the oldest segment that has
    /// any, if that is before `before`.
    pub(crate) fn take_dirty(&self, before: u64, max: usize) -> Vec<Place> {
        let mut state = self.lock();
        let Some(mut oldest) = state.dirty.first_entry() else { return Vec::new() };
        if *oldest.key() >= before {
            return Vec::new();
        }
        let places = oldest.get_mut();
        let count = places.len().min(max);
        let taken = places.drain(..count).collect();
        if places.is_empty() {
            oldest.remove();
        }
        taken
    }

    /// How many timelines may have something to save.
    pub(crate) fn dirty(&self) -> usize {
        self.lock().dirty.values().map(VecDeque::len).sum()
    }

    /// Timelines that the keeper saved: those that have new entries since, by segment, and those
    /// that have none.
    pub(crate) fn saved(&self, dirty: Vec<(u64, Place)>, clean: Vec<Place>) {
        let mut state = self.lock();
        for (segment, place) in dirty {
            state.dirty.entry(segment).or_default().push_back(place);
        }
        state.clean.extend(clean);
        self.progress.notify_all();
    }

    /// From where the log would have to be replayed if the index kept only what it has now:
    /// exactly the end, or else the start of a segment.
    pub(crate) fn replay_from(&self, start_of: impl FnOnce(u64) -> Lsn) -> Lsn {
        let state = self.lock();
        let dirty = state.dirty.keys().next().copied();
        let key = state.keys.front().map(|key| key.segment);
        match dirty.into_iter().chain(key).min() {
            Some(segment) => start_of(segment),
            None => state.end,
        }
    }

    /// Takes up to `max` timelines that could leave memory.
    pub(crate) fn take_clean(&self, max: usize) -> Vec<Place> {
        let mut state = self.lock();
        let count = state.clean.len().min(max);
        state.clean.drain(..count).collect()
    }

    /// Timelines that could leave memory later.
    pub(crate) fn put_clean(&self, places: Vec<Place>) {
        self.lock().clean.extend(places);
    }

    /// Entries hidden since this was last asked, if at least `min`.
    pub(crate) fn take_trimmed(&self, min: u64) -> Option<u64> {
        let mut state = self.lock();
        (state.trimmed >= min).then(|| std::mem::take(&mut state.trimmed))
    }

    /// Segments that nothing refers to.
    pub(crate) fn put_unused(&self, segments: Vec<u64>) {
        self.lock().unused.extend(segments);
    }

    /// Segments to free.
    pub(crate) fn take_unused(&self) -> Vec<u64> {
        std::mem::take(&mut self.lock().unused)
    }

    /// Whether what is left is to stay undone.
    pub(crate) fn abandoned(&self) -> bool {
        self.lock().orders.abandon
    }

    /// Wants everything saved that is published now, and waits for it.
    ///
    /// # Errors
    /// Why the keeper does not work any more.
    pub(crate) fn save_all(&self) -> Result<(), String> {
        let mut state = self.lock();
        state.orders.save_all += 1;
        let wanted = state.orders.save_all;
        #[cfg(test)]
        {
            // So that a test that fails does not wait at the end of its store.
            state.held = false;
        }
        self.grown.notify_one();
        while state.orders.saved_all < wanted {
            if let Some(reason) = &state.failed {
                return Err(reason.clone());
            }
            if state.ended {
                return Err("the store is closed".to_owned());
            }
            state = self.progress.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    /// Everything that was published when `orders` were taken is saved.
    pub(crate) fn saved_all(&self, orders: Orders) {
        self.lock().orders.saved_all = orders.save_all;
        self.progress.notify_all();
    }

    /// No work comes any more. With `abandon`, what is left stays undone.
    pub(crate) fn end(&self, abandon: bool) {
        let mut state = self.lock();
        state.orders.end = true;
        state.orders.abandon |= abandon;
        self.grown.notify_one();
    }

    /// The keeper has ended.
    pub(crate) fn ended(&self, failed: Option<String>) {
        let mut state = self.lock();
        state.ended = true;
        state.failed = failed;
        self.progress.notify_all();
    }

    /// Why the keeper does not work any more.
    pub(crate) fn failed(&self) -> Option<String> {
        let state = self.lock();
        state.failed.clone().or_else(|| state.ended.then(|| "the store is closed".to_owned()))
    }

    /// Waits a little for the keeper to get on.
    pub(crate) fn wait_for_progress(&self, most: Duration) {
        let state = self.lock();
        self.grown.notify_one();
        drop(self.progress.wait_timeout(state, most));
    }

    /// Nothing is taken until [`Backlog::let_go`].
    #[cfg(test)]
    pub(crate) fn hold(&self) {
        self.lock().held = true;
    }

    /// Ends what [`Backlog::hold`] began.
    #[cfg(test)]
    pub(crate) fn let_go(&self) {
        self.lock().held = false;
        self.grown.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
