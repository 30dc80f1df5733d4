//! Snapshots: the rows of one moment.

use std::ops::RangeBounds;
use std::sync::Arc;

use lsm_tree::SeqNo;

use super::error::IndexError;
use super::row::Value;
use super::scan::Scan;
use super::view::View;

/// Every row as it was when the snapshot was taken, for any number of reads.
///
/// It keeps the memory and the files of that moment, so do not keep it for long.
#[derive(Clone)]
pub(crate) struct Snapshot {
    view: Arc<View>,
    seqno: SeqNo,
}

impl Snapshot {
    /// Rows of `view` with a number below `seqno`.
    pub(super) fn new(view: Arc<View>, seqno: SeqNo) -> Snapshot {
        Snapshot { view, seqno }
    }

    /// The row under `key`.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Value>, IndexError> {
        self.view.get(key, self.seqno)
    }

    /// Whether there is surely no row under `key`. Never waits for the disk, so it may not know.
    pub(crate) fn surely_absent(&self, key: &[u8]) -> bool {
        self.view.surely_absent(key, self.seqno)
    }

    /// The rows of `range` in the order of their keys, from either end. After an error it ends.
    pub(crate) fn scan<K: AsRef<[u8]>>(&self, range: impl RangeBounds<K>) -> Scan {
        let bound = |bound: std::ops::Bound<&K>| bound.map(|key| key.as_ref().to_vec());
        let (start, end) = (bound(range.start_bound()), bound(range.end_bound()));
        Scan::new(Arc::clone(&self.view), start, end, self.seqno)
    }
}
