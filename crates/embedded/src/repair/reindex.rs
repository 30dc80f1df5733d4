//! A sound log, and an index that is not: the index is made again. No entry gets another number.

use super::events::Teller;
use super::old::OldIndex;
use super::survey::{Survey, frame_bytes, inbox_key, unreadable};
use crate::build::Builder;
use crate::error::OpenError;
use crate::log::{Frame, Scan, Segments};
use crate::record::{self, Recipient, Rest};
use crate::rows::{self, Answer};
use hashbrown::HashMap;
use seqline_core::seq::Seq;
use seqline_core::store::Receipt;

/// Why an index cannot be made.
pub(super) enum Failure {
    /// The log does not number its entries one after the other: part of it is gone.
    Numbers { place: String, detail: String },
    /// Anything else.
    Open(OpenError),
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Failure {
        Failure::Open(error)
    }
}

/// Fills an index with what the log has.
pub(super) fn fill(
    builder: &mut Builder,
    segments: &Segments,
    survey: &mut Survey,
    old: &OldIndex,
    teller: &mut Teller<'_>,
) -> Result<(), Failure> {
    let mut filling = Filling { builder, survey, old, holes: false, names: HashMap::default() };
    for segment in segments.numbers() {
        filling.names.clear();
        let missing = filling.survey.missing.first();
        filling.holes = missing.is_some_and(|missing| *missing < segment);
        let mut done = Ok(());
        let scanned = segments.scan(segment, &mut |found| {
            if let Scan::Frame(frame) = found
                && done.is_ok()
            {
                done = filling.frame(&frame);
                teller.progress(frame_bytes(&frame));
            }
        });
        scanned.map_err(|error| unreadable(segments, error))?;
        done?;
    }
    // A trim of a timeline goes by what is saved of it.
    filling.builder.save()?;
    for (timeline, floor) in filling.survey.floors.iter() {
        filling.builder.trim(timeline, floor.first)?;
    }
    // The frames of some keys may stand in segments that were freed.
    builder.write_answers();
    for (row, answer) in old.keys() {
        if !builder.has_answer(&row)? {
            builder.answer(&row, &answer);
            builder.relieve()?;
        }
    }
    Ok(())
}

struct Filling<'a> {
    builder: &'a mut Builder,
    survey: &'a mut Survey,
    old: &'a OldIndex,
    /// A segment before this one is not there.
    holes: bool,
    /// Keys of inboxes by their numbers in the segment.
    names: HashMap<u32, Box<[u8]>, foldhash::fast::RandomState>,
}

impl Filling<'_> {
    fn frame(&mut self, frame: &Frame<'_>) -> Result<(), Failure> {
        if !record::is_message(frame.kind) {
            return Ok(());
        }
        let unread = || Failure::Numbers {
            place: format!("log, {:?}", frame.lsn),
            detail: "a recipient has no name".to_owned(),
        };
        let head = record::Head::decode(frame.head).ok_or_else(unread)?;
        let rest = Rest::decode(frame.rest).ok_or_else(unread)?;
        if frame.kind == record::SEND {
            self.entry(head.conversation, head.seq.get(), frame, head.at.0)?;
        }
        let mut receiver_seq = Seq::ZERO;
        for (who, seq) in rest.recipients().flatten() {
            let number = match who {
                Recipient::Named(number, member) => {
                    self.names.insert(number, inbox_key(member));
                    number
                }
                Recipient::Numbered(number) => number,
            };
            let name = self.names.get(&number).ok_or_else(unread)?.clone();
            self.entry(&name, seq.get(), frame, 0)?;
            receiver_seq = seq;
        }
        if let Some((key, digest)) = rest.key {
            let receipt = Receipt {
                id: head.id,
                conversation_seq: head.seq,
                receiver_seq,
                at: head.at,
                repeat: false,
            };
            let row = rows::key_key(head.conversation, key);
            self.builder.answer(&row, &Answer { digest, receipt });
        }
        Ok(self.builder.relieve()?)
    }

    fn entry(
        &mut self,
        timeline: &[u8],
        seq: u64,
        frame: &Frame<'_>,
        at: u64,
    ) -> Result<(), Failure> {
        let place = self.builder.place(timeline)?;
        let latest = self.builder.latest(place);
        let floors = &mut self.survey.floors;
        if latest == 0 {
            floors.learn(timeline, self.old);
        }
        if seq != latest + 1 {
            // Only what was trimmed can be in a segment that was freed. Of a timeline that begins
            // behind one, nothing is hidden by saying so.
            let trimmed = floors.get(timeline) >= seq || latest == 0;
            // An imported timeline may begin anywhere, behind a trim that says so.
            let begins = latest == 0 && floors.get(timeline) == seq;
            if seq <= latest || !trimmed || !(self.holes || begins) {
                return Err(Failure::Numbers {
                    place: super::losses::conversation(timeline),
                    detail: format!("entry {seq} follows entry {latest} in the log"),
                });
            }
            self.builder.begin_at(timeline, place, seq)?;
        }
        self.builder.push(place, frame.lsn, at);
        Ok(())
    }
}
