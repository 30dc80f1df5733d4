//! What the owner's threads and the compaction thread share.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use lsm_tree::{AbstractTree as _, SeqNo, Tree};
use metrics::Counter;

use super::batch::Batch;
use super::compactor::Bell;
use super::error::IndexError;
use super::memtable::Memtable;
use super::snapshot::Snapshot;
use super::strategy::Strategy;
use super::view::{self, View};

/// The tree with its views. Locks are taken in the order of the fields, and none of `view` and
/// `retired` during disk work.
pub(super) struct Shared {
    pub(super) dir: PathBuf,
    pub(super) tree: Tree,
    pub(super) strategy: Strategy,
    /// Held while memtables become tables.
    pub(super) flushing: Mutex<()>,
    /// Held while a view is replaced, so that views follow the tree's versions in their order.
    pub(super) installing: Mutex<()>,
    /// Held while a batch is written and while the memtable that takes writes changes.
    pub(super) writing: Mutex<()>,
    pub(super) view: RwLock<Arc<View>>,
    /// Views that were replaced. Freeing a memtable and deleting files takes long, so a
    /// flush or the compaction thread drops them, when no reader has them any more.
    pub(super) retired: Mutex<Vec<Arc<View>>>,
    /// Rows with a number below are visible.
    pub(super) visible: AtomicU64,
    /// Wakes the compaction thread.
    pub(super) bell: Bell,
    /// How many unsorted runs are merged at a time.
    pub(super) unsorted: usize,
    /// More have piled up: the compaction thread gives way to nobody until it has merged some.
    pub(super) behind: Arc<AtomicBool>,
    /// Ends the compaction thread, in the middle of a compaction too.
    pub(super) stop: Arc<AtomicBool>,
    /// A step failed and may have left files that belong to no version.
    pub(super) sweep_due: AtomicBool,
    /// Why the last compaction failed; nothing once one succeeded.
    pub(super) failed: Mutex<Option<String>>,
    /// How often a compaction failed since the program started, for the metrics.
    pub(super) failures: Counter,
    /// Why nothing may change any more until the index is opened again.
    pub(super) stopped: Mutex<Option<String>>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The view first: it may then be older than the number, which hides nothing of it. The other
    /// way round, a flush in between could have dropped the versions that the number still needs.
    pub(super) fn snapshot(&self) -> Snapshot {
        let view = self.view();
        Snapshot::new(view, self.visible.load(Ordering::Acquire))
    }

    /// Writes a batch and only then moves the number below which rows are visible.
    pub(super) fn write(&self, batch: &Batch) {
        let _writing = lock(&self.writing);
        let view = self.view();
        let seqno: SeqNo = self.visible.load(Ordering::Acquire);
        view.active.insert(batch, seqno);
        self.visible.store(seqno + 1, Ordering::Release);
    }

    /// Lets a new memtable take the writes, if the present one has any.
    pub(super) fn rotate(&self) {
        let _installing = lock(&self.installing);
        let _writing = lock(&self.writing);
        let view = self.view();
        if !view.active.is_empty() {
            let mut next = View::clone(&view);
            let full = std::mem::replace(&mut next.active, Arc::new(Memtable::new()));
            next.sealed.insert(0, full);
            self.replace(next);
        }
    }

    /// Shows the tree's newest version to readers, without the oldest `flushed` memtables.
    pub(super) fn install(&self, flushed: usize) {
        let _installing = lock(&self.installing);
        let runs = view::runs(&self.tree);
        self.behind.store(self.tree.l0_run_count() > self.unsorted, Ordering::Relaxed);
        let _writing = lock(&self.writing);
        let mut next = View::clone(&self.view());
        next.runs = runs;
        next.sealed.truncate(next.sealed.len() - flushed);
        self.replace(next);
    }

    fn replace(&self, next: View) {
        let next = Arc::new(next);
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *view, next);
        drop(view);
        lock(&self.retired).push(old);
    }

    /// Refuses to change anything after a step whose outcome is unknown.
    pub(super) fn check_running(&self) -> Result<(), IndexError> {
        match &*lock(&self.stopped) {
            Some(reason) => Err(IndexError::Stopped(reason.clone())),
            None => Ok(()),
        }
    }

    /// Nothing changes any more until the index is opened again.
    pub(super) fn stop_for(&self, reason: &str) {
        tracing::error!(reason, "the index stopped");
        lock(&self.stopped).get_or_insert_with(|| reason.to_owned());
    }
}
