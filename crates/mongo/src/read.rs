//! Pages: what follows the floor, without a gap, and where the timeline stands.
//!
//! The range, the floor and the tail are asked for at the same time, so their answers are of
//! slightly different moments. A page says only what one moment can have been: where they
//! disagree, the range decides or is read again.

use mongodb::bson::RawDocumentBuf;
use seqline_core::error::{Error, Result};
use seqline_core::id::TimelineId;
use seqline_core::page::{Bounds, Direction, Entry, Page, Read};
use seqline_core::seq::Seq;

use crate::bounds::{self, Place};
use crate::call::{Call, Stop};
use crate::db::{Collection, Fields, Query};
use crate::documents;

/// How often a page is read anew in which an entry of Seqline's has none directly below it.
const LOST_ROUNDS: u32 = 10;

/// Reads one page.
pub(crate) async fn page(call: &Call, read: &Read) -> Result<Page> {
    let place = Place::of(&read.timeline);
    let mut floor = 0;
    let mut doubt = (Vec::new(), None);
    for round in 0.. {
        if round > 2 {
            call.pause(round - 3).await;
        }
        let above = read.after.get().max(floor);
        let (range, tail, found) = futures_util::try_join!(
            range(call, &place, read, above),
            bounds::tail(call, &place),
            bounds::floor(call, &place),
        )
        .map_err(Stop::unavailable)?;
        let hidden = found > above && range_reaches(&range, found)?;
        // It never falls; an answer that says so is an old one.
        floor = floor.max(found);
        if hidden {
            // Entries that are gone took the place of others in the answer.
            continue;
        }
        let mut view = View { read, above: above.max(floor), floor, tail, range, lost: None };
        let missing = (view.holes()?, view.short()?);
        if missing != (Vec::new(), None) && missing != doubt {
            // Entries came while the range was read, or it is a hole of go-timeline's: that is
            // still there when one looks again.
            doubt = missing;
            continue;
        }
        // Seqline stores an entry only where the one below it is, and only the lowest are deleted,
        // below a floor: so this view is not of one moment, or the database lost entries.
        view.lost = missing.0.iter().find(|hole| hole.is_own).map(|hole| hole.below);
        if view.lost.is_some() && round < LOST_ROUNDS {
            continue;
        }
        if let Some(page) = view.page(call)? {
            return Ok(page);
        }
    }
    Err(Error::unavailable("database", std::io::Error::other("its answers do not fit together")))
}

/// Whether anything in the answer is at or below the floor.
fn range_reaches(range: &[RawDocumentBuf], floor: u64) -> Result<bool> {
    for document in range {
        if seq(document)? <= floor {
            return Ok(true);
        }
    }
    Ok(false)
}

fn seq(document: &RawDocumentBuf) -> Result<u64> {
    documents::number(document, documents::SEQ).ok_or_else(|| Error::Corrupt {
        timeline: documents::string(document, documents::TIMELINE).unwrap_or_default().to_owned(),
        seq: Seq::ZERO,
        detail: "it has no seq".to_owned(),
    })
}

async fn range(
    call: &Call,
    place: &Place,
    read: &Read,
    above: u64,
) -> std::result::Result<Vec<RawDocumentBuf>, Stop> {
    call.find(Query::Range {
        of: place.of,
        id: place.id.clone(),
        above,
        up_to: read.until.get(),
        descending: read.direction == Direction::Backward,
        // One more tells whether more follows.
        limit: read.entries_max.saturating_add(1),
        bytes_max: budget(read),
        fields: Fields::Entry,
    })
    .await
}

/// How many bytes of documents a page may cost: a document is larger than its text, seldom more
/// than eight times.
fn budget(read: &Read) -> usize {
    read.bytes_max.saturating_mul(8).saturating_add(128 * 1024)
}

/// A place where numbers are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hole {
    /// The position of the entry that stands directly above them.
    below: u64,
    /// Whether that entry is Seqline's.
    is_own: bool,
}

/// The three answers.
struct View<'a> {
    read: &'a Read,
    /// The range begins above this.
    above: u64,
    floor: u64,
    tail: u64,
    range: Vec<RawDocumentBuf>,
    /// Entries directly below this one are lost: no page steps over them.
    lost: Option<u64>,
}

impl View<'_> {
    /// Where numbers are missing.
    fn holes(&self) -> Result<Vec<Hole>> {
        let forward = self.read.direction == Direction::Forward;
        let mut holes = Vec::new();
        // From the lowest up.
        let mut ascending: Vec<&RawDocumentBuf> = self.range.iter().collect();
        if !forward {
            ascending.reverse();
        }
        let is_cut = self.range.len() > self.read.entries_max || self.is_large();
        let mut before = (forward || !is_cut).then_some(self.above);
        for document in ascending {
            let below = seq(document)?;
            if before.is_some_and(|before| below > before + 1) {
                holes.push(Hole { below, is_own: documents::stem(document).is_some() });
            }
            before = Some(below);
        }
        Ok(holes)
    }

    /// The last position before the end of the range, if entries are missing there though later
    /// ones exist.
    fn short(&self) -> Result<Option<u64>> {
        let until = self.read.until.get();
        let mut highest = self.above;
        for document in &self.range {
            highest = highest.max(seq(document)?);
        }
        let forward = self.read.direction == Direction::Forward;
        let cut = forward && (self.range.len() > self.read.entries_max || self.is_large());
        Ok((!cut && highest < until && until <= self.tail).then_some(highest))
    }

    /// Whether the database may have left out entries of the range because of its bytes.
    fn is_large(&self) -> bool {
        let bytes: usize = self.range.iter().map(|document| document.as_bytes().len()).sum();
        bytes > budget(self.read)
    }

    /// The page, or `None` if the range is older than the tail and lacks what came between.
    fn page(&self, call: &Call) -> Result<Option<Page>> {
        let mut entries: Vec<Entry> = Vec::new();
        let (mut bytes, mut found) = (0, 0_usize);
        let mut cut = self.is_large();
        let backward = self.read.direction == Direction::Backward;
        let mut before_lost = false;
        for document in &self.range {
            let entry = self.entry(document)?;
            let seq = Some(entry.seq.get());
            if backward && before_lost || !backward && seq == self.lost {
                cut = true;
                break;
            }
            before_lost = seq == self.lost;
            bytes += entry.message.body.len();
            found += document.as_bytes().len();
            // Past its budget the database may have left out more, and this one tells of them.
            let fits = bytes <= self.read.bytes_max && found <= budget(self.read);
            let fits = entries.is_empty() || fits;
            if entries.len() == self.read.entries_max || !fits {
                cut = true;
                break;
            }
            entries.push(entry);
        }
        // The last one stands above what is lost.
        cut |= backward && before_lost;
        if let (true, Some(lost)) = (entries.is_empty(), self.lost) {
            return Err(self.refuse(call, lost));
        }
        let Some(latest) = self.latest(cut)? else {
            return Ok(None);
        };
        let bounds = Bounds { first: Seq::new(self.floor + 1), latest: Seq::new(latest) };
        Ok(Some(Page { entries, bounds, epoch: call.shared.epoch, more: cut }))
    }

    fn refuse(&self, call: &Call, lost: u64) -> Error {
        call.shared.counts.lost();
        let timeline = &self.read.timeline;
        Error::unavailable(
            "the part of the timeline in front of a lost entry",
            std::io::Error::other(format!(
                "{timeline}: the database has entry {lost} and not the one below it, which it had \
                 when {lost} was stored; `seqline check --mongo` says how to mend it"
            )),
        )
    }

    /// The newest position at the moment of the range, as far as the answers tell.
    fn latest(&self, cut: bool) -> Result<Option<u64>> {
        let mut highest = 0;
        for document in &self.range {
            highest = highest.max(seq(document)?);
        }
        let known = self.tail.max(highest).max(self.floor + u64::from(self.floor > 0));
        let until = self.read.until.get();
        let backward = self.read.direction == Direction::Backward;
        // A range that was not cut at its upper end shows all there was below `until`.
        let whole_to_the_top = backward || !cut;
        // What is missing below the tail was looked for twice.
        Ok(if !whole_to_the_top || until <= self.above || until <= self.tail {
            Some(known)
        } else if highest > 0 && highest < until {
            Some(highest)
        } else if highest == until || known <= self.above {
            Some(known)
        } else {
            None
        })
    }

    fn entry(&self, document: &RawDocumentBuf) -> Result<Entry> {
        let read = match Place::of(&self.read.timeline).of {
            Collection::History => documents::history_entry(document),
            _ => documents::inbox_entry(document),
        };
        read.map_err(|detail| corrupt(&self.read.timeline, document, detail))
    }
}

fn corrupt(timeline: &TimelineId, document: &RawDocumentBuf, detail: String) -> Error {
    let seq = documents::number(document, documents::SEQ).unwrap_or(0);
    Error::Corrupt { timeline: timeline.to_string(), seq: Seq::new(seq), detail }
}
