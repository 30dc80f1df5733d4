//! The one place that writes to the disk, so that tests can let it fail or wait.

use std::time::{Duration, Instant};

use fjall::{OwnedWriteBatch, PersistMode};

use crate::engine::Engine;

/// From so many full write buffers of a keyspace on, writes wait. At one more the engine waits
/// by itself, in steps of 100 ms and without noticing that nobody empties them any more.
const FULL_BUFFERS: usize = 3;
/// From so many unsorted tables of a keyspace on, writes wait; at 30 the engine does by itself.
const UNSORTED_TABLES: usize = 28;
/// How often it is looked again whether the engine has caught up.
const WAIT: Duration = Duration::from_millis(1);
/// A wait longer than this is told in the log.
const LONG_WAIT: Duration = Duration::from_secs(1);

/// Writes to the disk.
pub(crate) trait Disk: Send {
    /// Writes a batch; with `sync` it is on the disk before it is readable.
    fn write(&mut self, engine: &Engine, batch: OwnedWriteBatch, sync: bool) -> fjall::Result<()>;

    /// Makes everything written before durable.
    fn sync(&mut self, engine: &Engine) -> fjall::Result<()>;
}

/// The disk of a real store.
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn write(&mut self, engine: &Engine, batch: OwnedWriteBatch, sync: bool) -> fjall::Result<()> {
        wait_for_room(engine)?;
        let mode = if sync { PersistMode::SyncData } else { PersistMode::Buffer };
        batch.durability(Some(mode)).commit()
    }

    fn sync(&mut self, engine: &Engine) -> fjall::Result<()> {
        engine.db.persist(PersistMode::SyncAll)
    }
}

/// Waits until the engine's own threads have caught up with the writes.
///
/// # Errors
/// If they never will, because one of them failed.
fn wait_for_room(engine: &Engine) -> fjall::Result<()> {
    let behind = || {
        engine.keyspaces().into_iter().any(|keyspace| {
            keyspace.sealed_memtable_count() >= FULL_BUFFERS
                || keyspace.l0_table_count() >= UNSORTED_TABLES
        })
    };
    if !behind() {
        return Ok(());
    }
    let begun = Instant::now();
    while behind() {
        // Nothing is written by this; it fails if a thread of the engine has.
        engine.db.persist(PersistMode::Buffer)?;
        std::thread::sleep(WAIT);
    }
    let waited = begun.elapsed();
    metrics::histogram!("seqline_stall_seconds").record(waited.as_secs_f64());
    if waited > LONG_WAIT {
        tracing::warn!(?waited, "writes waited for the disk to catch up");
    }
    Ok(())
}
