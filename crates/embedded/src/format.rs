//! What a data directory is: its format version, its creation, and whether it may have lost data.
//!
//! `FORMAT` appears last, by a rename, so a directory has it exactly if it was made completely.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use crate::error::OpenError;
use crate::lock::LOCK;

/// The newest format this version reads, and the only one it writes.
pub(crate) const VERSION: u64 = 2;

const FORMAT: &str = "FORMAT";
/// There while a directory is being made.
const FORMAT_NEW: &str = "FORMAT.new";
/// There while the store runs without syncing every send; holds the boot it runs in.
const UNSYNCED: &str = "UNSYNCED";
/// The directory of the log: what is stored.
const LOG: &str = "log";
/// The directory of the index: how it is found. All of it can be made again from the log.
const INDEX: &str = "index";

/// There while an import is under way: a store in the making.
pub(crate) const IMPORTING: &str = "importing";
/// There while a repair is under way: what will take the place of `log` and `index`.
pub(crate) const REPAIRING: &str = "repairing";
/// In [`REPAIRING`] once everything there is whole: the name of the directory that gets what was.
pub(crate) const READY: &str = "READY";

const PREFIX: &str = "seqline data format ";
/// Changes with every start of the machine; Linux only.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What was found where the store shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing, or a creation that was interrupted: make a new store.
    Nothing,
    /// A store of a format known here.
    Store,
}

/// Where the log has its segments.
pub(crate) fn log_dir(dir: &Path) -> PathBuf {
    dir.join(LOG)
}

/// Where the index has its files.
pub(crate) fn index_dir(dir: &Path) -> PathBuf {
    dir.join(INDEX)
}

/// Makes the directory itself, so that the lock has a place. Its parents must exist, as a wrong
/// path should be an error and not a new tree; the last part is made.
pub(crate) fn make_dir(dir: &Path) -> Result<(), OpenError> {
    match fs::create_dir(dir) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(OpenError::io("create", dir)(e)),
        Err(_) => Ok(()),
        Ok(()) => match dir.canonicalize().ok().as_deref().and_then(Path::parent) {
            Some(parent) => sync_dir(parent),
            None => Ok(()),
        },
    }
}

/// Says what `dir` holds; call it with the lock held.
pub(crate) fn inspect(dir: &Path) -> Result<Found, OpenError> {
    let path = dir.join(FORMAT);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => return inspect_unfinished(dir),
        Err(e) if e.kind() == ErrorKind::InvalidData => String::new(),
        Err(e) => return Err(OpenError::io("read", &path)(e)),
    };
    let number = text.strip_prefix(PREFIX).and_then(|n| n.trim_end().parse::<u64>().ok());
    match number {
        Some(VERSION) => Ok(Found::Store),
        Some(found) if found > VERSION => {
            Err(OpenError::Newer { dir: dir.to_owned(), found, supported: VERSION })
        }
        Some(found) if found > 0 => Err(OpenError::Older { dir: dir.to_owned(), found }),
        _ => Err(OpenError::damaged(&path, "it names no data format")),
    }
}

/// Refuses a directory in which a repair stopped between its renames: log and index may be of
/// different times.
pub(crate) fn refuse_half_repaired(dir: &Path) -> Result<(), OpenError> {
    let repairing = dir.join(REPAIRING);
    let left = log_dir(&repairing).exists() || index_dir(&repairing).exists();
    match left && repairing.join(READY).exists() {
        true => Err(OpenError::damaged(
            dir,
            "a repair of it was interrupted; run `seqline check DIR --repair` again to finish it",
        )),
        false => Ok(()),
    }
}

/// Refuses a directory that has anything but what an interrupted import left.
pub(crate) fn refuse_for_import(dir: &Path) -> Result<(), OpenError> {
    let unfinished = dir.join(IMPORTING).exists() && !dir.join(FORMAT).exists();
    for file in fs::read_dir(dir).map_err(OpenError::io("read", dir))? {
        let name = file.map_err(OpenError::io("read", dir))?.file_name();
        let left = name == IMPORTING || name == LOG || name == INDEX;
        if name != LOCK && !(unfinished && left) {
            let found = name.to_string_lossy().into_owned();
            return Err(OpenError::NotEmpty { dir: dir.to_owned(), found });
        }
    }
    Ok(())
}

/// Makes an empty place for an import; clears what an interrupted one left.
pub(crate) fn begin_import(dir: &Path) -> Result<PathBuf, OpenError> {
    let place = dir.join(IMPORTING);
    // First what would be taken for a part of a store, last what says that it is none.
    for part in [log_dir(dir), index_dir(dir), place.clone()] {
        match fs::remove_dir_all(&part) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                return Err(OpenError::io("clear", &part)(e));
            }
            _ => {}
        }
    }
    fs::create_dir(&place).map_err(OpenError::io("create", &place))?;
    sync_dir(dir)?;
    begin(&place)?;
    Ok(place)
}

/// Makes an imported store, which is whole, the one of the directory.
pub(crate) fn settle_import(dir: &Path) -> Result<(), OpenError> {
    let place = dir.join(IMPORTING);
    for name in [LOG, INDEX, FORMAT] {
        let from = place.join(name);
        fs::rename(&from, dir.join(name)).map_err(OpenError::io("rename", &from))?;
        sync_dir(dir)?;
    }
    fs::remove_dir_all(&place).map_err(OpenError::io("remove", &place))?;
    sync_dir(dir)
}

fn inspect_unfinished(dir: &Path) -> Result<Found, OpenError> {
    let unfinished = dir.join(FORMAT_NEW).exists();
    for file in fs::read_dir(dir).map_err(OpenError::io("read", dir))? {
        let name = file.map_err(OpenError::io("read", dir))?.file_name();
        if name == IMPORTING {
            return Err(OpenError::Importing { dir: dir.to_owned() });
        }
        let ours = name == FORMAT_NEW || name == LOG || name == INDEX;
        if name != LOCK && !(unfinished && ours) {
            let found = name.to_string_lossy().into_owned();
            return Err(OpenError::Foreign { dir: dir.to_owned(), found });
        }
    }
    Ok(Found::Nothing)
}

/// Begins a new store: marks the directory and clears what an interrupted creation left.
pub(crate) fn begin(dir: &Path) -> Result<(), OpenError> {
    let path = dir.join(FORMAT_NEW);
    let write = || {
        let mut file = File::create(&path)?;
        writeln!(file, "{PREFIX}{VERSION}")?;
        file.sync_all()
    };
    write().map_err(OpenError::io("write", &path))?;
    sync_dir(dir)?;
    for part in [log_dir(dir), index_dir(dir)] {
        match fs::remove_dir_all(&part) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                return Err(OpenError::io("clear", &part)(e));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Ends what [`begin`] began: from now on the directory is a store.
pub(crate) fn finish(dir: &Path) -> Result<(), OpenError> {
    let path = dir.join(FORMAT);
    fs::rename(dir.join(FORMAT_NEW), &path).map_err(OpenError::io("write", &path))?;
    sync_dir(dir)
}

/// Whether the store ran without syncing every send and the machine stopped since: then sends
/// that were acknowledged and read may be gone.
pub(crate) fn may_have_lost(dir: &Path) -> Result<bool, OpenError> {
    let path = dir.join(UNSYNCED);
    match fs::read_to_string(&path) {
        Ok(boot) => Ok(boot_id().is_none_or(|now| now != boot)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(OpenError::io("read", &path)(e)),
    }
}

/// Notes durably that sends are acknowledged before they are synced.
pub(crate) fn mark_unsynced(dir: &Path) -> Result<(), OpenError> {
    let path = dir.join(UNSYNCED);
    let write = || {
        let mut file = File::create(&path)?;
        file.write_all(boot_id().unwrap_or_default().as_bytes())?;
        file.sync_all()
    };
    write().map_err(OpenError::io("write", &path))?;
    sync_dir(dir)
}

/// Notes that everything acknowledged is synced.
pub(crate) fn clear_unsynced(dir: &Path) -> Result<(), OpenError> {
    let path = dir.join(UNSYNCED);
    match fs::remove_file(&path) {
        Ok(()) => sync_dir(dir),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) => Err(OpenError::io("remove", &path)(e)),
    }
}

fn boot_id() -> Option<String> {
    fs::read_to_string(BOOT_ID).ok().filter(|id| !id.is_empty())
}

pub(crate) fn sync_dir(dir: &Path) -> Result<(), OpenError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(OpenError::io("sync", dir))
}
