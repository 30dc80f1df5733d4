//! Views: the memtables and tables that together hold every row at some moment.
//!
//! A view never changes but for rows added to its newest memtable, whose numbers are above those
//! of every reader that has the view already. The files of its tables stay until it is dropped.

use std::sync::Arc;

use lsm_tree::table::filter::standard_bloom::Builder;
use lsm_tree::{AbstractTree as _, SeqNo, Slice, Table, Tree};

use super::error::IndexError;
use super::memtable::Memtable;
use super::row::{self, Value};

/// Tables sorted by key that do not overlap.
pub(super) type Run = Vec<Table>;

/// Where rows are. Of two versions of a row the first place in this order has the newer one.
#[derive(Clone)]
pub(super) struct View {
    /// Takes the writes.
    pub(super) active: Arc<Memtable>,
    /// Being written to tables; the newest first.
    pub(super) sealed: Vec<Arc<Memtable>>,
    /// Level by level, the newest first.
    pub(super) runs: Arc<[Run]>,
}

impl View {
    pub(super) fn new(tree: &Tree) -> View {
        View { active: Arc::new(Memtable::new()), sealed: Vec::new(), runs: runs(tree) }
    }

    /// The memtables, the newest first.
    pub(super) fn memtables(&self) -> impl Iterator<Item = &Arc<Memtable>> {
        std::iter::once(&self.active).chain(&self.sealed)
    }

    /// Bytes that are in no table.
    pub(super) fn unflushed_bytes(&self) -> u64 {
        self.memtables().map(|memtable| memtable.bytes()).sum()
    }

    /// The row as a reader sees it whose snapshot is `seqno`.
    pub(super) fn get(&self, key: &[u8], seqno: SeqNo) -> Result<Option<Value>, IndexError> {
        match self.find(key, seqno)? {
            Some(stored) => row::unseal(key, stored).map(Some),
            None => Ok(None),
        }
    }

    fn find(&self, key: &[u8], seqno: SeqNo) -> Result<Option<Slice>, IndexError> {
        let hash = Builder::get_hash(key);
        for memtable in self.memtables() {
            if let Some(known) = memtable.get(key, hash, seqno) {
                return Ok(known);
            }
        }
        for run in self.runs.iter() {
            let Some(table) = table_of(run, key) else { continue };
            let found = table.get(key, seqno, hash);
            if let Some(item) = found.map_err(|e| IndexError::tree("read a row", key, e))? {
                return Ok((!item.is_tombstone()).then_some(item.value));
            }
        }
        Ok(None)
    }
}

impl View {
    /// Whether there is surely no row under `key`, as far as memory alone can tell.
    pub(super) fn surely_absent(&self, key: &[u8], seqno: SeqNo) -> bool {
        let hash = Builder::get_hash(key);
        for memtable in self.memtables() {
            if let Some(known) = memtable.get(key, hash, seqno) {
                return known.is_none();
            }
        }
        self.runs.iter().filter_map(|run| table_of(run, key)).all(|table| {
            let filter = table.pinned_filter_block.as_ref();
            filter.is_some_and(|filter| matches!(filter.maybe_contains_hash(hash), Ok(false)))
        })
    }
}

/// The table of `run` whose keys are around `key`.
fn table_of<'a>(run: &'a [Table], key: &[u8]) -> Option<&'a Table> {
    let at = run.partition_point(|table| **table.metadata.key_range.max() < *key);
    run.get(at).filter(|table| **table.metadata.key_range.min() <= *key)
}

/// The tables that the tree has now, in the order in which it asks them.
pub(super) fn runs(tree: &Tree) -> Arc<[Run]> {
    let version = tree.current_version();
    let levels = version.iter_levels();
    levels.flat_map(|level| level.iter()).map(|run| run.iter().cloned().collect()).collect()
}
