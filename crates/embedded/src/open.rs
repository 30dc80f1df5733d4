//! Opening a data directory: what it is, its index, its log, and the replay between the two.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use seqline_core::clock::Entropy;
use seqline_core::id::Epoch;

use crate::backlog::{Backlog, NewKey};
use crate::chunks::Chunks;
use crate::engine::Engine;
use crate::error::OpenError;
use crate::format::{self, Found};
use crate::index::{Batch, Index, IndexOptions};
use crate::keeper;
use crate::lock::DirLock;
use crate::log::{self, Lsn, Segments, Writer};
use crate::options::{Durability, Options, Tuning};
use crate::recovery::{Replay, Replayed};
use crate::resolve::Rosters;
use crate::rows;
use crate::storage::Disk;
use crate::timelines::{Changes, Table, load};

/// A data directory, ready for its threads.
pub(crate) struct Opened {
    pub(crate) engine: Engine,
    pub(crate) log: Writer,
    /// How many names the segment that is being written has.
    pub(crate) names: u32,
    /// Idempotency keys that the index may lack. The backlog has them too.
    pub(crate) keys: Vec<NewKey>,
}

/// Opens or makes the store in the directory of `options`.
pub(crate) fn open(
    options: &Options,
    entropy: &Arc<dyn Entropy>,
    disk: Arc<dyn Disk>,
    tuning: Tuning,
) -> Result<Opened, OpenError> {
    let dir = options.dir.clone();
    format::make_dir(&dir)?;
    // Looked at before the lock is made, so that a directory of others stays as it is; and again
    // under the lock, since only then does it stand still.
    format::inspect(&dir)?;
    let lock = DirLock::take(&dir)?;
    let found = format::inspect(&dir)?;
    format::refuse_half_repaired(&dir)?;
    let lenient = format::may_have_lost(&dir)?;
    let settings = log_settings(format::log_dir(&dir), entropy, disk, tuning);
    let table = Table::new();
    let index_options = index_options(options, tuning);
    let Parts { index, mut log, segments, epoch, replayed } = match found {
        Found::Nothing => make(&dir, &settings, &index_options, entropy.random())?,
        Found::Store => replay(&dir, &settings, &index_options, &table, lenient)?,
    };
    let mut epoch = Epoch(epoch);
    if lenient {
        epoch = new_epoch(&mut log, epoch, entropy, &dir)?;
    }
    match options.durability {
        Durability::Fsync => format::clear_unsynced(&dir)?,
        Durability::Interval(_) | Durability::None => format::mark_unsynced(&dir)?,
    }
    let names = if lenient { 0 } else { replayed.names };
    let backlog = Backlog::new(log.end(), log.segment());
    #[cfg(test)]
    if tuning.keeper_held {
        backlog.hold();
    }
    let engine = Engine {
        dir,
        epoch,
        durability: options.durability,
        segments,
        table,
        index,
        backlog,
        chunks: Chunks::new(options.memory() / 16),
        rosters: Rosters::default(),
        table_bytes_max: tuning.table_bytes_max,
        flush_bytes: tuning.flush_bytes,
        _lock: lock,
    };
    let keys = replayed.keys.clone();
    settle(&engine, replayed, &log)?;
    Ok(Opened { engine, log, names, keys })
}

/// What a data directory has, opened.
struct Parts {
    index: Index,
    log: Writer,
    segments: Segments,
    epoch: u64,
    replayed: Replayed,
}

/// Makes a new store.
fn make(
    dir: &Path,
    settings: &log::Settings,
    options: &IndexOptions,
    epoch: u64,
) -> Result<Parts, OpenError> {
    format::begin(dir)?;
    let (log, segments) = log::create(settings, epoch)?;
    let index_dir = format::index_dir(dir);
    let index = Index::open(&index_dir, options)?;
    note_start(&index).map_err(OpenError::index(&index_dir))?;
    format::finish(dir)?;
    Ok(Parts { index, log, segments, epoch, replayed: Replayed::default() })
}

/// Opens a store, and replays what the index lacks into `table`.
fn replay(
    dir: &Path,
    settings: &log::Settings,
    options: &IndexOptions,
    table: &Table,
    lenient: bool,
) -> Result<Parts, OpenError> {
    let index_dir = format::index_dir(dir);
    let index = open_index(&index_dir, options)?;
    let from = keeper::replay_from(&index)
        .map_err(|error| again(OpenError::index(&index_dir)(error)))?
        .ok_or_else(|| again(OpenError::damaged(&index_dir, NO_REPLAY)))?;
    let mut replay = Replay::new(table, dir, from);
    let shift = settings.segment_bytes.trailing_zeros();
    let (log, segments, recovered) =
        log::recover(settings, from.raw() >> shift, from, lenient, &mut |frame| {
            replay.frame(frame.lsn.raw() >> shift, &frame)
        })?;
    let replayed = replay.finish(log.segment());
    Ok(Parts { index, log, segments, epoch: recovered.store_epoch, replayed })
}

const NO_REPLAY: &str = "it does not say how far it came";
const AGAIN: &str =
    "`seqline check DIR --repair` makes the index again from the log and loses nothing";

/// What the log of a store in `dir` is opened with.
pub(crate) fn log_settings(
    dir: PathBuf,
    entropy: &Arc<dyn Entropy>,
    disk: Arc<dyn Disk>,
    tuning: Tuning,
) -> log::Settings {
    let random = Arc::clone(entropy);
    log::Settings {
        dir,
        disk,
        segment_bytes: tuning.segment_bytes,
        entropy: Arc::new(move || random.random() as u32),
        background: tuning.background,
    }
}

/// What the index of a store is opened with.
pub(crate) fn index_options(options: &Options, tuning: Tuning) -> IndexOptions {
    IndexOptions {
        cache_bytes: options.memory() / 8,
        table_bytes: 2 * tuning.flush_bytes,
        ..IndexOptions::default()
    }
}

/// Opens the index of a store that exists; without one nothing is made in its place.
fn open_index(dir: &Path, options: &IndexOptions) -> Result<Index, OpenError> {
    match dir.is_dir() {
        true => Index::open(dir, options).map_err(again),
        false => Err(again(OpenError::damaged(dir, "it is missing"))),
    }
}

/// Says of a damaged index what makes it sound.
fn again(error: OpenError) -> OpenError {
    match error {
        OpenError::Damaged { place, detail } => {
            OpenError::damaged(&place, format!("{detail}; {AGAIN}"))
        }
        other => other,
    }
}

/// An index of nothing, for a log that has just begun.
fn note_start(index: &Index) -> Result<(), crate::index::IndexError> {
    let mut batch = Batch::default();
    batch.put(rows::REPLAY, &Lsn::NONE.raw().to_be_bytes());
    index.write(&batch);
    index.flush()
}

/// Data may be lost, so cursors from before mean nothing: a segment with another epoch begins.
fn new_epoch(
    log: &mut Writer,
    old: Epoch,
    entropy: &Arc<dyn Entropy>,
    dir: &Path,
) -> Result<Epoch, OpenError> {
    let mut epoch = Epoch(entropy.random());
    while epoch == old {
        epoch = Epoch(entropy.random());
    }
    log.roll(epoch.0).map_err(OpenError::io("begin a segment in", dir))?;
    tracing::warn!(%epoch, "the machine stopped before everything was synced: new epoch");
    Ok(epoch)
}

/// Leaves what was replayed to the keeper.
fn settle(engine: &Engine, replayed: Replayed, log: &Writer) -> Result<(), OpenError> {
    if replayed.sends > 0 {
        tracing::info!(sends = replayed.sends, "the log was replayed");
    }
    engine.backlog.saved(replayed.dirty, Vec::new());
    let changes = Changes { dirty: Vec::new(), full: replayed.full };
    engine.backlog.add(changes, replayed.keys, log.end(), log.segment());
    for (segment, timeline, first) in replayed.trims {
        let failed = |e: seqline_core::Error| OpenError::damaged(&engine.dir, e.to_string());
        let place = load(engine, &timeline).map_err(failed)?;
        let mut tails = engine.table.tails_mut();
        let tail = &mut tails[place.slot];
        if tail.first < first {
            (tail.first, tail.trimmed) = (first, true);
        }
        // The entries that were replayed may all be newer than the trim.
        if tail.dirty == 0 || segment < tail.dirty {
            tail.dirty = segment;
            engine.backlog.saved(vec![(segment, place)], Vec::new());
        }
    }
    Ok(())
}
