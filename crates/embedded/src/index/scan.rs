//! Scans: the rows of a range in order, from both ends.

use std::ops::Bound;
use std::sync::Arc;

use lsm_tree::merge::{BoxedIterator, Merger};
use lsm_tree::mvcc_stream::MvccStream;
use lsm_tree::{InternalValue, SeqNo, Slice, Table};

use super::error::IndexError;
use super::row::{self, Key, Value};
use super::view::View;

type Bounds = (Bound<Slice>, Bound<Slice>);

/// Rows of a snapshot in the order of their keys. After an error it ends, because the merge below
/// loses rows when it is asked to go on.
pub(crate) struct Scan {
    rows: Option<MvccStream<Merger<BoxedIterator<'static>>>>,
    last_key: Vec<u8>,
    /// Whoever drops a memtable or a replaced table last frees it, which takes long; while this
    /// is here, that is not the reader.
    _view: Arc<View>,
}

impl Scan {
    pub(super) fn new(
        view: Arc<View>,
        start: Bound<Vec<u8>>,
        end: Bound<Vec<u8>>,
        seqno: SeqNo,
    ) -> Scan {
        let bounds = (start.map(Slice::from), end.map(Slice::from));
        let last_key = match &bounds.0 {
            Bound::Included(key) | Bound::Excluded(key) => key.to_vec(),
            Bound::Unbounded => Vec::new(),
        };
        if is_empty(&bounds) {
            return Scan { rows: None, last_key, _view: view };
        }
        let mut sources: Vec<BoxedIterator<'static>> = Vec::new();
        for memtable in view.memtables().filter(|memtable| !memtable.is_empty()) {
            sources.push(Box::new(memtable.sorted(&bounds, seqno).map(Ok)));
        }
        for run in view.runs.iter() {
            let tables = overlapping(run, &bounds);
            if !tables.is_empty() {
                let bounds = bounds.clone();
                let rows = tables.into_iter().flat_map(move |table| table.range(bounds.clone()));
                sources.push(Box::new(rows));
            }
        }
        Scan { rows: Some(MvccStream::new(Merger::new(sources))), last_key, _view: view }
    }

    /// The row of what the merge gave; nothing for a deleted one.
    fn take(
        &mut self,
        item: Option<lsm_tree::Result<InternalValue>>,
    ) -> Option<Option<<Scan as Iterator>::Item>> {
        let result = match item? {
            Ok(item) if item.is_tombstone() => return Some(None),
            Ok(InternalValue { key, value }) => {
                let value = row::unseal(&key.user_key, value);
                self.last_key.clear();
                self.last_key.extend_from_slice(&key.user_key);
                value.map(|value| (key.user_key, value))
            }
            Err(error) => Err(IndexError::tree("read rows", &self.last_key, error)),
        };
        if result.is_err() {
            self.rows = None;
        }
        Some(Some(result))
    }
}

impl Iterator for Scan {
    type Item = Result<(Key, Value), IndexError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let item = self.rows.as_mut()?.next();
            if let Some(row) = self.take(item)? {
                return Some(row);
            }
        }
    }
}

impl DoubleEndedIterator for Scan {
    fn next_back(&mut self) -> Option<Self::Item> {
        loop {
            let item = self.rows.as_mut()?.next_back();
            if let Some(row) = self.take(item)? {
                return Some(row);
            }
        }
    }
}

fn is_empty((start, end): &Bounds) -> bool {
    use Bound::{Excluded, Included, Unbounded};
    match (start, end) {
        // No key is empty, and the tree's keys cannot be.
        (_, Included(end) | Excluded(end)) if end.is_empty() => true,
        (Included(start), Included(end)) => start > end,
        (Included(start) | Excluded(start), Included(end) | Excluded(end)) => start >= end,
        (Unbounded, _) | (_, Unbounded) => false,
    }
}

/// The tables of a run that have keys inside the bounds.
fn overlapping(run: &[Table], (start, end): &Bounds) -> Vec<Table> {
    let first = match start {
        Bound::Included(key) => run.partition_point(|t| t.metadata.key_range.max() < key),
        Bound::Excluded(key) => run.partition_point(|t| t.metadata.key_range.max() <= key),
        Bound::Unbounded => 0,
    };
    let behind = match end {
        Bound::Included(key) => run.partition_point(|t| t.metadata.key_range.min() <= key),
        Bound::Excluded(key) => run.partition_point(|t| t.metadata.key_range.min() < key),
        Bound::Unbounded => run.len(),
    };
    run.get(first..behind).map(<[Table]>::to_vec).unwrap_or_default()
}
