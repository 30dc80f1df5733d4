//! The newest entries of one timeline, and what is known of it.

use crate::rows::{CHUNK_ENTRIES, Head, Refs, chunk_start};

/// So many new entries are worth a save: their chunks, and one head for all of them.
const SAVED_TOGETHER: u64 = 2 * CHUNK_ENTRIES;

/// A timeline in use.
///
/// `refs` are the entries from `base` to `latest`; everything below `base` is in the index.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tail {
    /// Which use of its slot this is; see [`super::Place`].
    pub(crate) stamp: u32,
    /// The segment of the log with the oldest entry, or the trim, that the index does not have
    /// yet; 0 if it has everything.
    pub(crate) dirty: u64,
    /// The oldest entry that is left; 0 if only the index knows.
    pub(crate) first: u64,
    /// Whether `first` has risen since the index got it.
    pub(crate) trimmed: bool,
    /// The newest readable entry.
    pub(crate) latest: u64,
    /// When the newest message came; 0 for an inbox.
    pub(crate) at: u64,
    /// 0 if the timeline does not wait to leave memory; else one more than its newest entry was
    /// when it began to wait.
    pub(crate) leaving: u64,
    /// The position of the first of `refs`.
    pub(crate) base: u64,
    /// The places of the newest entries in the log, oldest first.
    pub(crate) refs: Refs,
}

impl Tail {
    /// A timeline that the index knows.
    pub(crate) fn stored(head: Head) -> Tail {
        let base = head.base();
        let Head { first, latest, at, refs } = head;
        Tail { first, latest, at, base, refs, ..Tail::default() }
    }

    /// A timeline without any entry.
    pub(crate) fn new() -> Tail {
        Tail { first: 1, base: 1, ..Tail::default() }
    }

    /// A timeline of which a replayed log tells the entries from `base` on, and no more.
    pub(crate) fn replayed(base: u64) -> Tail {
        Tail { base, latest: base - 1, ..Tail::default() }
    }

    /// Adds the next entry. Says whether the timeline is worth a save now.
    pub(crate) fn push(&mut self, lsn: u64, segment: u64) -> bool {
        self.refs.push(lsn);
        self.latest += 1;
        if self.dirty == 0 {
            self.dirty = segment;
        }
        self.latest.is_multiple_of(SAVED_TOGETHER)
    }

    /// Memory that its entries take beside the tail itself.
    pub(crate) fn heap_bytes(&self) -> u64 {
        if self.refs.spilled() { self.refs.capacity() as u64 * 8 } else { 0 }
    }

    /// Forgets the entries that are in full chunks up to `saved`, which the index has.
    pub(crate) fn forget(&mut self, saved: u64) {
        let keep = chunk_start(saved + 1);
        if keep > self.base {
            self.refs.drain(..(keep - self.base) as usize);
            self.base = keep;
            if self.refs.is_empty() && self.refs.capacity() > SAVED_TOGETHER as usize {
                // A timeline that had so many is likely to have so many again.
                self.refs = Refs::with_capacity(SAVED_TOGETHER as usize);
            }
        }
    }

    /// The entries from `low` to `high` that are in memory, with the position of the first.
    pub(crate) fn range(&self, low: u64, high: u64) -> (u64, &[u64]) {
        let low = low.max(self.base);
        let high = high.min(self.latest);
        match low <= high {
            true => (low, &self.refs[(low - self.base) as usize..=(high - self.base) as usize]),
            false => (low, &[]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_keeps_what_fills_no_saved_chunk() {
        let mut tail = Tail::new();
        for n in 1..=130 {
            assert_eq!(tail.push(n * 8, 1), n % 128 == 0);
        }
        assert_eq!(tail.range(5, 6), (5, &[40, 48][..]));
        tail.forget(130);
        assert_eq!((tail.base, tail.latest), (129, 130));
        assert_eq!(tail.range(1, 500), (129, &[129 * 8, 130 * 8][..]));
        assert_eq!(tail.range(1, 128).1, &[0_u64; 0][..]);
        tail.forget(130);
        assert_eq!(tail.refs.len(), 2);
    }

    #[test]
    fn a_replayed_tail_begins_anywhere() {
        let mut tail = Tail::replayed(100);
        for n in 100..=130 {
            tail.push(n * 8, 1);
        }
        tail.forget(127);
        assert_eq!(tail.base, 100, "the chunk from 65 on is not whole before 128");
        tail.forget(128);
        assert_eq!((tail.base, tail.refs.len()), (129, 2));
    }
}
