//! Flushes: memtables become tables.
//!
//! The tree syncs each table, the folder of tables, the version file, its folder, and then
//! replaces the pointer to the version by a synced file and a synced rename. So a power cut leaves
//! the version before or the one after, whole.

use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use lsm_tree::merge::Merger;
use lsm_tree::mvcc_stream::MvccStream;
use lsm_tree::{AbstractTree as _, InternalValue, SeqNo};

use super::error::IndexError;
use super::memtable::Memtable;
use super::shared::{Shared, lock};
use super::sound;
use crate::courtesy::Courtesy;

/// From so many unsorted runs on, nothing is flushed: their filters are in memory, and each costs
/// every get a little. The tree writes their number as one byte without looking: with 256 of them,
/// the next start would find none.
const UNSORTED_RUNS_MAX: usize = 64;
/// Rows written between two breaks.
const BREAK_ROWS: u32 = 64;

impl Shared {
    /// Makes everything written before durable.
    pub(super) fn flush(&self) -> Result<(), IndexError> {
        let _flushing = lock(&self.flushing);
        self.check_running()?;
        let runs = self.tree.l0_run_count();
        if runs >= UNSORTED_RUNS_MAX {
            self.bell.ring();
            return Err(IndexError::Behind { runs });
        }
        self.rotate();
        let sealed = self.view().sealed.clone();
        if sealed.is_empty() {
            return Ok(());
        }
        let written = catch_unwind(AssertUnwindSafe(|| self.write_tables(&sealed)));
        let flushed = sealed.len();
        drop(sealed);
        if let Ok(Ok(())) = written {
            self.install(flushed);
        } else {
            self.sweep_due.store(true, Ordering::Release);
        }
        // Here and not only by the compaction thread, which may be busy for long: replaced views
        // have whole memtables.
        self.free_retired();
        self.bell.ring();
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                self.check_pointer();
                self.check_running()?;
                Err(failure(error))
            }
            Err(_) => {
                self.stop_for("a flush panicked");
                self.check_running()
            }
        }
    }

    /// Writes the newest version of each row. No reader needs an older one from a table: whoever
    /// has a view without these tables has the memtables.
    fn write_tables(&self, sealed: &[Arc<Memtable>]) -> lsm_tree::Result<()> {
        let all = (Bound::Unbounded, Bound::Unbounded);
        let sorted = |memtable: &Arc<Memtable>| memtable.sorted(&all, SeqNo::MAX);
        let mut sources: Vec<_> =
            sealed.iter().map(|memtable| sorted(memtable).map(lsm_tree::Result::Ok)).collect();
        let newest: Box<dyn Iterator<Item = lsm_tree::Result<InternalValue>>> =
            match (sources.pop(), sources.is_empty()) {
                (Some(only), true) => Box::new(only),
                (last, _) => {
                    sources.extend(last);
                    Box::new(MvccStream::new(Merger::new(sources)))
                }
            };
        let mut courtesy = Courtesy::new(BREAK_ROWS);
        let newest = newest.inspect(|_| courtesy.step());
        if let Some((tables, _)) = self.tree.flush_to_tables(newest)? {
            self.tree.register_tables(&tables, None, None, &[], SeqNo::MAX)?;
        }
        Ok(())
    }

    /// After a failed step: whether the pointer on the disk went ahead of the version in memory.
    /// Then the next step would write over the version file that the pointer names.
    pub(super) fn check_pointer(&self) {
        // In this order: a step of the other thread that has moved the pointer holds the lock for
        // which the second line waits.
        let pointer = sound::read_pointer(&self.dir);
        let version = self.tree.current_version().id();
        match pointer {
            Ok(pointer) if pointer.version <= version => {}
            Ok(_) => self.stop_for("a version was written and its sync failed"),
            Err(error) => self.stop_for(&error.to_string()),
        }
    }
}

/// Nothing is read from tables here, so whatever failed is the system's and not damage.
fn failure(error: lsm_tree::Error) -> IndexError {
    let source = match error {
        lsm_tree::Error::Io(source) => source,
        other => std::io::Error::other(other),
    };
    IndexError::Io { action: "flush", source }
}
