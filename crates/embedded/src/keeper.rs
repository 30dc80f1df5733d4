//! The thread that writes the index behind the log.
//!
//! Full chunks and keys go in soon, other timelines once their oldest entry is some segments old
//! or memory runs short, a part at a time. Whenever the index has written a table, the log needs
//! to be replayed only from the oldest entry that the index then lacked.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use seqline_core::clock::Clock;

use crate::backlog::Work;
use crate::dedupe;
use crate::engine::Engine;
use crate::index::{Batch, Index, IndexError};
use crate::log::Lsn;
use crate::options::Durability;
use crate::queue::Queue;
use crate::{rows, save, unused};

/// Segments whose entries may wait for their chunks to fill. More make fewer rows and a longer
/// replay.
const DIRTY_SEGMENTS: u64 = 4;
/// After so many segments the index writes a table even if it is small, to shorten the replay.
const FLUSH_SEGMENTS: u64 = 2;
/// How long the keeper waits at a time for tables to be merged.
const BEHIND_WAIT: Duration = Duration::from_millis(500);
/// Timelines saved before new full chunks and keys have their turn again.
const SAVED_TOGETHER: usize = 2_048;
/// How long the keeper waits for work at a time.
const WAIT: Duration = Duration::from_millis(50);
/// Most keys forgotten in one step.
const EXPIRED_PER_STEP: usize = 2_048;
/// Keys are forgotten at most this much too late.
const EXPIRE_EVERY: Duration = Duration::from_secs(1);

/// Why the keeper stops.
const DEFECT: &str = "the keeper of the index stopped because of a defect";

/// The thread's state.
pub(crate) struct Keeper {
    pub(crate) engine: Arc<Engine>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) window_millis: u64,
    /// Trims of so many entries make it worth looking for segments nobody needs.
    pub(crate) unused_after: u64,
    state: State,
}

struct State {
    /// Whether older timelines are left to save, so that nobody waits meanwhile.
    more: bool,
    /// The segment that was being written when the last table was.
    flushed: u64,
    expire_at: Instant,
    /// Everything before it is forgotten; looking there again would cross all the deletions.
    forgotten_to: Vec<u8>,
}

impl Keeper {
    pub(crate) fn new(
        engine: Arc<Engine>,
        queue: Arc<Queue>,
        clock: Arc<dyn Clock>,
        window: Duration,
        unused_after: u64,
    ) -> Keeper {
        let forgotten_to = rows::EXPIRIES_START.to_vec();
        let state = State { more: false, flushed: 0, expire_at: Instant::now(), forgotten_to };
        let window_millis = dedupe::window_millis(window);
        Keeper { engine, queue, clock, window_millis, unused_after, state }
    }

    /// Works until the backlog ends. If it fails, the store takes no more sends.
    pub(crate) fn run(mut self) {
        let (queue, engine) = (Arc::clone(&self.queue), Arc::clone(&self.engine));
        let outcome = catch_unwind(AssertUnwindSafe(|| self.work()));
        let failed = match outcome {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(format!("the index cannot be written: {error}")),
            Err(_) => Some(DEFECT.to_owned()),
        };
        if let Some(reason) = &failed {
            tracing::error!(%reason, "the store takes no more sends until it is restarted");
            queue.poison(reason);
        }
        engine.backlog.ended(failed);
    }

    fn work(&mut self) -> Result<(), IndexError> {
        self.state.flushed = self.engine.backlog.segment();
        loop {
            let wait = if self.state.more { Duration::ZERO } else { WAIT };
            let work = self.engine.backlog.take(wait);
            let orders = work.orders;
            if orders.end && orders.abandon {
                return Ok(());
            }
            self.step(&work)?;
            if orders.wants_all() {
                self.save_everything()?;
                self.flush(work.segment)?;
                self.engine.backlog.saved_all(orders);
            } else if orders.end {
                return Ok(());
            }
        }
    }

    fn step(&mut self, work: &Work) -> Result<(), IndexError> {
        let engine = Arc::clone(&self.engine);
        self.save_keys(work);
        self.save_full(work)?;
        let before = match engine.memory_is_short() {
            true => u64::MAX,
            false => (work.segment + 1).saturating_sub(DIRTY_SEGMENTS),
        };
        self.state.more = self.save_dirty(before)?;
        self.flush_if_due(work.segment)?;
        if self.state.expire_at <= Instant::now() {
            // What is left after a full step comes with the next round.
            if !self.expire()? {
                self.state.expire_at = Instant::now() + EXPIRE_EVERY;
            }
        }
        if engine.backlog.take_trimmed(self.unused_after).is_some() {
            // Freed only once a start will not ask for them: that is what the last table says.
            let replay = self.flush(work.segment)?;
            engine.backlog.put_unused(unused::find(&engine, replay)?);
        }
        Ok(())
    }

    /// Saves all that is published when it begins, whatever comes meanwhile.
    fn save_everything(&mut self) -> Result<(), IndexError> {
        let mut left = self.engine.backlog.dirty();
        let mut keys = true;
        while keys || left > 0 {
            let work = self.engine.backlog.take(Duration::ZERO);
            self.save_keys(&work);
            keys &= !work.keys.is_empty();
            self.save_full(&work)?;
            let places = self.engine.backlog.take_dirty(u64::MAX, SAVED_TOGETHER);
            if places.is_empty() {
                left = 0;
            }
            left = left.saturating_sub(places.len()) + save::save(&self.engine, &places)?;
        }
        Ok(())
    }

    /// Saves timelines that have filled chunks, in parts: after a while in which tables had to be
    /// waited for they may be all there are, and together many times what one table has.
    fn save_full(&mut self, work: &Work) -> Result<(), IndexError> {
        let mut full = work.full.clone();
        // One may have filled two chunks.
        full.sort_unstable_by_key(|place| place.slot);
        full.dedup();
        for places in full.chunks(SAVED_TOGETHER) {
            save::save(&self.engine, places)?;
            self.flush_if_due(work.segment)?;
        }
        Ok(())
    }

    /// Writes a table if there is enough for one, or the last one is old.
    fn flush_if_due(&mut self, segment: u64) -> Result<(), IndexError> {
        let old = segment >= self.state.flushed + FLUSH_SEGMENTS;
        let enough = if old { 1 } else { self.engine.flush_bytes };
        if self.engine.index.unflushed_bytes() >= enough {
            self.flush(segment)?;
        }
        Ok(())
    }

    /// Saves some timelines whose oldest unsaved entry is in a segment before `before`. Says
    /// whether there may be more.
    fn save_dirty(&mut self, before: u64) -> Result<bool, IndexError> {
        let places = self.engine.backlog.take_dirty(before, SAVED_TOGETHER);
        save::save(&self.engine, &places)?;
        Ok(places.len() == SAVED_TOGETHER)
    }

    fn save_keys(&mut self, work: &Work) {
        if work.keys.is_empty() {
            return;
        }
        let mut batch = Batch::default();
        for key in &work.keys {
            let expiry = rows::expiry_key(key.answer.receipt.at.0, &key.row);
            batch.put(&expiry, &[]);
            // Replayed, or taken while the clock stood earlier: it must be forgotten all the same.
            if expiry < self.state.forgotten_to {
                self.state.forgotten_to = expiry;
            }
            batch.put(&key.row, &key.answer.encode());
        }
        self.engine.index.write(&batch);
        self.engine.backlog.keys_saved(work.keys.len());
    }

    /// Writes a table of all that only memory has, with the place from where the log must be
    /// replayed, which it returns.
    fn flush(&mut self, segment: u64) -> Result<Lsn, IndexError> {
        let engine = &self.engine;
        // The index must never be ahead of the log.
        if engine.durability != Durability::Fsync {
            engine
                .segments
                .sync()
                .map_err(|e| IndexError::Stopped(format!("a sync failed: {e}")))?;
        }
        let replay = engine.backlog.replay_from(|segment| engine.segments.start(segment));
        let mut batch = Batch::default();
        batch.put(rows::REPLAY, &replay.raw().to_be_bytes());
        engine.index.write(&batch);
        while let Err(error) = engine.index.flush() {
            let behind = matches!(error, IndexError::Behind { .. });
            if !behind || engine.index.failed().is_some() || engine.backlog.abandoned() {
                return Err(error);
            }
            // Sends go on meanwhile, until memory has taken what it may.
            tracing::warn!(%error, "the index waits for its tables to be merged");
            engine.backlog.wait_for_progress(BEHIND_WAIT);
        }
        self.state.flushed = segment;
        Ok(replay)
    }

    /// Forgets some of the keys whose window is over. Says whether there may be more.
    fn expire(&mut self) -> Result<bool, IndexError> {
        let now = self.clock.now();
        let index = &self.engine.index;
        let mut batch = Batch::default();
        let mut last = None;
        let mut count = 0;
        let range = self.state.forgotten_to.as_slice()..rows::EXPIRIES_END;
        for row in index.scan(range).take(EXPIRED_PER_STEP) {
            let (expiry, _) = row?;
            let (at, key) = rows::decode_expiry_key(&expiry)
                .ok_or_else(|| IndexError::damaged(&expiry, "no key has this time"))?;
            if !dedupe::expired(seqline_core::clock::UnixMillis(at), self.window_millis, now) {
                break;
            }
            // The same key may have been taken again since; then its row is not this one's.
            let answer = index.get(&key)?.and_then(|row| rows::Answer::decode(&row));
            if answer.is_some_and(|a| a.receipt.at.0 == at) {
                batch.delete(&key);
            }
            batch.delete(&expiry);
            last = Some(expiry.to_vec());
            count += 1;
        }
        if let Some(last) = last {
            self.state.forgotten_to = last;
            index.write(&batch);
        }
        Ok(count == EXPIRED_PER_STEP)
    }
}

/// The place in the log that the row under [`rows::REPLAY`] names.
pub(crate) fn replay_from(index: &Index) -> Result<Option<Lsn>, IndexError> {
    let Some(row) = index.get(rows::REPLAY)? else { return Ok(None) };
    let bytes: [u8; 8] =
        row[..].try_into().map_err(|_| IndexError::damaged(rows::REPLAY, "it is cut off"))?;
    Ok(Some(Lsn::from_raw(u64::from_be_bytes(bytes))))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::tests::{Bench, to_group};

    /// The bug: all full chunks that had piled up went into memory before a table was written. In
    /// a long run at full load that was many times what a table has.
    #[test]
    fn what_piled_up_is_written_in_parts() {
        let mut bench = Bench::new();
        (bench.tuning.flush_bytes, bench.tuning.keeper_held) = (256 << 10, true);
        let store = bench.open();
        let engine = store.engine();
        let members: Vec<String> = (0..3 * SAVED_TOGETHER).map(|n| format!("m{n}")).collect();
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        for _ in 0..rows::CHUNK_ENTRIES {
            bench.send(&store, to_group("g", &members, "{}")).unwrap();
        }
        let queue = Arc::new(Queue::new(1, 1));
        let clock = Arc::clone(&bench.clock) as Arc<dyn Clock>;
        let mut keeper =
            Keeper::new(Arc::clone(&engine), queue, clock, Duration::from_secs(60), u64::MAX);
        let full =
            (0..members.len()).filter_map(|n| engine.table.find(format!("im{n}").as_bytes()));
        let work = Work { full: full.collect(), ..Work::default() };
        assert_eq!(work.full.len(), members.len());
        keeper.save_full(&work).unwrap();
        assert_eq!(engine.index.unsorted_runs(), 3);
        assert_eq!(engine.index.unflushed_bytes(), 0);
        drop((engine, keeper));
        store.abandon();
    }
}
