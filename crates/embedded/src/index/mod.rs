//! The index: everything that is derived from the log, as rows of one LSM tree.
//!
//! Start at [`Index`]. Rules:
//! * One thread writes and flushes; any number read. A reader takes a [`Snapshot`] and never
//!   waits for the disk work of a flush or of a compaction.
//! * There is no journal. What a crash takes away is exactly what was written after the last
//!   [`Index::flush`] that succeeded, all of it; the log replays that.
//! * A row whose bytes changed on the disk is an error, never a missing or another row: `row`
//!   seals each value, `sound` checks before opening what the tree itself reads unchecked.
//! * The tree's own memtables, numbers and snapshots are not used. Its lock is held during
//!   several fsyncs by each flush and each compaction, and it makes a batch visible in parts when
//!   one ends at that moment. `view` has memtables of our own and lists the tree's tables.

mod batch;
mod compactor;
mod error;
mod flush;
mod memtable;
mod options;
mod row;
mod scan;
mod shared;
mod snapshot;
mod sound;
mod store;
mod strategy;
mod sweep;
mod verify;
mod view;

#[cfg(test)]
mod tests;

pub(crate) use batch::Batch;
pub(crate) use error::IndexError;
pub(crate) use options::IndexOptions;
pub(crate) use snapshot::Snapshot;
pub(crate) use store::Index;
