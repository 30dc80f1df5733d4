//! Verifying everything stored: every byte of the log and of the index, and that both say the
//! same. One pass over each, in bounded memory.
//!
//! The index must be whole in itself; then what it refers to and what the log holds are summed
//! up, timeline by timeline in 65,536 sums. Where two sums differ, a second pass finds out which
//! timelines it is.

mod entries;
mod sums;

use std::fmt::Display;

use seqline_core::id::TimelineId;
use seqline_core::store::{CheckEvent, CheckSummary};
use seqline_core::{Error, Result};

use crate::engine::Engine;
use crate::error;
use crate::index::{Index, IndexError, Snapshot};
use crate::log::{Lsn, ReadError, Scan, Segments};
use crate::rows::{self, Answer, Head, TimelineRow};
use entries::{LogEntries, TimelineEntries};
use sums::{Entry, Floors, Sums};

/// How much is read between two reports of progress.
const PROGRESS_BYTES: u64 = 4 * 1024 * 1024;

/// Checks what is stored when it begins.
pub(crate) fn run(engine: &Engine, report: &mut dyn FnMut(CheckEvent)) -> Result<CheckSummary> {
    // What is published before this is in the index after the save.
    let end = engine.backlog.end_of_log();
    engine.backlog.save_all().map_err(error::unavailable)?;
    compare(&engine.index, &engine.segments, end, report)
}

/// Checks the index, and the entries before `end` that it and the log have, against each other.
pub(crate) fn compare(
    index: &Index,
    segments: &Segments,
    end: Lsn,
    report: &mut dyn FnMut(CheckEvent),
) -> Result<CheckSummary> {
    let mut check = Check {
        index,
        segments,
        snapshot: index.snapshot(),
        end,
        report,
        summary: CheckSummary::default(),
        done: 0,
        told: 0,
        total: index.disk_bytes() * 2 + segments.disk_bytes(),
    };
    check.tables();
    let mut sums = Sums::new();
    let mut floors = Floors::default();
    check.timelines(&mut floors, &mut |entry| sums.index(entry), true);
    check.log(&floors, &mut |entry| sums.log(entry), true)?;
    check.keys();
    if sums.differ() {
        check.find_differences(&floors, sums)?;
    }
    let done = check.done;
    (check.report)(CheckEvent::Progress { done, total: done });
    Ok(check.summary)
}

struct Check<'a> {
    index: &'a Index,
    segments: &'a Segments,
    snapshot: Snapshot,
    /// Entries from here on came after the check began.
    end: Lsn,
    report: &'a mut dyn FnMut(CheckEvent),
    summary: CheckSummary,
    done: u64,
    told: u64,
    total: u64,
}

impl Check<'_> {
    /// Reads the tables of the index byte by byte.
    fn tables(&mut self) {
        let (report, total) = (&mut *self.report, self.total);
        let mut told = 0;
        let verified = self.index.verify(&mut |done, _| {
            if done >= told + PROGRESS_BYTES {
                told = done;
                report(CheckEvent::Progress { done, total });
            }
        });
        match verified {
            Ok(verified) => self.done += verified.bytes,
            Err(error) => self.problem("index", error),
        }
    }

    /// Goes through the timelines as the index has them and tells their entries. With `first`,
    /// this is the pass that counts and complains.
    fn timelines(&mut self, floors: &mut Floors, tell: &mut dyn FnMut(Entry<'_>), first: bool) {
        let mut current: Option<TimelineEntries> = None;
        for row in self.snapshot.scan(rows::TIMELINES_START..rows::TIMELINES_END) {
            let (key, value) = match row {
                Ok(row) => row,
                Err(error) => return self.problem_if(first, "index", error),
            };
            self.progress(key.len() as u64 + value.len() as u64);
            let taken = match rows::decode_timeline_key(&key) {
                Some(TimelineRow::Head(timeline)) => match Head::decode(&value) {
                    Some(head) => {
                        self.end_of_timeline(current.take(), first);
                        floors.put(timeline, head.first);
                        self.summary.timelines += u64::from(first);
                        let entries = TimelineEntries::new(timeline, head);
                        entries.tell_head(&mut |entry| self.count(entry, tell, first));
                        current = Some(entries);
                        Ok(())
                    }
                    None => Err("its head cannot be read"),
                },
                Some(TimelineRow::Chunk(timeline, chunk)) => match &mut current {
                    Some(entries) if entries.key() == timeline => {
                        entries.chunk(chunk, &value, &mut |entry| self.count(entry, tell, first))
                    }
                    _ => Err("a chunk has no head"),
                },
                None => Err("no timeline has such a key"),
            };
            if let Err(detail) = taken {
                self.problem_if(first, &printable(&key[3.min(key.len())..]), detail);
            }
        }
        self.end_of_timeline(current, first);
    }

    fn count(&mut self, entry: Entry<'_>, tell: &mut dyn FnMut(Entry<'_>), first: bool) {
        if entry.lsn >= self.end.raw() {
            return;
        }
        let inbox = entry.timeline.first() == Some(&b'i');
        self.summary.inbox_entries += u64::from(first && inbox);
        tell(entry);
    }

    fn end_of_timeline(&mut self, entries: Option<TimelineEntries>, first: bool) {
        if let Some(entries) = entries
            && let Err(detail) = entries.finish()
        {
            self.problem_if(first, &printable(entries.key()), detail);
        }
    }

    /// Goes through the log and tells the entries that its sends made.
    fn log(&mut self, floors: &Floors, tell: &mut dyn FnMut(Entry<'_>), first: bool) -> Result<()> {
        let segments = self.segments.clone();
        for segment in segments.numbers() {
            let mut entries = LogEntries::default();
            let mut before = 0;
            let scanned = segments.scan(segment, &mut |found| {
                let at = match &found {
                    Scan::Frame(frame) => frame.lsn,
                    Scan::Damaged { from, .. } => *from,
                };
                let offset = at.raw() - segments.start(segment).raw().min(at.raw());
                self.progress(offset.saturating_sub(before));
                before = offset;
                match found {
                    _ if at >= self.end => {}
                    Scan::Frame(frame) => match entries.frame(&frame, floors, tell) {
                        Ok((messages, holes)) if first => {
                            self.summary.messages += messages;
                            // The index counted them.
                            self.summary.inbox_entries =
                                self.summary.inbox_entries.saturating_sub(holes);
                        }
                        Ok(_) => {}
                        Err(detail) => {
                            let place = format!("log segment {segment:016x}, {:?}", frame.lsn);
                            self.problem_if(first, &place, detail);
                        }
                    },
                    Scan::Damaged { from, bytes } => {
                        let place = format!("log segment {segment:016x}, {from:?}");
                        self.problem_if(first, &place, format!("{bytes} bytes do not hold"));
                    }
                }
            });
            match scanned {
                // A segment that was freed meanwhile had nothing any more.
                Ok(()) | Err(ReadError::Gone) => {}
                Err(error @ ReadError::Damaged { .. }) => {
                    self.problem_if(first, &format!("log segment {segment:016x}"), error);
                }
                Err(ReadError::Io(error)) => return Err(Error::unavailable("store", error)),
            }
        }
        Ok(())
    }

    /// Goes through the idempotency keys.
    fn keys(&mut self) {
        for row in self.snapshot.scan(rows::KEYS_START..rows::KEYS_END) {
            let (key, value) = match row {
                Ok(row) => row,
                Err(error) => return self.problem("idempotency keys", error),
            };
            let answer = Answer::decode(&value).filter(|_| rows::is_key_key(&key));
            let Some(answer) = answer else {
                self.problem("idempotency keys", "an answer cannot be read");
                continue;
            };
            let expiry = rows::expiry_key(answer.receipt.at.0, &key);
            match self.snapshot.get(&expiry) {
                Ok(Some(_)) => {}
                Ok(None) => self.problem("idempotency keys", "a key would never be forgotten"),
                Err(error) => return self.problem("idempotency keys", error),
            }
        }
    }

    /// Names the timelines on which index and log do not agree.
    fn find_differences(&mut self, floors: &Floors, sums: Sums) -> Result<()> {
        let mut details = sums.details();
        let mut again = Floors::default();
        self.timelines(&mut again, &mut |entry| details.index(entry), false);
        self.log(floors, &mut |entry| details.log(entry), false)?;
        for (timeline, detail) in details.finish() {
            self.problem(&printable(&timeline), detail);
        }
        Ok(())
    }

    fn problem_if(&mut self, tell: bool, place: &str, detail: impl Display) {
        if tell {
            self.problem(place, detail);
        }
    }

    fn problem(&mut self, place: &str, detail: impl Display) {
        self.summary.problems += 1;
        let detail = detail.to_string();
        (self.report)(CheckEvent::Problem { place: place.to_owned(), detail });
    }

    fn progress(&mut self, bytes: u64) {
        self.done += bytes;
        if self.done >= self.told + PROGRESS_BYTES {
            self.told = self.done;
            let total = self.total.max(self.done);
            (self.report)(CheckEvent::Progress { done: self.done, total });
        }
    }
}

/// A timeline's key as people know it.
pub(crate) fn printable(key: &[u8]) -> String {
    match TimelineId::from_key(key) {
        Some(timeline) => timeline.to_string(),
        None => format!("key {key:02x?}"),
    }
}

impl From<IndexError> for Error {
    fn from(error: IndexError) -> Error {
        crate::error::index(error)
    }
}
