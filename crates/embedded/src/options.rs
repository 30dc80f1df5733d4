//! What an operator can set, with the defaults and their reasons.

use std::path::PathBuf;
use std::time::Duration;

use crate::log;

/// Sends that may wait for the disk. Sixty-four thousand small ones are about a second of work.
const QUEUE_SENDS_MAX: usize = 65_536;
/// Bytes of the sends that may wait for the disk.
const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Memory for timelines in use, caches and write buffers together.
const MEMORY_BYTES: u64 = 512 * 1024 * 1024;
/// How long a repeat under an idempotency key is recognised: seven days.
const IDEMPOTENCY_WINDOW: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Idempotency keys of one generation in memory: two make a few megabytes.
const GENERATION_KEYS: usize = 32_768;

/// When a send counts as durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Once the disk has it: an acknowledged send survives power loss.
    Fsync,
    /// Once the operating system has it; the disk gets it within this time. Power loss may cost
    /// the sends of that time; the store then has another epoch.
    Interval(Duration),
    /// Once the operating system has it; the disk gets it when the system sees fit.
    None,
}

/// How to open a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The data directory; made if it is not there.
    pub dir: PathBuf,
    /// When a send counts as durable.
    pub durability: Durability,
    /// How long a repeat under an idempotency key is recognised.
    pub idempotency_window: Duration,
    /// Most sends that may wait; more are refused at once.
    pub queue_sends_max: usize,
    /// Most bytes of waiting sends; more are refused at once. A single larger send is taken when
    /// nothing else waits.
    pub queue_bytes_max: usize,
    /// Memory for the timelines in use, caches and write buffers together, roughly; at least
    /// 32 MiB are used. Sends and pages on their way come on top.
    pub memory_bytes: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            dir: PathBuf::from("seqline-data"),
            durability: Durability::Fsync,
            idempotency_window: IDEMPOTENCY_WINDOW,
            queue_sends_max: QUEUE_SENDS_MAX,
            queue_bytes_max: QUEUE_BYTES_MAX,
            memory_bytes: MEMORY_BYTES,
        }
    }
}

/// What tests set otherwise so that little data does what much does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tuning {
    /// Length of a segment of the log, a power of two.
    pub(crate) segment_bytes: u64,
    /// From so many bytes on that only memory has, the index writes a table.
    pub(crate) flush_bytes: u64,
    /// Memory for the timelines in use.
    pub(crate) table_bytes_max: u64,
    /// Trims of so many entries make it worth looking for segments nobody needs.
    pub(crate) unused_after: u64,
    /// Idempotency keys of one generation; two are in memory.
    pub(crate) generation_keys: usize,
    /// Whether segments are made ready by a thread.
    pub(crate) background: bool,
    /// The keeper does nothing until [`Backlog::let_go`](crate::backlog::Backlog::let_go).
    #[cfg(test)]
    pub(crate) keeper_held: bool,
}

impl Tuning {
    /// What fits `options`.
    pub(crate) fn of(options: &Options) -> Tuning {
        let memory = options.memory();
        Tuning {
            segment_bytes: log::SEGMENT_BYTES,
            background: true,
            flush_bytes: (memory / 16).min(32 * 1024 * 1024),
            table_bytes_max: memory / 8 * 3,
            unused_after: 1_000_000,
            generation_keys: GENERATION_KEYS,
            #[cfg(test)]
            keeper_held: false,
        }
    }
}

impl Options {
    /// The memory to divide; less than 32 MiB would not hold the write buffers.
    pub(crate) fn memory(&self) -> u64 {
        self.memory_bytes.max(32 * 1024 * 1024)
    }
}
