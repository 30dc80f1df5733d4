//! Seqline's default store: one data directory on one machine.
//!
//! Start at [`EmbeddedStore`]. The log keeps every send once and is all that must be durable
//! before an answer: `committer` is the one thread that numbers sends, writes them as a group,
//! syncs once and answers. The newest entries of `timelines` are in memory; `keeper` writes older
//! ones into the `index` behind the log, which could be made again from it. `docs/format.md`
//! describes every byte on disk; `record` and `rows` are the only code that knows them.

mod backlog;
mod build;
mod check;
mod chunks;
mod committer;
mod courtesy;
mod dedupe;
mod engine;
mod error;
mod format;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod group;
mod import;
mod index;
mod keeper;
mod loader;
mod lock;
mod log;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod measure;
mod open;
mod options;
mod queue;
mod read;
mod record;
mod recovery;
mod repair;
mod resolve;
mod rows;
mod save;
mod storage;
mod store;
mod timelines;
mod unused;
mod varint;

#[cfg(test)]
mod tests;

pub use error::OpenError;
pub use import::{Import, Imported};
pub use options::{Durability, Options};
pub use repair::{RepairEvent, RepairSummary, Repaired, repair};
pub use store::EmbeddedStore;
