//! The index that was there: what it knows, as far as it can be read.

use std::path::Path;

use seqline_core::store::CheckEvent;

use super::events::Teller;
use crate::check;
use crate::error::OpenError;
use crate::index::{Index, IndexError, IndexOptions};
use crate::keeper;
use crate::log::{Lsn, Segments};
use crate::rows::{self, CHUNK_ENTRIES, Head, TimelineRow};
use crate::timelines;

/// An entry of a timeline, as the index has it.
pub(super) struct OldEntry<'a> {
    pub(super) timeline: &'a [u8],
    pub(super) seq: u64,
    pub(super) lsn: u64,
}

/// The index as it was found; nothing is written to it.
pub(super) struct OldIndex {
    index: Option<Index>,
    /// What stands in the log before it, the index should know. `None` if it does not say.
    pub(super) replay: Option<Lsn>,
}

impl OldIndex {
    /// Opens what is there, and tells what keeps it from being opened.
    ///
    /// # Errors
    /// If the system refuses; damage is none.
    pub(super) fn open(
        dir: &Path,
        options: &IndexOptions,
        teller: &mut Teller<'_>,
    ) -> Result<OldIndex, OpenError> {
        if !dir.is_dir() {
            teller.damage(dir.display(), "it is missing");
            return Ok(OldIndex { index: None, replay: None });
        }
        let index = match Index::open(dir, options) {
            Ok(index) => index,
            Err(OpenError::Damaged { place, detail }) => {
                teller.damage(place.display(), detail);
                return Ok(OldIndex { index: None, replay: None });
            }
            Err(error) => return Err(error),
        };
        let replay = match keeper::replay_from(&index) {
            Ok(Some(replay)) => Some(replay),
            Ok(None) => {
                teller.damage(dir.display(), "it does not say how far it came");
                None
            }
            Err(error) => {
                teller.damage(dir.display(), error);
                None
            }
        };
        Ok(OldIndex { index: Some(index), replay })
    }

    /// Everything in the log before it had been durable.
    pub(super) fn known(&self) -> Lsn {
        self.replay.unwrap_or(Lsn::NONE)
    }

    pub(super) fn close(&mut self) {
        self.index = None;
    }

    /// The oldest entry of a timeline, if it can be read.
    pub(super) fn first(&self, timeline: &[u8]) -> Option<u64> {
        let head = timelines::head(self.index.as_ref()?, timeline).ok()??;
        Some(head.first)
    }

    /// Tells every entry that is not trimmed. Says whether these are all.
    pub(super) fn entries(&self, tell: &mut dyn FnMut(OldEntry<'_>)) -> bool {
        self.index.as_ref().is_some_and(|index| entries(index, tell).is_ok())
    }

    /// The rows of idempotency keys that can be read, up to the first one that cannot.
    pub(super) fn keys(&self) -> impl Iterator<Item = (Vec<u8>, rows::Answer)> {
        let scan = self.index.as_ref().map(|index| index.scan(rows::KEYS_START..rows::KEYS_END));
        let rows = scan.into_iter().flatten().map_while(Result::ok);
        rows.filter_map(|(key, row)| Some((key.to_vec(), rows::Answer::decode(&row)?)))
    }

    /// Whether it is whole and says what the log says. Tells what does not hold.
    ///
    /// # Errors
    /// If the system refuses to read.
    pub(super) fn agrees(
        &self,
        segments: &Segments,
        teller: &mut Teller<'_>,
    ) -> Result<bool, OpenError> {
        let (Some(index), Some(replay)) = (&self.index, self.replay) else { return Ok(false) };
        let mut before = 0;
        let summary = check::compare(index, segments, replay, &mut |event| match event {
            CheckEvent::Progress { done, .. } => {
                teller.progress(done.saturating_sub(before));
                before = done;
            }
            CheckEvent::Problem { place, detail } => teller.damage(place, detail),
        });
        let place = segments.dir();
        let summary = summary.map_err(|e| OpenError::damaged(place, e.to_string()))?;
        Ok(summary.problems == 0)
    }
}

fn entries(index: &Index, tell: &mut dyn FnMut(OldEntry<'_>)) -> Result<(), IndexError> {
    let mut first = 1;
    for row in index.scan(rows::TIMELINES_START..rows::TIMELINES_END) {
        let (key, value) = row?;
        let damaged = || IndexError::damaged(&key, "a timeline's row cannot be read");
        let (timeline, base, refs) = match rows::decode_timeline_key(&key).ok_or_else(damaged)? {
            TimelineRow::Head(timeline) => {
                let head = Head::decode(&value).ok_or_else(damaged)?;
                // The head comes before the chunks it speaks for.
                first = head.first;
                (timeline, head.base(), head.refs.into_vec())
            }
            TimelineRow::Chunk(timeline, chunk) => {
                let refs = rows::decode_chunk(&value).ok_or_else(damaged)?;
                (timeline, chunk * CHUNK_ENTRIES + 1, refs)
            }
        };
        for (seq, lsn) in (base..).zip(refs).filter(|(seq, _)| *seq >= first) {
            tell(OldEntry { timeline, seq, lsn });
        }
    }
    Ok(())
}
