//! The one thread that assigns numbers and writes the log.
//!
//! It takes everything that waits, writes it as one group, syncs once, makes it readable, and
//! answers. After a failed write nothing is tried again: who waits is told that the outcome is
//! unknown, the queue refuses everything after, and a restart finds out what is on disk.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use seqline_core::clock::Clock;
use seqline_core::page::Bounds;
use seqline_core::seq::Seq;
use seqline_core::watch::Watchers;
use seqline_core::{Error, Result};
use tokio::sync::oneshot;

use crate::engine::Engine;
use crate::error;
use crate::group::{Group, Numbering};
use crate::log::Writer;
use crate::options::Durability;
use crate::queue::{Append, Command, Queue, Taken};
use crate::timelines::{Changes, load};
use crate::{format, record};

/// Most inbox entries of one commit; a single larger send is one commit of its own.
const DELIVERIES_MAX: usize = 50_000;
/// Most bytes of one commit, likewise.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// Timelines that leave memory between two commits, at most.
const EVICTIONS_MAX: usize = 512;
/// How long the committer waits at a time for the keeper to make room in memory.
const ROOM_WAIT: Duration = Duration::from_millis(20);

/// Why nothing is taken after a thread of the store panicked.
pub(crate) const DEFECT: &str = "the committer stopped because of a defect";

/// Why the committer stops before its queue has ended.
struct Failed(String);

type Outcome<T> = std::result::Result<T, Failed>;

/// The thread's state.
pub(crate) struct Committer {
    pub(crate) engine: Arc<Engine>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) watchers: Arc<Watchers>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) log: Writer,
    pub(crate) numbering: Numbering,
    /// Whether everything was made durable for the last time.
    pub(crate) ended: bool,
}

impl Committer {
    /// Works until the queue ends. However it stops, nobody is left waiting.
    pub(crate) fn run(mut self) {
        let queue = Arc::clone(&self.queue);
        let engine = Arc::clone(&self.engine);
        let outcome = catch_unwind(AssertUnwindSafe(|| self.work()));
        let reason = match outcome {
            Ok(Ok(())) => return,
            Ok(Err(Failed(reason))) => reason,
            Err(_) => DEFECT.to_owned(),
        };
        tracing::error!(%reason, "the store takes no more sends until it is restarted");
        queue.poison(&reason);
        engine.backlog.end(true);
    }

    fn work(&mut self) -> Outcome<()> {
        // When what was written must be synced; `None` if it is.
        let mut sync_at = None;
        loop {
            match self.queue.take(sync_at, DELIVERIES_MAX, BYTES_MAX) {
                Taken::Commands(commands) => {
                    self.carry_out(commands)?;
                    if let Durability::Interval(every) = self.engine.durability {
                        sync_at.get_or_insert_with(|| Instant::now() + every);
                    }
                }
                Taken::Nothing => {}
                Taken::End => match self.queue.poisoned() {
                    Some(reason) => return Err(Failed(reason)),
                    None => return self.end(),
                },
            }
            if sync_at.is_some_and(|at| at <= Instant::now()) {
                self.sync()?;
                sync_at = None;
            }
            self.make_room()?;
        }
    }

    fn carry_out(&mut self, commands: Vec<Command>) -> Outcome<()> {
        let mut sends = Vec::with_capacity(commands.len());
        for command in commands {
            match command {
                Command::Append(append) => sends.push(append),
                Command::Trim { timeline, up_to, answer } => {
                    self.append(std::mem::take(&mut sends))?;
                    self.trim(&timeline, up_to, answer)?;
                }
                Command::Close { answer } => {
                    self.append(std::mem::take(&mut sends))?;
                    let closed = self.end();
                    let result = closed.as_ref().map_err(|Failed(reason)| {
                        error::unavailable(format!("the end could not be written: {reason}"))
                    });
                    let _ = answer.send(result.copied()).is_ok();
                    closed?;
                }
            }
        }
        self.append(sends)
    }

    /// Commits sends: as one group, unless a segment of the log ends among them.
    #[expect(clippy::vec_box, reason = "they come boxed from the queue, and are too large to move")]
    fn append(&mut self, sends: Vec<Box<Append>>) -> Outcome<()> {
        let begun = Instant::now();
        let now = self.clock.now();
        let mut group = Group::default();
        for append in sends {
            if append.frame_bytes > self.log.room() {
                self.commit(std::mem::take(&mut group), begun)?;
                if let Err(failed) = self.roll() {
                    self.queue.poison(&failed.0);
                    Command::Append(append).refuse(error::unavailable(failed.0.clone()));
                    return Err(failed);
                }
            }
            group.add(&self.engine, &mut self.log, &mut self.numbering, now, append);
        }
        self.commit(group, begun)
    }

    /// Writes a group and answers it.
    fn commit(&mut self, mut group: Group, begun: Instant) -> Outcome<()> {
        let (sends, deliveries) = (group.len(), group.deliveries);
        if !group.is_empty()
            && let Err(Failed(reason)) = self.write()
        {
            // Refuse first, so that nobody who hears of the failure gets a send through.
            self.queue.poison(&reason);
            group.failed(&reason);
            return Err(Failed(reason));
        }
        let segment = self.log.segment();
        if sends > 0 {
            let (changes, keys) = group.publish(&self.engine, segment);
            self.engine.backlog.add(changes, keys, self.log.end(), segment);
            self.numbering.commit += 1;
            metrics::histogram!("seqline_commit_sends").record(sends as f64);
            metrics::counter!("seqline_deliveries_total").increment(deliveries);
            metrics::histogram!("seqline_commit_seconds").record(begun.elapsed().as_secs_f64());
        }
        group.answer(&self.watchers);
        Ok(())
    }

    fn roll(&mut self) -> Outcome<()> {
        let epoch = self.engine.epoch.0;
        self.log.roll(epoch).map_err(|e| Failed(format!("a segment cannot be begun: {e}")))?;
        self.numbering.names = 0;
        Ok(())
    }

    fn trim(
        &mut self,
        timeline: &[u8],
        up_to: Seq,
        answer: oneshot::Sender<Result<Bounds>>,
    ) -> Outcome<()> {
        let mut failed = Ok(());
        let result = match self.try_trim(timeline, up_to) {
            Ok(Ok(bounds)) => Ok(bounds),
            Ok(Err(error)) => Err(error),
            Err(Failed(reason)) => {
                self.queue.poison(&reason);
                failed = Err(Failed(reason.clone()));
                Err(Error::OutcomeUnknown { reason })
            }
        };
        let _ = answer.send(result).is_ok();
        failed
    }

    fn try_trim(&mut self, timeline: &[u8], up_to: Seq) -> Outcome<Result<Bounds>> {
        let engine = Arc::clone(&self.engine);
        let place = match load(&engine, timeline) {
            Ok(place) => place,
            Err(error) => return Ok(Err(error)),
        };
        let bounds = match engine.bounds_at(timeline, place) {
            Ok(bounds) => bounds,
            Err(error) => return Ok(Err(error)),
        };
        // The newest entry stays, so that its number is never used again.
        let first = up_to.next().min(bounds.latest);
        if first <= bounds.first {
            return Ok(Ok(bounds));
        }
        let mut head = Vec::with_capacity(timeline.len() + 10);
        record::put_trim(&mut head, timeline, first);
        if self.log.room() < head.len() {
            self.roll()?;
        }
        self.log.push(record::TRIM, &head, &[]);
        self.write()?;
        let segment = self.log.segment();
        let mut changes = Changes::default();
        let mut tails = engine.table.tails_mut();
        let tail = &mut tails[place.slot];
        (tail.first, tail.trimmed) = (first.get(), true);
        if tail.dirty == 0 {
            tail.dirty = segment;
            changes.dirty.push(place);
        }
        drop(tails);
        engine.backlog.add(changes, Vec::new(), self.log.end(), segment);
        engine.backlog.trimmed(first.get() - bounds.first.get());
        Ok(Ok(Bounds { first, latest: bounds.latest }))
    }

    /// Writes what is in the log's buffer; it is synced too, unless the settings say otherwise.
    fn write(&mut self) -> Outcome<()> {
        let sync = self.engine.durability == Durability::Fsync;
        let begun = Instant::now();
        let result = self.log.commit(sync);
        if sync {
            metrics::histogram!("seqline_sync_seconds").record(begun.elapsed().as_secs_f64());
        }
        result.map_err(|e| Failed(format!("a write failed: {e}")))
    }

    fn sync(&mut self) -> Outcome<()> {
        let begun = Instant::now();
        let result = self.log.sync();
        metrics::histogram!("seqline_sync_seconds").record(begun.elapsed().as_secs_f64());
        result.map_err(|e| Failed(format!("a sync failed: {e}")))
    }

    /// Lets timelines leave memory, and waits for the keeper if none can and too many are there.
    fn make_room(&mut self) -> Outcome<()> {
        let engine = Arc::clone(&self.engine);
        self.numbering.dedupe.shrink(engine.backlog.keys_saved_count());
        for segment in engine.backlog.take_unused() {
            self.log.free(segment);
        }
        // After the end nobody saves anything, and nothing comes any more.
        if self.ended || !engine.memory_is_nearly_full() {
            return Ok(());
        }
        let begun = Instant::now();
        loop {
            let evicted = engine.table.evict(&engine.backlog.take_clean(EVICTIONS_MAX));
            for slot in &evicted.slots {
                self.numbering.numbers.forget(*slot);
            }
            engine.backlog.put_clean(evicted.later);
            if !engine.memory_is_full() {
                break;
            }
            if evicted.slots.is_empty() {
                if let Some(reason) = engine.backlog.failed() {
                    return Err(Failed(reason));
                }
                engine.backlog.wait_for_progress(ROOM_WAIT);
            }
        }
        let waited = begun.elapsed();
        if waited > ROOM_WAIT {
            metrics::histogram!("seqline_stall_seconds").record(waited.as_secs_f64());
        }
        Ok(())
    }

    /// The queue has ended: everything becomes durable, in the log and in the index.
    fn end(&mut self) -> Outcome<()> {
        if std::mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        self.sync()?;
        self.engine.backlog.save_all().map_err(Failed)?;
        if let Err(error) = format::clear_unsynced(&self.engine.dir) {
            tracing::warn!(%error, "the next start will make a new epoch");
        }
        self.engine.backlog.end(false);
        Ok(())
    }
}
