//! What waits to be written to Redis: bounded, merged, and dropped where there is too much.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use seqline_core::id::{Epoch, Text, TimelineId};
use tokio::sync::Notify;

use crate::hints::Hint;

/// Most memory for what waits, of hints, of notices and of claims each, in bytes. What a busy
/// instance hands over in a second is less; what does not go out within that is hardly worth it.
const BYTES_MAX: usize = 8 * 1024 * 1024;
/// What a name costs in a table besides its own bytes.
const ENTRY_BYTES: usize = 96;

/// What one round of writing takes with it.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) hints: HashMap<(Epoch, Text), Hint, RandomState>,
    /// Inboxes whose claims end once the hints are written.
    pub(super) released: Vec<(Epoch, Text)>,
    /// Keys of timelines that have grown.
    pub(super) grown: HashSet<Vec<u8>, RandomState>,
    /// Some timelines that have grown are not named: the others must look at all of theirs.
    pub(super) missed: bool,
    hint_bytes: usize,
    grown_bytes: usize,
    released_bytes: usize,
}

/// Where callers leave it and the writer takes it.
#[derive(Debug, Default)]
pub(super) struct Pending {
    batch: Mutex<Batch>,
    more: Notify,
}

impl Pending {
    /// Adds tails. Of two of one inbox the higher one stays. Returns how many were dropped.
    pub(super) fn add_hints(&self, epoch: Epoch, tails: Vec<(Text, Hint)>) -> u64 {
        let mut batch = self.lock();
        let mut dropped = 0;
        for (member, hint) in tails {
            let bytes = member.as_bytes().len() + ENTRY_BYTES;
            // Detached: what waits must not keep a whole request in memory.
            let key = (epoch, member.detached());
            if let Some(known) = batch.hints.get_mut(&key) {
                if (hint.seq, hint.at) > (known.seq, known.at) {
                    *known = hint;
                }
            } else if batch.hint_bytes + bytes <= BYTES_MAX {
                batch.hint_bytes += bytes;
                batch.hints.insert(key, hint);
            } else {
                dropped += 1;
            }
        }
        drop(batch);
        self.more.notify_one();
        dropped
    }

    /// Adds claims that end. Returns how many were dropped.
    pub(super) fn add_released(&self, epoch: Epoch, members: Vec<Text>) -> u64 {
        let mut batch = self.lock();
        let mut dropped = 0;
        for member in members {
            let bytes = member.as_bytes().len() + ENTRY_BYTES;
            if batch.released_bytes + bytes <= BYTES_MAX {
                batch.released_bytes += bytes;
                batch.released.push((epoch, member.detached()));
            } else {
                dropped += 1;
            }
        }
        drop(batch);
        self.more.notify_one();
        dropped
    }

    /// Adds timelines that have grown. If they are too many, the others shall look at all.
    pub(super) fn add_grown(&self, timelines: &[TimelineId]) {
        let mut batch = self.lock();
        for key in timelines.iter().map(TimelineId::key) {
            if batch.missed {
                break;
            }
            let bytes = key.len() + ENTRY_BYTES;
            if batch.grown_bytes + bytes > BYTES_MAX {
                batch.miss();
            } else if batch.grown.insert(key) {
                batch.grown_bytes += bytes;
            }
        }
        drop(batch);
        self.more.notify_one();
    }

    /// What was taken last did not reach the others.
    pub(super) fn missed(&self) {
        self.lock().miss();
    }

    /// Waits until something waits.
    pub(super) async fn more(&self) {
        self.more.notified().await;
    }

    /// Takes all that waits.
    pub(super) fn take(&self) -> Batch {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Batch> {
        // Each change leaves it whole; and losing parts of it costs time only.
        self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batch {
    fn miss(&mut self) {
        self.grown = HashSet::default();
        self.grown_bytes = 0;
        self.missed = true;
    }
}

#[cfg(test)]
mod tests {
    use seqline_core::clock::UnixMillis;
    use seqline_core::id::MemberId;
    use seqline_core::seq::Seq;

    use super::*;

    const EPOCH: Epoch = Epoch(1);

    fn hint(seq: u64, at: u64) -> Hint {
        Hint { seq: Seq::new(seq), at: UnixMillis(at) }
    }

    fn inbox(n: usize) -> TimelineId {
        TimelineId::Inbox(MemberId::new("member", format!("member {n}")).unwrap())
    }

    #[test]
    fn the_highest_tail_of_each_inbox_and_epoch_is_kept() {
        let pending = Pending::default();
        let ann = || Text::from("ann");
        pending.add_hints(EPOCH, vec![(ann(), hint(5, 1)), (ann(), hint(4, 9))]);
        pending.add_hints(EPOCH, vec![(ann(), hint(5, 3))]);
        pending.add_hints(Epoch(2), vec![(ann(), hint(1, 1))]);
        let batch = pending.take();
        assert_eq!(batch.hints[&(EPOCH, ann())], hint(5, 3));
        assert_eq!(batch.hints[&(Epoch(2), ann())], hint(1, 1));
        assert!(pending.take().hints.is_empty());
    }

    #[test]
    fn what_is_beyond_the_limit_is_dropped_and_counted() {
        let pending = Pending::default();
        let long = "x".repeat(1_000);
        let many = BYTES_MAX / 1_000;
        let tails = (0..many).map(|n| (Text::from(format!("{long}{n}")), hint(1, 1))).collect();
        let dropped = pending.add_hints(EPOCH, tails);
        let kept = pending.take().hints.len();
        assert!(dropped > 0 && kept * 1_000 < BYTES_MAX);
        assert_eq!(kept as u64 + dropped, many as u64);
        assert_eq!(pending.add_hints(EPOCH, vec![(Text::from(long.clone()), hint(1, 1))]), 0);

        let members = vec![Text::from(long); many];
        let dropped = pending.add_released(EPOCH, members);
        let kept = pending.take().released.len();
        assert!(dropped > 0 && kept as u64 + dropped == many as u64);
    }

    #[test]
    fn too_many_grown_timelines_become_all() {
        let pending = Pending::default();
        pending.add_grown(&[inbox(1), inbox(1), inbox(2)]);
        let batch = pending.take();
        assert_eq!((batch.grown.len(), batch.missed), (2, false));

        let many: Vec<_> = (0..BYTES_MAX / ENTRY_BYTES).map(inbox).collect();
        pending.add_grown(&many);
        pending.add_grown(&[inbox(1)]);
        let batch = pending.take();
        assert_eq!((batch.grown.len(), batch.missed), (0, true));

        pending.add_grown(&[inbox(1)]);
        pending.missed();
        let batch = pending.take();
        assert_eq!((batch.grown.len(), batch.missed), (0, true));
        assert!(!pending.take().missed);
    }
}
