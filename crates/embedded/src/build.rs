//! Making an index: timelines grow in memory and are saved when they take too much of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use seqline_core::clock::UnixMillis;
use seqline_core::id::Epoch;

use crate::backlog::Backlog;
use crate::chunks::Chunks;
use crate::dedupe;
use crate::engine::Engine;
use crate::error::OpenError;
use crate::index::{Batch, Index, IndexError, IndexOptions};
use crate::lock::DirLock;
use crate::log::{Lsn, Segments};
use crate::options::{Durability, Tuning};
use crate::resolve::Rosters;
use crate::rows::{self, Answer, chunk_of, chunk_start};
use crate::save::save;
use crate::timelines::{self, Place, Table};

/// Idempotency keys written together.
const KEYS_TOGETHER: usize = 1_024;
/// How long a flush waits for compaction at a time.
const PAUSE: Duration = Duration::from_millis(20);

/// An index in the making, beside the log it is for.
pub(crate) struct Builder {
    engine: Engine,
    index_dir: PathBuf,
    dirty: Vec<Place>,
    keys: Batch,
    keys_waiting: usize,
    /// Keys that were taken before are forgotten already.
    keys_from: u64,
}

/// What a builder needs to know.
pub(crate) struct Plan<'a> {
    pub(crate) dir: PathBuf,
    pub(crate) options: &'a IndexOptions,
    pub(crate) tuning: Tuning,
    pub(crate) window: Duration,
    pub(crate) now: UnixMillis,
}

impl Builder {
    /// Begins an index in `plan.dir` for the log that `segments` reads.
    pub(crate) fn new(
        plan: Plan<'_>,
        segments: Segments,
        lock: DirLock,
    ) -> Result<Builder, OpenError> {
        let index = Index::open(&plan.dir, plan.options)?;
        let engine = Engine {
            dir: plan.dir.clone(),
            epoch: Epoch(0),
            durability: Durability::Fsync,
            backlog: Backlog::new(Lsn::NONE, 0),
            segments,
            table: Table::new(),
            index,
            table_bytes_max: plan.tuning.table_bytes_max,
            flush_bytes: plan.tuning.flush_bytes,
            chunks: Chunks::new(0),
            rosters: Rosters::default(),
            _lock: lock,
        };
        let window = dedupe::window_millis(plan.window);
        let keys_from = plan.now.0.saturating_sub(window);
        let (dirty, keys, keys_waiting) = (Vec::new(), Batch::default(), 0);
        Ok(Builder { engine, index_dir: plan.dir, dirty, keys, keys_waiting, keys_from })
    }

    /// Where the index is made.
    pub(crate) fn dir(&self) -> &Path {
        &self.index_dir
    }

    /// Where a timeline is in memory.
    pub(crate) fn place(&self, key: &[u8]) -> Result<Place, OpenError> {
        let found = timelines::load(&self.engine, key);
        found.map_err(|error| OpenError::damaged(&self.index_dir, error.to_string()))
    }

    /// The newest entry of the timeline at `place`.
    pub(crate) fn latest(&self, place: Place) -> u64 {
        self.engine.table.with(place, |tail| tail.latest).unwrap_or(0)
    }

    /// Adds the next entry to the timeline at `place`.
    pub(crate) fn push(&mut self, place: Place, lsn: Lsn, at: u64) {
        let mut tails = self.engine.table.tails_mut();
        let tail = &mut tails[place.slot];
        let before = tail.heap_bytes();
        if tail.dirty == 0 {
            self.dirty.push(place);
        }
        tail.at = tail.at.max(at);
        tail.push(lsn.raw(), self.engine.segments.segment_of(lsn));
        self.engine.table.changed(tail.heap_bytes(), before);
    }

    /// The next entry of a timeline is `seq`; those before are trimmed, and the segments that had
    /// some of them are freed. In the chunk that has `seq`, what is gone becomes places that are
    /// none: nobody reads them.
    pub(crate) fn begin_at(&mut self, key: &[u8], place: Place, seq: u64) -> Result<(), OpenError> {
        let stored = timelines::head(&self.engine.index, key);
        let stored = stored.map_err(|e| OpenError::damaged(&self.index_dir, e.to_string()))?;
        if let Some(head) = stored {
            let mut batch = Batch::default();
            for chunk in chunk_of(head.first)..=chunk_of(head.latest) {
                batch.delete(&rows::chunk_key(key, chunk));
            }
            self.engine.index.write(&batch);
        }
        let mut tails = self.engine.table.tails_mut();
        let tail = &mut tails[place.slot];
        let before = tail.heap_bytes();
        tail.refs.clear();
        tail.base = chunk_start(seq);
        tail.refs.extend((1..=seq - tail.base).map(|n| n * 8));
        (tail.first, tail.latest, tail.trimmed) = (seq, seq - 1, false);
        self.engine.table.changed(tail.heap_bytes(), before);
        Ok(())
    }

    /// Keeps the answer that an idempotency key got, unless the key is forgotten already.
    pub(crate) fn answer(&mut self, row: &[u8], answer: &Answer) {
        if answer.receipt.at.0 > self.keys_from {
            self.keys.put(&rows::expiry_key(answer.receipt.at.0, row), &[]);
            self.keys.put(row, &answer.encode());
            self.keys_waiting += 1;
        }
    }

    /// Writes the answers that wait for more.
    pub(crate) fn write_answers(&mut self) {
        self.engine.index.write(&std::mem::take(&mut self.keys));
        self.keys_waiting = 0;
    }

    /// Whether an answer is kept for a key that was written.
    pub(crate) fn has_answer(&self, row: &[u8]) -> Result<bool, OpenError> {
        Ok(self.engine.index.get(row).map_err(|e| self.failed(e))?.is_some())
    }

    /// Forgets the entries of a timeline before `first`; its newest one stays.
    pub(crate) fn trim(&mut self, key: &[u8], first: u64) -> Result<(), OpenError> {
        let place = self.place(key)?;
        let mut tails = self.engine.table.tails_mut();
        let tail = &mut tails[place.slot];
        let first = first.min(tail.latest);
        if tail.first < first {
            (tail.first, tail.trimmed) = (first, true);
            if tail.dirty == 0 {
                tail.dirty = 1;
                self.dirty.push(place);
            }
        }
        drop(tails);
        self.relieve()
    }

    /// Takes timelines out of memory if they take too much. Between frames only: nobody may keep
    /// a place over it.
    pub(crate) fn relieve(&mut self) -> Result<(), OpenError> {
        if self.keys_waiting >= KEYS_TOGETHER {
            self.write_answers();
        }
        #[cfg(test)]
        crate::repair::most_taken(self.engine.table.bytes());
        if self.engine.memory_is_full() {
            self.save()?;
            // A timeline that grew since it last waited waits for another round.
            for _ in 0..3 {
                let clean = self.engine.backlog.take_clean(usize::MAX);
                let evicted = self.engine.table.evict(&clean);
                self.engine.backlog.put_clean(evicted.later);
            }
        }
        if self.engine.index.unflushed_bytes() >= self.engine.flush_bytes {
            self.flush()?;
        }
        Ok(())
    }

    /// Ends the index: the log needs to be replayed from `replay` on.
    pub(crate) fn finish(mut self, replay: Lsn) -> Result<(), OpenError> {
        self.save()?;
        let mut batch = std::mem::take(&mut self.keys);
        batch.put(rows::REPLAY, &replay.raw().to_be_bytes());
        self.engine.index.write(&batch);
        self.flush()?;
        self.engine.index.close();
        Ok(())
    }

    /// Saves all timelines that have something to save.
    pub(crate) fn save(&mut self) -> Result<(), OpenError> {
        let dirty = std::mem::take(&mut self.dirty);
        save(&self.engine, &dirty).map_err(|e| self.failed(e))?;
        Ok(())
    }

    fn flush(&self) -> Result<(), OpenError> {
        loop {
            match self.engine.index.flush() {
                Err(IndexError::Behind { .. }) if self.engine.index.failed().is_none() => {
                    std::thread::sleep(PAUSE);
                }
                other => return other.map_err(|e| self.failed(e)),
            }
        }
    }

    fn failed(&self, error: IndexError) -> OpenError {
        let source = std::io::Error::other(error);
        OpenError::io("make an index in", &self.index_dir)(source)
    }
}
