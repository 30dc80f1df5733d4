//! Repairing a data directory that nobody has open.
//!
//! Start at [`repair`]. The log is what is stored; the index is made from it. A sound log gets a
//! new index and everything else stays as it is. Of a damaged one, all that survives is written
//! to a new log: numbers change, so the epoch does. What was there is never changed, only put
//! away; `swap` tells how a killed repair ends well.
//!
//! `survey` reads the log, `old` the index that was there, `losses` puts both together. `reindex`
//! and `rewrite` are the two ways to repair; `build` makes the index in both.

mod events;
mod floors;
mod losses;
mod old;
mod reindex;
mod rewrite;
mod survey;
mod swap;

use std::path::Path;
use std::sync::Arc;

use seqline_core::clock::{Clock, Entropy, UnixMillis};
use seqline_core::id::Epoch;

use crate::build::{Builder, Plan};
use crate::error::OpenError;
use crate::format::{self, Found};
use crate::index::IndexOptions;
use crate::lock::DirLock;
use crate::log::{self, Settings, Surveyed};
use crate::open::{index_options, log_settings};
use crate::options::{Options, Tuning};
use crate::storage::{Disk, RealDisk};
use events::Teller;
pub use events::{RepairEvent, RepairSummary, Repaired};
use losses::Losses;
use old::OldIndex;
use reindex::Failure;
use survey::Survey;

/// Told before each step that a killed process may not come to; may keep it from coming to it.
pub(crate) type Step<'a> = &'a mut dyn FnMut(&'static str) -> Result<(), OpenError>;

/// Makes the store in the directory of `options` one that opens and of which everything holds,
/// and tells what is lost. A sound store is not touched. It needs room for a second log.
///
/// A repair that stops at any moment has lost nothing: it can be run again.
///
/// # Errors
/// If somebody has the directory open, if no store is in it, or if the system refuses something.
pub fn repair(
    options: &Options,
    clock: &dyn Clock,
    entropy: &Arc<dyn Entropy>,
    report: &mut dyn FnMut(RepairEvent),
) -> Result<RepairSummary, OpenError> {
    repair_on(options, Tuning::of(options), (clock.now(), entropy), report, &mut |_| Ok(()))
}

/// [`repair`] with sizes of the caller's, and its steps.
pub(crate) fn repair_on(
    options: &Options,
    tuning: Tuning,
    (now, entropy): (UnixMillis, &Arc<dyn Entropy>),
    report: &mut dyn FnMut(RepairEvent),
    step: Step<'_>,
) -> Result<RepairSummary, OpenError> {
    let dir = &*options.dir;
    let lock = lock(dir)?;
    let mut teller = Teller::new(report);
    let resumed = swap::resume(dir, step)?;
    swap::clear(dir)?;
    if let Some(kept) = resumed {
        teller.summary.repaired = Repaired::Interrupted;
        teller.summary.kept_in = Some(kept);
    }
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let settings = log_settings(format::log_dir(dir), entropy, Arc::clone(&disk), tuning);
    let repair = Repair {
        options,
        tuning,
        disk,
        index_options: index_options(options, tuning),
        settings,
        entropy,
        now,
        lock,
        lenient: format::may_have_lost(dir)?,
    };
    repair.run(&mut teller, step)?;
    Ok(teller.summary)
}

#[cfg(test)]
std::thread_local! {
    static MOST_TAKEN: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// The most bytes that timelines in memory took between two frames of a repair on this thread.
#[cfg(test)]
pub(crate) fn most_taken(bytes: u64) -> u64 {
    MOST_TAKEN.set(MOST_TAKEN.get().max(bytes));
    MOST_TAKEN.get()
}

/// Makes sure that a store is there, and that nobody else has it.
fn lock(dir: &Path) -> Result<DirLock, OpenError> {
    let store = || match format::inspect(dir)? {
        Found::Store => Ok(()),
        Found::Nothing => Err(OpenError::damaged(dir, "it has no store")),
    };
    store()?;
    let lock = DirLock::take(dir)?;
    store()?;
    Ok(lock)
}

struct Repair<'a> {
    options: &'a Options,
    tuning: Tuning,
    disk: Arc<dyn Disk>,
    index_options: IndexOptions,
    settings: Settings,
    entropy: &'a Arc<dyn Entropy>,
    now: UnixMillis,
    lock: DirLock,
    lenient: bool,
}

impl Repair<'_> {
    fn run(&self, teller: &mut Teller<'_>, step: Step<'_>) -> Result<(), OpenError> {
        let index_dir = format::index_dir(&self.options.dir);
        let mut old = OldIndex::open(&index_dir, &self.index_options, teller)?;
        let log = log::survey(&self.settings, old.known(), self.lenient)?;
        let bytes = log.segments.disk_bytes();
        teller.expect(bytes * 2);
        let mut survey = survey::take(&log, teller)?;
        teller.summary.messages = survey.messages;
        let losses = losses::find(&log, &mut survey, &old);
        let mut damaged = losses.damage(&log, &survey, self.lenient);
        if !damaged {
            if old.agrees(&log.segments, teller)? {
                return Ok(());
            }
            teller.expect(bytes);
            damaged = !self.reindex(&log, &mut survey, &mut old, teller, step)?;
        }
        if damaged {
            losses.tell(&log, &survey, &old, teller);
            teller.expect(bytes);
            self.rewrite(&log, survey, (&losses, &mut old), teller, step)?;
        }
        Ok(())
    }

    /// Makes the index again. Says whether the log could be made one of.
    fn reindex(
        &self,
        log: &Surveyed,
        survey: &mut Survey,
        old: &mut OldIndex,
        teller: &mut Teller<'_>,
        step: Step<'_>,
    ) -> Result<bool, OpenError> {
        let dir = &*self.options.dir;
        // What a crash left unfinished is cut off first, as a start does: an index must never
        // know what the log may yet lose.
        let known = old.known();
        let settled =
            log::recover(&self.settings, log.newest, known, self.lenient, &mut |_| Ok(()));
        let segments = match settled {
            Ok((_, segments, _)) => segments,
            Err(OpenError::Damaged { place, detail }) => {
                teller.damage(place.display(), detail);
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let place = swap::begin(dir)?;
        step("make an index")?;
        let mut builder = self.builder(&place, segments.clone())?;
        match reindex::fill(&mut builder, &segments, survey, old, teller) {
            Ok(()) => {}
            Err(Failure::Numbers { place, detail }) => {
                teller.damage(place, detail);
                return Ok(false);
            }
            Err(Failure::Open(error)) => return Err(error),
        }
        builder.finish(segments.start(log.newest))?;
        old.close();
        teller.summary.kept_in = Some(swap::swap(dir, self.now.0 / 1000, step)?);
        teller.summary.repaired = Repaired::Index;
        Ok(true)
    }

    /// Writes what survives to a new log, with an index for it.
    fn rewrite(
        &self,
        log: &Surveyed,
        mut survey: Survey,
        (losses, old): (&Losses, &mut OldIndex),
        teller: &mut Teller<'_>,
        step: Step<'_>,
    ) -> Result<(), OpenError> {
        let dir = &*self.options.dir;
        let place = swap::begin(dir)?;
        step("write a log")?;
        let epoch = self.new_epoch(&log.store_epochs);
        let disk = Arc::clone(&self.disk);
        let settings = log_settings(format::log_dir(&place), self.entropy, disk, self.tuning);
        let (writer, segments) = log::create(&settings, epoch.0)?;
        let rewrite = rewrite::Rewrite {
            builder: self.builder(&place, segments.clone())?,
            log: writer,
            epoch: epoch.0,
            survey: &mut survey,
            losses,
            old,
            state: rewrite::State::default(),
        };
        rewrite.run(&log.segments, &segments, teller)?;
        old.close();
        teller.summary.kept_in = Some(swap::swap(dir, self.now.0 / 1000, step)?);
        teller.summary.repaired = Repaired::Log;
        teller.summary.new_epoch = Some(epoch);
        Ok(())
    }

    fn builder(&self, place: &Path, segments: log::Segments) -> Result<Builder, OpenError> {
        let plan = Plan {
            dir: format::index_dir(place),
            options: &self.index_options,
            tuning: self.tuning,
            window: self.options.idempotency_window,
            now: self.now,
        };
        let lock = self.lock.again().map_err(OpenError::io("lock", &self.options.dir))?;
        Builder::new(plan, segments, lock)
    }

    /// One that this store never had, as far as its log tells.
    fn new_epoch(&self, known: &[u64]) -> Epoch {
        let mut epoch = self.entropy.random();
        while known.contains(&epoch) {
            epoch = self.entropy.random();
        }
        Epoch(epoch)
    }
}
