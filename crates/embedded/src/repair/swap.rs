//! Putting what was made in the place of what was there, so that a process killed at any moment
//! leaves both, and the next repair ends it.
//!
//! Everything is made in `repairing/`. A file there, `READY`, says that it is whole and names the
//! directory for what was there. From then on each part that is still in `repairing/` is one that
//! has not moved yet. The index goes away first: without it nobody opens the store.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::Step;
use crate::error::OpenError;
use crate::format::{self, READY, REPAIRING, sync_dir};

/// Where everything is made.
pub(super) fn place(dir: &Path) -> PathBuf {
    dir.join(REPAIRING)
}

/// Begins with an empty place.
pub(super) fn begin(dir: &Path) -> Result<PathBuf, OpenError> {
    clear(dir)?;
    let place = place(dir);
    fs::create_dir(&place).map_err(OpenError::io("create", &place))?;
    sync_dir(dir)?;
    Ok(place)
}

/// Removes what a repair left that did not come to its end.
pub(super) fn clear(dir: &Path) -> Result<(), OpenError> {
    let place = place(dir);
    match fs::remove_dir_all(&place) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(OpenError::io("remove", &place)(e)),
        Err(_) => Ok(()),
        Ok(()) => sync_dir(dir),
    }
}

/// What was made is whole: puts it in its place. Returns where what was there is now.
pub(super) fn swap(dir: &Path, seconds: u64, step: Step<'_>) -> Result<PathBuf, OpenError> {
    let place = place(dir);
    let kept = (1_u64..).map(|n| match n {
        1 => format!("damaged-{seconds}"),
        n => format!("damaged-{seconds}-{n}"),
    });
    let mut free = kept.filter(|name| !dir.join(name).exists());
    let kept = free.next().unwrap_or_default();
    for part in [format::log_dir(&place), format::index_dir(&place)] {
        if part.exists() {
            sync_dir(&part)?;
        }
    }
    sync_dir(&place)?;
    step("mark what was made as whole")?;
    let unfinished = place.join("READY.new");
    let write = || {
        let mut file = File::create(&unfinished)?;
        file.write_all(kept.as_bytes())?;
        file.sync_all()
    };
    write().map_err(OpenError::io("write", &unfinished))?;
    rename(&unfinished, &place.join(READY))?;
    finish(dir, &kept, step)
}

/// Ends what another repair had begun to put in its place. Returns where what was there is now.
pub(super) fn resume(dir: &Path, step: Step<'_>) -> Result<Option<PathBuf>, OpenError> {
    let ready = place(dir).join(READY);
    let kept = match fs::read_to_string(&ready) {
        Ok(kept) if kept.starts_with("damaged-") && !kept.contains('/') => kept,
        Ok(_) => return Err(OpenError::damaged(&ready, "it names no directory")),
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(OpenError::io("read", &ready)(e)),
    };
    finish(dir, &kept, step).map(Some)
}

fn finish(dir: &Path, kept: &str, step: Step<'_>) -> Result<PathBuf, OpenError> {
    let (place, kept) = (place(dir), dir.join(kept));
    match fs::create_dir(&kept) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => {
            return Err(OpenError::io("create", &kept)(e));
        }
        _ => sync_dir(dir)?,
    }
    let (log, index) = (format::log_dir(&place), format::index_dir(&place));
    if index.exists() {
        step("put the old index away")?;
        put_away(&format::index_dir(dir), &format::index_dir(&kept))?;
    }
    if log.exists() {
        step("put the old log away")?;
        put_away(&format::log_dir(dir), &format::log_dir(&kept))?;
        step("put the new log in its place")?;
        rename(&log, &format::log_dir(dir))?;
    }
    if index.exists() {
        step("put the new index in its place")?;
        rename(&index, &format::index_dir(dir))?;
    }
    step("clear up")?;
    clear(dir)?;
    Ok(kept)
}

fn put_away(from: &Path, to: &Path) -> Result<(), OpenError> {
    match from.exists() {
        true => rename(from, to),
        false => Ok(()),
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), OpenError> {
    fs::rename(from, to).map_err(OpenError::io("rename", from))?;
    for parent in [from.parent(), to.parent()].into_iter().flatten() {
        sync_dir(parent)?;
    }
    Ok(())
}
