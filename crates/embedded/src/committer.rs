//! The one thread that assigns numbers and writes.
//!
//! It takes everything that waits, writes it as one batch, syncs once, and answers. Nothing is
//! readable before the sync: the engine applies a batch only after its journal is synced. After a
//! failed write nothing is tried again: who waits is told that the outcome is unknown, the queue
//! refuses everything after, and a restart finds out what is on disk.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fjall::OwnedWriteBatch;
use seqline_core::clock::Clock;
use seqline_core::id::TimelineId;
use seqline_core::page::Bounds;
use seqline_core::seq::Seq;
use seqline_core::watch::Watchers;
use seqline_core::{Error, Result};
use tokio::sync::oneshot;

use crate::dedupe::Dedupe;
use crate::disk::Disk;
use crate::engine::Engine;
use crate::error;
use crate::group::Group;
use crate::options::Durability;
use crate::queue::{Append, Command, Queue, Taken};
use crate::timelines::Tails;
use crate::{format, trim};

/// Most inbox entries of one commit; a single larger send is one commit of its own.
const DELIVERIES_MAX: usize = 50_000;
/// Most bytes of one commit, likewise.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// How often the size on disk is looked at.
const MEASURE_EVERY: Duration = Duration::from_secs(1);

/// Why nothing is taken after the committer panicked.
pub(crate) const DEFECT: &str = "the committer stopped because of a defect";

/// Why the committer stops before its queue has ended.
struct Failed(String);

/// The thread's state.
pub(crate) struct Committer {
    pub(crate) engine: Arc<Engine>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) watchers: Arc<Watchers>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) disk: Box<dyn Disk>,
    pub(crate) tails: Tails,
    pub(crate) dedupe: Dedupe,
    /// The size on disk, for [`seqline_core::store::Status`].
    pub(crate) stored_bytes: Arc<AtomicU64>,
}

/// What the thread remembers from one round to the next.
struct Round {
    /// When what was written must be synced; `None` if it is.
    sync_at: Option<Instant>,
    measure_at: Instant,
    /// Whether trimmed entries or expired keys may be left to delete.
    chores: bool,
}

impl Committer {
    /// Works until the queue ends. However it stops, nobody is left waiting.
    pub(crate) fn run(mut self) {
        let queue = Arc::clone(&self.queue);
        let outcome = catch_unwind(AssertUnwindSafe(|| self.work()));
        let reason = match outcome {
            Ok(Ok(())) => return,
            Ok(Err(Failed(reason))) => reason,
            Err(_) => DEFECT.to_owned(),
        };
        tracing::error!(%reason, "the store takes no more sends until it is restarted");
        queue.poison(&reason);
    }

    fn work(&mut self) -> std::result::Result<(), Failed> {
        let mut round = Round { sync_at: None, measure_at: Instant::now(), chores: true };
        loop {
            let deadline = if round.chores { Some(Instant::now()) } else { round.sync_at };
            match self.queue.take(deadline, DELIVERIES_MAX, BYTES_MAX) {
                Taken::Commands(commands) => self.carry_out(commands, &mut round)?,
                Taken::Nothing => {}
                Taken::End => return self.end(),
            }
            if round.sync_at.is_some_and(|at| at <= Instant::now()) {
                self.sync()?;
                round.sync_at = None;
            }
            round.chores = self.chores()?;
            self.tails.shrink();
            if round.measure_at <= Instant::now() {
                self.measure();
                round.measure_at = Instant::now() + MEASURE_EVERY;
            }
        }
    }

    fn carry_out(
        &mut self,
        commands: Vec<Command>,
        round: &mut Round,
    ) -> std::result::Result<(), Failed> {
        let mut sends = Vec::with_capacity(commands.len());
        for command in commands {
            match command {
                Command::Append(append) => sends.push(append),
                Command::Trim { timeline, up_to, answer } => {
                    self.commit(std::mem::take(&mut sends))?;
                    self.trim(&timeline, up_to, answer)?;
                }
                Command::Close { answer } => {
                    self.commit(std::mem::take(&mut sends))?;
                    let closed = self.end();
                    let result = closed.as_ref().map_err(|Failed(reason)| {
                        error::unavailable(format!("the last sync failed: {reason}"))
                    });
                    let _ = answer.send(result.copied()).is_ok();
                    closed?;
                }
            }
        }
        self.commit(sends)?;
        if let Durability::Interval(every) = self.engine.durability {
            round.sync_at.get_or_insert_with(|| Instant::now() + every);
        }
        Ok(())
    }

    /// Writes a group of sends and answers them.
    fn commit(&mut self, sends: Vec<Append>) -> std::result::Result<(), Failed> {
        if sends.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        let now = self.clock.now();
        let mut group = Group::new(&self.engine, &mut self.tails, &mut self.dedupe, now);
        for append in sends {
            group.add(append);
        }
        let (batch, waiting) = group.finish();
        if let Some(batch) = batch {
            if let Err(Failed(reason)) = self.write(batch) {
                // Refuse first, so that nobody who hears of the failure gets a send through.
                self.queue.poison(&reason);
                waiting.failed(&reason);
                return Err(Failed(reason));
            }
            metrics::histogram!("seqline_commit_sends").record(waiting.stored() as f64);
            metrics::counter!("seqline_deliveries_total").increment(waiting.deliveries);
        }
        waiting.written(&self.watchers);
        metrics::histogram!("seqline_commit_seconds").record(begun.elapsed().as_secs_f64());
        Ok(())
    }

    fn trim(
        &mut self,
        timeline: &TimelineId,
        up_to: Seq,
        answer: oneshot::Sender<Result<Bounds>>,
    ) -> std::result::Result<(), Failed> {
        let mut batch = self.engine.db.batch();
        let tail = self.tails.load(&self.engine, &timeline.key());
        let mut result =
            tail.and_then(|tail| trim::trim(&self.engine, &mut batch, timeline, tail, up_to));
        let mut written = Ok(());
        if result.is_ok() && !batch.is_empty() {
            written = self.write(batch);
            if let Err(Failed(reason)) = &written {
                self.queue.poison(reason);
                result = Err(Error::OutcomeUnknown { reason: reason.clone() });
            }
        }
        let _ = answer.send(result).is_ok();
        written
    }

    /// Writes a batch; it is synced too, unless the settings say otherwise.
    fn write(&mut self, batch: OwnedWriteBatch) -> std::result::Result<(), Failed> {
        let sync = self.engine.durability == Durability::Fsync;
        let begun = Instant::now();
        let result = self.disk.write(&self.engine, batch, sync);
        if sync {
            metrics::histogram!("seqline_sync_seconds").record(begun.elapsed().as_secs_f64());
        }
        result.map_err(|e| Failed(format!("a write failed: {e}")))
    }

    fn sync(&mut self) -> std::result::Result<(), Failed> {
        let begun = Instant::now();
        let result = self.disk.sync(&self.engine);
        metrics::histogram!("seqline_sync_seconds").record(begun.elapsed().as_secs_f64());
        result.map_err(|e| Failed(format!("a sync failed: {e}")))
    }

    /// Deletes a few trimmed entries and expired keys; says whether there may be more. Nobody
    /// waits for it, yet it is synced like a send: with one batch at most on its way, a broken
    /// batch before a whole one is damage and never a power cut.
    fn chores(&mut self) -> std::result::Result<bool, Failed> {
        let mut batch = self.engine.db.batch();
        let now = self.clock.now();
        let purged = trim::purge(&self.engine, &mut batch);
        let expired = self.dedupe.expire(&self.engine, &mut batch, now);
        let more = match (purged, expired) {
            (Ok(purged), Ok(expired)) => purged || expired,
            (Err(error), _) | (_, Err(error)) => {
                // Nothing is lost by leaving them; `check` tells what is wrong.
                tracing::error!(%error, "old entries cannot be deleted");
                return Ok(false);
            }
        };
        if !batch.is_empty() {
            self.write(batch)?;
        }
        Ok(more)
    }

    fn measure(&self) {
        match self.engine.db.disk_space() {
            Ok(bytes) => self.stored_bytes.store(bytes, Ordering::Relaxed),
            Err(error) => tracing::warn!(%error, "the size on disk is not known"),
        }
    }

    /// The queue has ended: everything becomes durable.
    fn end(&mut self) -> std::result::Result<(), Failed> {
        self.sync()?;
        if let Err(error) = format::clear_unsynced(&self.engine.dir) {
            tracing::warn!(%error, "the next start will make a new epoch");
        }
        Ok(())
    }
}
