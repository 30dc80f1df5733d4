//! Reading pages and bounds: the newest entries from memory, older ones from the index, the
//! messages from the log.

use std::cell::Cell;

use seqline_core::Result;
use seqline_core::id::TimelineId;
use seqline_core::page::{Bounds, Direction, Entry, Page, Read};
use seqline_core::seq::Seq;

use crate::engine::Engine;
use crate::error;
use crate::log::{self, Lsn, ReadError};
use crate::record;
use crate::rows;
use crate::timelines::{self, Tail};

/// How many messages are fetched before the bytes are looked at again: with the largest default
/// bodies that is 16 MiB.
const FETCH_ENTRIES: usize = 64;
/// Pages of more entries are read by a thread that may take its time.
const AT_ONCE_MAX: u64 = 256;
/// Likewise pages of more bytes, which are looked at after so many messages.
const AT_ONCE_BYTES_MAX: usize = 512 * 1024;
const AT_ONCE_TOGETHER: usize = 16;
/// How often a page is begun again because a trim took away what it was reading.
const TRIES: usize = 5;

/// Reads one page if all of it is in memory and it is not large. Never waits for the disk.
pub(crate) fn page_at_once(engine: &Engine, read: &Read) -> Option<Result<Page>> {
    let key = read.timeline.key();
    let reading = engine.table.read(&key, |tail| Reading::of(tail, tail.first, read))?;
    let Bounds { first, latest } = reading.bounds;
    // Of others only the index knows everything.
    let large = reading.high.saturating_sub(reading.low) >= AT_ONCE_MAX;
    if first == Seq::ZERO || latest == Seq::ZERO || large {
        return None;
    }
    let refs = match reading.low < reading.base.min(reading.high + 1) {
        true => timelines::cached_refs(
            engine,
            &key,
            reading.low,
            reading.base.min(reading.high + 1) - 1,
        )?,
        false => Vec::new(),
    };
    let bytes = Cell::new(0);
    let messages = |lsns: &[Lsn]| {
        let frames = engine.segments.try_read_many(lsns)?;
        let heads = frames.iter().flatten().map(|frame| frame.head.len());
        bytes.set(bytes.get() + heads.sum::<usize>());
        (bytes.get() <= AT_ONCE_BYTES_MAX).then_some(frames)
    };
    let page = reading.fill(engine, read, refs, (AT_ONCE_TOGETHER, &messages));
    // What is behind numbers without an entry may have to be waited for.
    page.transpose().filter(|page| !page.as_ref().is_ok_and(is_hole))
}

/// Reads one page.
pub(crate) fn page(engine: &Engine, read: &Read) -> Result<Page> {
    let mut read = read.clone();
    loop {
        let (page, low, high) = part(engine, &read)?;
        if !is_hole(&page) || low > high {
            return Ok(page);
        }
        match read.direction {
            Direction::Forward => read.after = Seq::new(high),
            Direction::Backward => read.until = Seq::new(low - 1),
        }
    }
}

/// Whether all numbers of a page are without an entry, and others follow.
fn is_hole(page: &Page) -> bool {
    page.entries.is_empty() && page.more
}

/// Reads as many positions as a page may have, from the lowest to the highest.
fn part(engine: &Engine, read: &Read) -> Result<(Page, u64, u64)> {
    let key = read.timeline.key();
    let mut tries = TRIES;
    loop {
        let begun = Reading::begin(engine, read, &key)?;
        match begun.finish(engine, read, &key) {
            Err(error) => {
                tries -= 1;
                let first = bounds_of(engine, &key)?.first;
                if first <= begun.bounds.first || tries == 0 {
                    return Err(error);
                }
            }
            Ok(page) => return Ok((page, begun.low, begun.high)),
        }
    }
}

/// The bounds of many timelines.
pub(crate) fn bounds(engine: &Engine, timelines: &[TimelineId]) -> Result<Vec<Bounds>> {
    timelines.iter().map(|timeline| bounds_of(engine, &timeline.key())).collect()
}

fn bounds_of(engine: &Engine, key: &[u8]) -> Result<Bounds> {
    if let Some(place) = engine.table.find(key) {
        let bounds = engine.bounds_at(key, place)?;
        if bounds.latest != Seq::ZERO {
            return Ok(bounds);
        }
    }
    Ok(timelines::head(&engine.index, key)?.map_or(Bounds::EMPTY, |head| Bounds {
        first: Seq::new(head.first),
        latest: Seq::new(head.latest),
    }))
}

/// A page in the making: what is wanted of the timeline, and what memory had of it.
struct Reading {
    bounds: Bounds,
    /// The positions wanted, at most as many as the page may have.
    low: u64,
    high: u64,
    /// Whether there are more between the bounds asked for.
    more: bool,
    /// What is known from the index, if it was asked.
    head: Option<rows::Head>,
    /// The position of the first of `refs`; those before are in the index.
    base: u64,
    refs: Vec<u64>,
}

impl Reading {
    fn begin(engine: &Engine, read: &Read, key: &[u8]) -> Result<Reading> {
        let kept = engine.table.read(key, |tail| Reading::of(tail, tail.first, read));
        let Some(mut reading) = kept.filter(|reading| reading.bounds.latest != Seq::ZERO) else {
            return Reading::stored(engine, read, key);
        };
        if reading.bounds.first != Seq::ZERO && reading.low >= reading.base {
            return Ok(reading);
        }
        // Entries that memory does not have, or a replayed timeline whose oldest entry only the
        // index knows.
        let head = timelines::head(&engine.index, key)?;
        if reading.bounds.first == Seq::ZERO {
            let first = head.as_ref().map_or(1, |head| head.first);
            let kept =
                engine.table.read(key, |tail| Reading::of(tail, tail.first.max(first), read));
            reading = match kept {
                Some(reading) => reading,
                None => return Reading::stored(engine, read, key),
            };
        }
        Ok(Reading { head, ..reading })
    }

    /// Of a timeline that is not in memory.
    fn stored(engine: &Engine, read: &Read, key: &[u8]) -> Result<Reading> {
        let head = timelines::head(&engine.index, key)?;
        let tail = head.clone().map_or_else(Tail::new, Tail::stored);
        Ok(Reading { head, ..Reading::of(&tail, tail.first, read) })
    }

    fn of(tail: &Tail, first: u64, read: &Read) -> Reading {
        let bounds = Bounds { first: Seq::new(first), latest: Seq::new(tail.latest) };
        let low = read.after.next().max(bounds.first).get();
        let mut low = low.max(1);
        let mut high = read.until.min(bounds.latest).get();
        // `next` stops at the largest seq, which is then not above the cursor.
        if low <= read.after.get() {
            high = low - 1;
        }
        let max = read.entries_max as u64;
        let more = high >= low && high - low >= max;
        if more {
            match read.direction {
                Direction::Forward => high = low + max - 1,
                Direction::Backward => low = high + 1 - max,
            }
        }
        let (base, refs) = tail.range(low, high);
        Reading { bounds, low, high, more, head: None, base, refs: refs.to_vec() }
    }

    /// Gets the references that memory does not have, then the messages.
    fn finish(&self, engine: &Engine, read: &Read, key: &[u8]) -> Result<Page> {
        let mut refs = Vec::new();
        if self.low <= self.high && self.low < self.base {
            let high = self.high.min(self.base - 1);
            refs = timelines::stored_refs(engine, key, self.head.as_ref(), self.low, high)?;
        }
        let messages = |lsns: &[Lsn]| Some(engine.segments.read_many(lsns));
        let page = self.fill(engine, read, refs, (FETCH_ENTRIES, &messages))?;
        Ok(page.expect("a read that waits has everything"))
    }

    /// Gets the messages. `refs` are those before the ones in memory; `None` if `messages` does
    /// not have one.
    fn fill(
        &self,
        engine: &Engine,
        read: &Read,
        mut refs: Vec<u64>,
        (together, messages): (usize, &Messages<'_>),
    ) -> Result<Option<Page>> {
        let mut page =
            Page { entries: Vec::new(), bounds: self.bounds, epoch: engine.epoch, more: self.more };
        if self.low > self.high {
            return Ok(Some(page));
        }
        refs.extend_from_slice(&self.refs[..]);
        let mut places: Vec<(u64, u64)> = (self.low..=self.high).zip(refs).collect();
        if read.direction == Direction::Backward {
            places.reverse();
        }
        page.entries.reserve_exact(places.len());
        let mut bytes = 0;
        for part in places.chunks(together) {
            let lsns: Vec<Lsn> = part.iter().map(|(_, lsn)| Lsn::from_raw(*lsn)).collect();
            let Some(frames) = messages(&lsns) else { return Ok(None) };
            for ((seq, _), frame) in part.iter().zip(frames) {
                let entry = entry(&read.timeline, Seq::new(*seq), frame)?;
                if entry.message.body.as_bytes().is_empty() {
                    continue;
                }
                bytes += entry.message.body.len();
                // The first entry comes however large it is.
                if bytes > read.bytes_max && !page.entries.is_empty() {
                    page.more = true;
                    return Ok(Some(page));
                }
                page.entries.push(entry);
            }
        }
        Ok(Some(page))
    }
}

/// Gets the frames at some places; `None` if that is not possible now.
type Messages<'a> = dyn Fn(&[Lsn]) -> Option<Vec<Frame>> + 'a;

/// A frame as the log gives it.
type Frame = std::result::Result<log::Head, ReadError>;

/// The entry at `seq`, whose message is in `frame`.
fn entry(timeline: &TimelineId, seq: Seq, frame: Frame) -> Result<Entry> {
    let frame = frame.map_err(|e| match e {
        ReadError::Io(e) => error::unavailable(format!("the log cannot be read: {e}")),
        ReadError::Damaged { detail } => error::corrupt(timeline, seq, detail),
        ReadError::Gone => error::corrupt(timeline, seq, "its segment of the log is gone"),
    })?;
    let message = match record::is_message(frame.kind) {
        true => record::message(&frame.head),
        false => None,
    };
    let message = message.ok_or_else(|| error::corrupt(timeline, seq, "it is no message"))?;
    let whose = match timeline {
        TimelineId::Conversation(id) => {
            frame.kind == record::SEND && message.conversation == *id && message.seq == seq
        }
        TimelineId::Inbox(_) => true,
    };
    match whose {
        true => Ok(Entry { seq, message }),
        false => Err(error::corrupt(timeline, seq, "it leads to another message")),
    }
}
