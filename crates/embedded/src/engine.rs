//! What all parts of an open store share.

use std::path::PathBuf;

use seqline_core::id::Epoch;

use crate::backlog::Backlog;
use crate::chunks::Chunks;
use crate::index::Index;
use crate::lock::DirLock;
use crate::log::{Lsn, Segments};
use crate::options::Durability;
use crate::resolve::Rosters;
use crate::timelines::Table;

/// An open data directory. Closed when the last one who uses it lets go.
pub(crate) struct Engine {
    pub(crate) dir: PathBuf,
    pub(crate) epoch: Epoch,
    pub(crate) durability: Durability,
    pub(crate) segments: Segments,
    pub(crate) table: Table,
    pub(crate) index: Index,
    pub(crate) backlog: Backlog,
    pub(crate) chunks: Chunks,
    pub(crate) rosters: Rosters,
    /// What the timelines in memory may take, in bytes. One commit may go over it.
    pub(crate) table_bytes_max: u64,
    /// From so many bytes on that only memory has, the index writes a table.
    pub(crate) flush_bytes: u64,
    // Fields drop in this order: the lock goes last, when the index has stopped.
    pub(crate) _lock: DirLock,
}

impl Engine {
    /// Whether timelines take so much that the keeper saves them early.
    pub(crate) fn memory_is_short(&self) -> bool {
        self.table.bytes() > self.table_bytes_max / 4 * 3
    }

    /// Whether timelines take so much that idle ones leave memory.
    pub(crate) fn memory_is_nearly_full(&self) -> bool {
        self.table.bytes() > self.table_bytes_max / 8 * 7
    }

    /// Whether no send is taken until timelines have left memory.
    pub(crate) fn memory_is_full(&self) -> bool {
        self.table.bytes() > self.table_bytes_max
    }

    /// The segment with the frame at `lsn`.
    pub(crate) fn segment_of(&self, lsn: u64) -> u64 {
        self.segments.segment_of(Lsn::from_raw(lsn))
    }
}
