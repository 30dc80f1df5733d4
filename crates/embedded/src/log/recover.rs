//! Opens a log: makes sure that it is whole, replays it, cuts off what a crash left unfinished.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::address::{FRAME_ALIGN, Geometry, Lsn};
use super::frame::Frame;
use super::header::{HEADER_BYTES, Header, Page};
use super::segments::Segments;
use super::settings::{Settings, is_spare, segment_number};
use super::spares::Spares;
use super::walk::Walk;
use super::writer::{Begun, Writer, begin};
use crate::error::OpenError;
use crate::storage::DiskFile;

/// How much is overwritten at a time: a page, so that holes stay holes.
const PIECE_BYTES: usize = 4096;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recovered {
    /// Where the log ends and the next frame goes.
    pub(crate) end: Lsn,
    pub(crate) oldest_segment: u64,
    /// As the newest segment says.
    pub(crate) store_epoch: u64,
    /// Where an unfinished write was cut off, and how long it was.
    pub(crate) cut: Option<(Lsn, u64)>,
}

type Visit<'v> = &'v mut dyn FnMut(Frame<'_>) -> Result<(), OpenError>;

/// Makes a new log. One that was made before and never written to is made anew.
///
/// # Errors
/// If there is a log with frames, and if the system refuses.
pub(crate) fn create(
    settings: &Settings,
    store_epoch: u64,
) -> Result<(Writer, Segments), OpenError> {
    let (geometry, dir) = (settings.geometry()?, &*settings.dir);
    settings.disk.create_dir(dir).map_err(OpenError::io("create", dir))?;
    if let Some(parent) = dir.parent() {
        settings.disk.sync_dir(parent).map_err(OpenError::io("sync", parent))?;
    }
    for number in find(settings)? {
        if number != 1 || has_frames(settings, geometry, number)? {
            return Err(OpenError::damaged(dir, "it has a log that is not expected there"));
        }
        remove(settings, number)?;
    }
    let header = Header {
        number: 1,
        epoch: (settings.entropy)(),
        store_epoch,
        segment_bytes: settings.segment_bytes,
        previous_end: Lsn::NONE,
        previous_epoch: 0,
    };
    let end = geometry.lsn(1, HEADER_BYTES);
    let segments = Segments::new(settings, geometry, BTreeMap::from([(1, None)]), end);
    let made = || {
        let spares = Spares::start(settings, Arc::clone(&segments.shared.spare_files))?;
        let begun = begin(settings, spares.take()?, &header)?;
        Ok(Writer::new(&segments, spares, begun))
    };
    let writer = made().map_err(OpenError::io("create a log in", dir))?;
    Ok((writer, segments))
}

/// Opens a log and visits every frame from the start of `from_segment` on (0: of the oldest), in
/// order. Everything before `known` had been durable. With `lenient` the store ran without syncs
/// and whatever follows damage in the newest segment is given up.
///
/// # Errors
/// If what had been finished is not whole, the visitor's, and if the system refuses.
pub(crate) fn recover(
    settings: &Settings,
    from_segment: u64,
    known: Lsn,
    lenient: bool,
    visit: Visit<'_>,
) -> Result<(Writer, Segments, Recovered), OpenError> {
    let (geometry, dir) = (settings.geometry()?, &*settings.dir);
    let mut numbers = find(settings)?;
    let chain = chain(settings, geometry, &mut numbers, from_segment)?;
    let (Some(newest), Some(&oldest)) = (chain.last(), numbers.first()) else {
        return Err(OpenError::damaged(dir, "the log has no segment"));
    };
    let mut ends: BTreeMap<u64, Option<u64>> = numbers.iter().map(|n| (*n, None)).collect();
    for pair in chain.windows(2) {
        let end = geometry.offset(pair[1].previous_end);
        replay_closed(settings, geometry, &pair[0], end, visit)?;
        ends.insert(pair[0].number, Some(end));
    }
    let path = settings.segment_path(newest.number);
    let file = settings.disk.open(&path).map_err(OpenError::io("open", &path))?;
    let tail = replay_newest(settings, geometry, newest, (&file, lenient), visit)?;
    // Before anything is cut off, so that it can still be repaired.
    if geometry.lsn(newest.number, tail.end) < known && !lenient {
        return Err(damaged(&path, tail.end));
    }
    settle(settings, &*file, &tail).map_err(OpenError::io("settle", &path))?;

    let Tail { end, cut, .. } = tail;
    let end_lsn = geometry.lsn(newest.number, end);
    if let Some(bytes) = cut {
        let segment = path.display();
        tracing::warn!(%segment, at = end, bytes, "an unfinished write at the end is dropped");
    }
    let segments = Segments::new(settings, geometry, ends, end_lsn);
    let spares = Spares::start(settings, Arc::clone(&segments.shared.spare_files));
    let spares = spares.map_err(OpenError::io("make spare segments in", dir))?;
    let begun = Begun { number: newest.number, epoch: newest.epoch, file, end };
    let writer = Writer::new(&segments, spares, begun);
    let recovered = Recovered {
        end: end_lsn,
        oldest_segment: oldest,
        store_epoch: newest.store_epoch,
        cut: cut.map(|bytes| (end_lsn, bytes)),
    };
    Ok((writer, segments, recovered))
}

/// The numbers of the segments. Spare files are removed: a crash may have left them unfinished.
fn find(settings: &Settings) -> Result<Vec<u64>, OpenError> {
    let dir = &*settings.dir;
    let names = settings.disk.list(dir).map_err(OpenError::io("list", dir))?;
    for spare in names.iter().filter(|name| is_spare(name)) {
        let path = dir.join(spare);
        settings.disk.remove(&path).map_err(OpenError::io("remove", &path))?;
    }
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment_number(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The headers from `from` to the newest, which follow each other. A newest segment that a crash
/// left without a header is removed, if nothing was ever written to it.
fn chain(
    settings: &Settings,
    geometry: Geometry,
    numbers: &mut Vec<u64>,
    from: u64,
) -> Result<Vec<Header>, OpenError> {
    let (Some(&oldest), Some(&newest)) = (numbers.first(), numbers.last()) else {
        return Err(OpenError::damaged(&settings.dir, "the log has no segment"));
    };
    let from = if from == 0 { oldest } else { from };
    let mut chain: Vec<Header> = Vec::new();
    for number in from..=newest.max(from) {
        let path = settings.segment_path(number);
        if numbers.binary_search(&number).is_err() {
            return Err(OpenError::damaged(&path, "this segment of the log is missing"));
        }
        let Some(header) = read_header(settings, &path)? else {
            if number > from && number == newest && !has_frames(settings, geometry, number)? {
                remove(settings, number)?;
                numbers.pop();
                break;
            }
            return Err(damaged(&path, 0));
        };
        let follows = match chain.last() {
            Some(previous) => previous.epoch == header.previous_epoch,
            None => number == 1 && header.previous_end == Lsn::NONE || number > 1,
        };
        let in_place = number == 1 || geometry.segment(header.previous_end) == number - 1;
        let same_size = header.segment_bytes == settings.segment_bytes;
        if header.number != number || !same_size || !follows || !in_place {
            return Err(OpenError::damaged(&path, "this segment is not one of this log"));
        }
        chain.push(header);
    }
    Ok(chain)
}

fn read_header(settings: &Settings, path: &Path) -> Result<Option<Header>, OpenError> {
    let read = || Ok(Page::read(&*settings.disk.open(path)?)?.header);
    read().map_err(OpenError::io("read", path))
}

/// Whether any frame of this segment is in it, whatever its header says.
pub(super) fn has_frames(
    settings: &Settings,
    geometry: Geometry,
    number: u64,
) -> Result<bool, OpenError> {
    let path = settings.segment_path(number);
    let look = || {
        let file = settings.disk.open(&path)?;
        let mut walk = Walk::new(file, geometry, (number, None), geometry.capacity());
        Ok(walk.next_frame(HEADER_BYTES)?.is_some())
    };
    look().map_err(OpenError::io("read", &path))
}

fn remove(settings: &Settings, number: u64) -> Result<(), OpenError> {
    let path = settings.segment_path(number);
    settings.disk.remove(&path).map_err(OpenError::io("remove", &path))?;
    settings.disk.sync_dir(&settings.dir).map_err(OpenError::io("sync", &settings.dir))
}

/// It was synced as a whole before the next one was begun, so every byte up to `end` must hold.
fn replay_closed(
    settings: &Settings,
    geometry: Geometry,
    header: &Header,
    end: u64,
    visit: Visit<'_>,
) -> Result<(), OpenError> {
    let path = settings.segment_path(header.number);
    let file = settings.disk.open(&path).map_err(OpenError::io("open", &path))?;
    let mut walk = Walk::new(file, geometry, (header.number, Some(header.epoch)), end);
    let mut at = HEADER_BYTES;
    while at < end {
        let found = walk.frame_at(at).map_err(OpenError::io("read", &path))?;
        let Some(found) = found else { return Err(damaged(&path, at)) };
        at = found.end;
        visit(found.frame)?;
    }
    Ok(())
}

/// How the newest segment ends.
struct Tail {
    /// Nothing tells that the frames from here on are durable.
    durable: u64,
    /// Where the last frame that holds ends.
    end: u64,
    /// How many bytes of an unfinished write follow.
    cut: Option<u64>,
}

fn replay_newest(
    settings: &Settings,
    geometry: Geometry,
    header: &Header,
    (file, lenient): (&Arc<dyn DiskFile>, bool),
    visit: Visit<'_>,
) -> Result<Tail, OpenError> {
    let path = settings.segment_path(header.number);
    let segment = (header.number, Some(header.epoch));
    let mut walk = Walk::new(Arc::clone(file), geometry, segment, geometry.capacity());
    let (mut durable, mut end) = (HEADER_BYTES, HEADER_BYTES);
    while let Some(found) = walk.frame_at(end).map_err(OpenError::io("read", &path))? {
        (durable, end) = (found.group_start, found.end);
        visit(found.frame)?;
    }
    let torn = torn(&mut walk, end).map_err(OpenError::io("read", &path))?;
    if torn.finished && !lenient {
        return Err(damaged(&path, end));
    }
    Ok(Tail { durable, end, cut: torn.bytes })
}

/// What follows the last frame that holds.
pub(super) struct Torn {
    /// A later write, so that what is missing had been durable.
    pub(super) finished: bool,
    /// Bytes up to the end of the last fragment that begins like a frame of this place.
    bytes: Option<u64>,
}

/// A power cut keeps the sectors of unsynced writes in any order, so that whole frames may follow
/// what is missing. Each says from where on nothing was durable when it was written.
pub(super) fn torn(walk: &mut Walk, end: u64) -> io::Result<Torn> {
    let mut torn = Torn { finished: false, bytes: None };
    let mut at = end;
    while let Some((offset, fragment_end)) = walk.next_header(at)? {
        torn.bytes = torn.bytes.max(Some(fragment_end - end));
        at = offset + FRAME_ALIGN;
        if let Some(found) = walk.frame_at(offset)? {
            torn.finished |= found.group_start > end;
            at = found.end;
        }
    }
    Ok(torn)
}

/// Makes the newest segment one that can be written to: what was cut off is zeros, everything else
/// is durable, since the next frames will say that it is.
fn settle(settings: &Settings, file: &dyn DiskFile, tail: &Tail) -> io::Result<()> {
    if file.len()? < settings.segment_bytes {
        file.set_len(settings.segment_bytes)?;
    }
    // After a failed sync the system takes what it did not write for written, and shows it until
    // the power goes. So it is written once more.
    rewrite(file, tail.durable..tail.end, |_| true)?;
    if tail.cut.is_some() {
        rewrite(file, tail.end..settings.segment_bytes, |bytes| {
            let zeros = bytes.iter().all(|byte| *byte == 0);
            bytes.fill(0);
            !zeros
        })?;
    }
    file.sync_all()?;
    settings.disk.sync_dir(&settings.dir)
}

/// Goes over a range in pieces that end at multiples of their size, and writes those for which
/// `change` says so.
fn rewrite(
    file: &dyn DiskFile,
    range: Range<u64>,
    change: impl Fn(&mut [u8]) -> bool,
) -> io::Result<()> {
    let mut piece = [0; PIECE_BYTES];
    let mut at = range.start;
    while at < range.end {
        let to_boundary = PIECE_BYTES as u64 - at % PIECE_BYTES as u64;
        let bytes = &mut piece[..to_boundary.min(range.end - at) as usize];
        file.read_at(bytes, at)?;
        if change(bytes) {
            file.write_all_at(bytes, at)?;
        }
        at += bytes.len() as u64;
    }
    Ok(())
}

fn damaged(path: &Path, at: u64) -> OpenError {
    let detail = format!(
        "it cannot be read at byte {at}, though what was written there had been finished; \
         `seqline check DIR --repair` saves what can be saved, or restore a backup"
    );
    OpenError::damaged(path, detail)
}
