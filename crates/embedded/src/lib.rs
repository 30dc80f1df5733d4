//! Seqline's default store: one data directory on one machine.
//!
//! Start at [`EmbeddedStore`], then `committer`: one thread takes everything that waits, assigns
//! the numbers, writes one batch, syncs it once and only then answers. `docs/format.md` describes
//! every byte on disk; `keys` is the only code that knows them.

mod check;
mod committer;
mod dedupe;
mod disk;
mod engine;
mod error;
mod format;
mod group;
mod journal;
mod keys;
mod lock;
mod names;
mod options;
mod queue;
mod read;
mod record;
mod store;
mod timelines;
mod trim;

#[cfg(test)]
mod tests;

pub use error::OpenError;
pub use options::{Durability, Options};
pub use store::EmbeddedStore;
