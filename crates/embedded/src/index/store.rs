//! The index as its owner sees it.

use std::fs;
use std::ops::RangeBounds;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;

use lsm_tree::{AbstractTree as _, AnyTree, Config, SequenceNumberCounter, Tree};

use super::batch::Batch;
use super::compactor::{self, Bell, Checks};
use super::error::IndexError;
use super::options::IndexOptions;
use super::row::Value;
use super::scan::Scan;
use super::shared::{Shared, lock};
use super::snapshot::Snapshot;
use super::sound;
use super::verify::Verified;
use super::view::View;
use crate::error::OpenError;

/// Rows derived from the log, sorted by key, in one directory.
///
/// One thread writes and flushes; any number read. Nobody else may have the directory.
pub(crate) struct Index {
    pub(super) shared: Arc<Shared>,
    compaction: Mutex<Option<JoinHandle<()>>>,
}

impl Index {
    /// Opens the index in `dir`, which is made if it is not there. It has what the last flush
    /// before it was closed, or before a crash, made durable.
    pub(crate) fn open(dir: &Path, options: &IndexOptions) -> Result<Index, OpenError> {
        fs::create_dir_all(dir).map_err(OpenError::io("create", dir))?;
        sound::check(dir)?;
        remove_unfinished(dir)?;
        let stop = Arc::new(AtomicBool::new(false));
        let behind = Arc::new(AtomicBool::new(false));
        let checks = Checks { stop: Arc::clone(&stop), behind: Arc::clone(&behind) };
        let tree = open_tree(dir, options, checks)?;
        let visible = tree.get_highest_persisted_seqno().map_or(1, |seqno| seqno + 1);
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            view: RwLock::new(Arc::new(View::new(&tree))),
            tree,
            strategy: options.strategy(),
            flushing: Mutex::default(),
            installing: Mutex::default(),
            writing: Mutex::default(),
            retired: Mutex::default(),
            visible: AtomicU64::new(visible),
            bell: Bell::default(),
            unsorted: usize::from(options.unsorted_tables),
            behind,
            stop,
            sweep_due: AtomicBool::new(false),
            failed: Mutex::default(),
            failures: metrics::counter!("seqline_index_compaction_failures_total"),
            stopped: Mutex::default(),
        });
        shared.bell.ring();
        let thread = compactor::start(&shared).map_err(OpenError::io("start a thread for", dir))?;
        Ok(Index { shared, compaction: Mutex::new(Some(thread)) })
    }

    /// The rows of this moment.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.shared.snapshot()
    }

    /// The row under `key`.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Value>, IndexError> {
        self.snapshot().get(key)
    }

    /// The rows of `range` at this moment, in the order of their keys, from either end. After an
    /// error it ends.
    pub(crate) fn scan<K: AsRef<[u8]>>(&self, range: impl RangeBounds<K>) -> Scan {
        self.snapshot().scan(range)
    }

    /// Writes to memory only. All of the batch becomes visible at one instant, and durable with
    /// the next flush.
    pub(crate) fn write(&self, batch: &Batch) {
        self.shared.write(batch);
    }

    /// Memory taken by rows that no flush has made durable.
    pub(crate) fn unflushed_bytes(&self) -> u64 {
        self.shared.view().unflushed_bytes()
    }

    /// Makes everything written before durable. Writes and reads go on meanwhile. After an error
    /// it is all still readable and may be flushed again, but for [`IndexError::Stopped`].
    pub(crate) fn flush(&self) -> Result<(), IndexError> {
        self.shared.flush()
    }

    /// Why the last compaction failed, or why the index stopped. Nothing is lost by it, but
    /// tables pile up and reads slow down until the cause is gone.
    pub(crate) fn failed(&self) -> Option<String> {
        let stopped = lock(&self.shared.stopped).clone();
        stopped.or_else(|| lock(&self.shared.failed).clone())
    }

    /// Runs of tables that no compaction has sorted yet; each costs every get a little. A flush
    /// is refused at 64.
    #[cfg(test)]
    pub(crate) fn unsorted_runs(&self) -> usize {
        self.shared.tree.l0_run_count()
    }

    /// Bytes of the tables on the disk that hold the present rows.
    pub(crate) fn disk_bytes(&self) -> u64 {
        let view = self.shared.view();
        view.runs.iter().flatten().map(|table| table.metadata.file_size).sum()
    }

    /// Reads every table whole and checks every row. `progress` gets bytes read and bytes to
    /// read. Rows that are not flushed are not checked.
    pub(crate) fn verify(
        &self,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Verified, IndexError> {
        self.shared.verify(progress)
    }

    /// Ends the compaction thread, in the middle of a compaction too, and waits for it. Flushes
    /// nothing. What is open for reading stays readable.
    pub(crate) fn close(&self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.bell.ring();
        let thread = lock(&self.compaction).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            self.shared.stop_for("the compaction thread panicked");
        }
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.close();
    }
}

/// The tree replaces its pointer by renaming a file; a crash may leave that file.
fn remove_unfinished(dir: &Path) -> Result<(), OpenError> {
    for entry in fs::read_dir(dir).map_err(OpenError::io("list", dir))? {
        let entry = entry.map_err(OpenError::io("list", dir))?;
        if entry.file_name().to_string_lossy().starts_with(".tmp") {
            fs::remove_file(entry.path()).map_err(OpenError::io("remove a file of", dir))?;
        }
    }
    Ok(())
}

fn open_tree(dir: &Path, options: &IndexOptions, checks: Checks) -> Result<Tree, OpenError> {
    // The tree counts its versions with these; rows have numbers of our own.
    let counter = SequenceNumberCounter::default;
    let config = options
        .apply(Config::new(dir, counter(), counter()))
        .with_compaction_filter_factory(Some(Arc::new(checks)));
    // It asserts in some places what it has read.
    match catch_unwind(AssertUnwindSafe(|| config.open())) {
        Ok(Ok(AnyTree::Standard(tree))) => Ok(tree),
        Ok(Ok(AnyTree::Blob(_))) => Err(OpenError::damaged(dir, "it is a tree of another kind")),
        Ok(Err(lsm_tree::Error::Io(error))) if !super::error::is_damage(error.kind()) => {
            Err(OpenError::io("open", dir)(error))
        }
        Ok(Err(error)) => Err(OpenError::damaged(dir, error.to_string())),
        Err(_) => Err(OpenError::damaged(dir, "the tree panicked while opening it")),
    }
}
