//! The storage engine below: one fjall database with five keyspaces, opened and bounded here.

use std::path::PathBuf;

use fjall::config::{CompressionPolicy, FilterPolicy};
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions};
use fjall::{PersistMode, Readable as _, Snapshot};
use seqline_core::clock::Entropy;
use seqline_core::id::Epoch;

use crate::error::OpenError;
use crate::format::{self, Found};
use crate::journal;
use crate::keys;
use crate::lock::DirLock;
use crate::names::Names;
use crate::options::{Durability, Options};

/// Largest write buffer of one keyspace. Larger ones make a restart replay longer.
const MEMTABLE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// All journals together: a restart reads them, 128 MB in about two seconds.
const JOURNAL_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// Bodies from this size on are kept beside the sorted rows, so that compaction leaves them be.
const SEPARATION_BYTES_MIN: u32 = 8 * 1024;

const KEYSPACES: [&str; 5] = ["meta", "names", "inbox", "messages", "dedupe"];

/// An open data directory. Closed when the last one who uses it lets go.
pub(crate) struct Engine {
    pub(crate) meta: Keyspace,
    pub(crate) names: Keyspace,
    pub(crate) inbox: Keyspace,
    pub(crate) messages: Keyspace,
    pub(crate) dedupe: Keyspace,
    pub(crate) cache: Names,
    pub(crate) epoch: Epoch,
    pub(crate) durability: Durability,
    pub(crate) dir: PathBuf,
    pub(crate) db: Database,
    // Fields drop in this order: the lock goes last, when the engine has stopped.
    _lock: DirLock,
}

impl Engine {
    /// Opens or makes the store in the directory of `options`.
    pub(crate) fn open(options: &Options, entropy: &dyn Entropy) -> Result<Engine, OpenError> {
        let dir = options.dir.clone();
        format::make_dir(&dir)?;
        // Looked at before the lock is made, so that a directory of others stays as it is; and
        // again under the lock, since only then does it stand still.
        format::inspect(&dir)?;
        let lock = DirLock::take(&dir)?;
        let found = format::inspect(&dir)?;
        let engine_dir = format::engine_dir(&dir);
        let may_have_lost = format::may_have_lost(&dir)?;
        match found {
            Found::Nothing => format::begin(&dir)?,
            Found::Store => journal::verify(&engine_dir, may_have_lost)?,
        }
        let db = Database::builder(&engine_dir)
            .cache_size(options.memory() / 2)
            .max_journaling_size(JOURNAL_BYTES_MAX)
            // Recovery compares what it would write again with what is there, so compressed
            // values would tie the journal to one version of the compressor.
            .journal_compression(CompressionType::None)
            .manual_journal_persist(true)
            .open()
            .map_err(OpenError::engine(&engine_dir))?;
        if found == Found::Store {
            for name in KEYSPACES {
                if !db.keyspace_exists(name) {
                    let detail = format!("the keyspace {name:?} is missing");
                    return Err(OpenError::damaged(&engine_dir, detail));
                }
            }
        }
        let memtable_bytes = (options.memory() / 32).clamp(1 << 20, MEMTABLE_BYTES_MAX);
        let keyspace = |name| {
            db.keyspace(name, || keyspace_options(name, memtable_bytes))
                .map_err(OpenError::engine(&engine_dir))
        };
        let mut engine = Engine {
            meta: keyspace("meta")?,
            names: keyspace("names")?,
            inbox: keyspace("inbox")?,
            messages: keyspace("messages")?,
            dedupe: keyspace("dedupe")?,
            cache: Names::new(options.memory() / 8),
            epoch: Epoch(0),
            durability: options.durability,
            dir,
            db,
            _lock: lock,
        };
        engine.epoch = engine.settle_epoch(found, may_have_lost, entropy)?;
        if found == Found::Nothing {
            format::finish(&engine.dir)?;
        }
        match options.durability {
            Durability::Fsync => format::clear_unsynced(&engine.dir)?,
            Durability::Interval(_) | Durability::None => format::mark_unsynced(&engine.dir)?,
        }
        Ok(engine)
    }

    /// The state that every reader may see: all that was committed, and nothing half.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.db.snapshot()
    }

    /// All there are.
    pub(crate) fn keyspaces(&self) -> [&Keyspace; 5] {
        [&self.names, &self.messages, &self.inbox, &self.dedupe, &self.meta]
    }

    /// Reads the epoch; makes a new one for a new store and for one that may have lost data.
    fn settle_epoch(
        &self,
        found: Found,
        may_have_lost: bool,
        entropy: &dyn Entropy,
    ) -> Result<Epoch, OpenError> {
        let failed = || OpenError::engine(&self.dir);
        let stored = self.snapshot().get(&self.meta, keys::EPOCH).map_err(failed())?;
        let stored = stored.and_then(|value| keys::decode_u64(&value)).map(Epoch);
        if found == Found::Store && stored.is_none() {
            return Err(OpenError::damaged(&self.dir, "the epoch is missing"));
        }
        if let (Some(epoch), false) = (stored, may_have_lost) {
            return Ok(epoch);
        }
        let mut epoch = Epoch(entropy.random());
        while Some(epoch) == stored {
            epoch = Epoch(entropy.random());
        }
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncAll));
        batch.insert(&self.meta, keys::EPOCH, epoch.0.to_be_bytes());
        batch.commit().map_err(failed())?;
        if may_have_lost {
            tracing::warn!(%epoch, "the machine stopped before everything was synced: new epoch");
        }
        Ok(epoch)
    }
}

fn keyspace_options(name: &str, memtable_bytes: u64) -> KeyspaceCreateOptions {
    let options = KeyspaceCreateOptions::default()
        .max_memtable_size(memtable_bytes)
        .manual_journal_persist(true);
    match name {
        // Only ever scanned, so filters would cost memory for nothing.
        "inbox" => options.filter_policy(FilterPolicy::disabled()),
        "messages" => options.expect_point_read_hits(true).with_kv_separation(Some(
            KvSeparationOptions::default().separation_threshold(SEPARATION_BYTES_MIN),
        )),
        "meta" => options.data_block_compression_policy(CompressionPolicy::disabled()),
        _ => options,
    }
}
