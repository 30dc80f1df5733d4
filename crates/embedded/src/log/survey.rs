//! A log as it is found: opened for reading only, whatever is damaged in it or missing.
//!
//! Nothing on the disk is changed. Where the newest segment ends is judged as a start would: what
//! a crash left unfinished there is no damage.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;

use super::address::{Geometry, Lsn};
use super::header::{HEADER_BYTES, Header, Page};
use super::recover::{has_frames, torn};
use super::segments::Segments;
use super::settings::{Settings, segment_number};
use super::walk::Walk;
use crate::error::OpenError;

/// What was found.
pub(crate) struct Surveyed {
    /// Reads what is there, up to `end`.
    pub(crate) segments: Segments,
    /// The newest segment; 0 if there is none.
    pub(crate) newest: u64,
    /// Where the log ends. What follows is the rest of a write that never finished.
    pub(crate) end: Lsn,
    /// Segments whose header is sound but not of this place in this log.
    pub(crate) strange: Vec<u64>,
    /// The store's epochs that headers name, the newest last.
    pub(crate) store_epochs: Vec<u64>,
}

/// Looks at the log in the directory of `settings`; without one it is a log of nothing. `known` and
/// `lenient` are as for [`recover`](super::recover).
///
/// # Errors
/// If the system refuses to read.
pub(crate) fn survey(
    settings: &Settings,
    known: Lsn,
    lenient: bool,
) -> Result<Surveyed, OpenError> {
    let geometry = settings.geometry()?;
    let mut numbers = list(settings)?;
    let mut headers = BTreeMap::new();
    for number in &numbers {
        headers.insert(*number, header(settings, *number)?);
    }
    // A crash while a segment was made: nothing was ever written to it.
    if let [.., _, newest] = numbers[..]
        && headers[&newest].is_none()
        && !has_frames(settings, geometry, newest)?
    {
        numbers.pop();
        headers.remove(&newest);
    }
    let newest = numbers.last().copied().unwrap_or(0);
    let end = match newest {
        0 => Lsn::NONE,
        _ => end_of_newest(settings, geometry, (newest, headers[&newest]), (known, lenient))?,
    };
    let ends = numbers.iter().map(|number| (*number, None)).collect();
    let mut store_epochs: Vec<u64> = headers.values().flatten().map(|h| h.store_epoch).collect();
    store_epochs.dedup();
    Ok(Surveyed {
        segments: Segments::new(settings, geometry, ends, end),
        newest,
        end,
        strange: strange(settings, geometry, &headers),
        store_epochs,
    })
}

fn list(settings: &Settings) -> Result<Vec<u64>, OpenError> {
    let names = match settings.disk.list(&settings.dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        other => other.map_err(OpenError::io("list", &settings.dir))?,
    };
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment_number(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn header(settings: &Settings, number: u64) -> Result<Option<Header>, OpenError> {
    let path = settings.segment_path(number);
    let read = || Ok(Page::read(&*settings.disk.open(&path)?)?.header);
    read().map_err(OpenError::io("read", &path))
}

/// What stands in the way of following each header to the next one, where both are there.
fn strange(
    settings: &Settings,
    geometry: Geometry,
    headers: &BTreeMap<u64, Option<Header>>,
) -> Vec<u64> {
    let fits = |number: u64, header: &Header| {
        let before = headers.get(&(number - 1)).copied().flatten();
        let follows = before.is_none_or(|before| before.epoch == header.previous_epoch);
        let in_place = number == 1 || geometry.segment(header.previous_end) == number - 1;
        let same_size = header.segment_bytes == settings.segment_bytes;
        header.number == number && same_size && follows && in_place
    };
    let all = headers.iter().filter_map(|(number, header)| Some((*number, (*header)?)));
    all.filter(|(number, header)| !fits(*number, header)).map(|(number, _)| number).collect()
}

/// Behind damage the log goes on as long as a later write, or who knows, tells that it had been
/// durable.
fn end_of_newest(
    settings: &Settings,
    geometry: Geometry,
    (number, header): (u64, Option<Header>),
    (known, lenient): (Lsn, bool),
) -> Result<Lsn, OpenError> {
    let path = settings.segment_path(number);
    let epoch = header.filter(|header| header.number == number).map(|header| header.epoch);
    let find = || {
        let file = settings.disk.open(&path)?;
        let mut walk = Walk::new(Arc::clone(&file), geometry, (number, epoch), geometry.capacity());
        let mut end = HEADER_BYTES;
        loop {
            while let Some(found) = walk.frame_at(end)? {
                end = found.end;
            }
            let lsn = geometry.lsn(number, end);
            let durable = lsn < known;
            if lenient || !durable && !torn(&mut walk, end)?.finished {
                return Ok(lsn);
            }
            match walk.next_frame(end)? {
                Some(next) => end = next,
                None if durable && geometry.segment(known) == number => return Ok(known),
                None => return Ok(lsn),
            }
        }
    };
    find().map_err(OpenError::io("read", &path))
}
