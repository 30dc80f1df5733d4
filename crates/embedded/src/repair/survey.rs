//! What is in the log, and what is not any more: one pass over every byte of it.

use hashbrown::{HashMap, HashSet};
use seqline_core::id::ConversationId;

use super::events::Teller;
use super::floors::Floors;
use crate::error::OpenError;
use crate::log::{FRAME_BYTES, Frame, Lsn, ReadError, Scan, Segments, Surveyed};
use crate::record::{self, Recipient, Rest};

/// Bytes of the log that do not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) from: Lsn,
    pub(super) bytes: u64,
}

/// A number that a segment gave to the name of a recipient.
pub(super) type Numbered = (u64, u32);
/// Keys of inboxes by the numbers that segments gave them.
pub(super) type Names = HashMap<Numbered, Box<[u8]>, foldhash::fast::RandomState>;
/// Where numbers are used whose names are lost: frames, with the positions in the inbox.
pub(super) type Nameless = HashMap<Numbered, Vec<(u64, u64)>, foldhash::fast::RandomState>;

/// What the log has.
#[derive(Default)]
pub(super) struct Survey {
    /// What does not hold, in order.
    pub(super) damaged: Vec<Range>,
    /// Segments between the first and the newest that are not there: freed ones, or lost ones.
    pub(super) missing: Vec<u64>,
    pub(super) floors: Floors,
    pub(super) nameless: Nameless,
    /// Recipients of those frames whose names are known, where they have such a position too.
    pub(super) others: HashSet<(u64, Box<[u8]>), foldhash::fast::RandomState>,
    /// Names of numbers that can be told without the frame that named them.
    pub(super) names: Names,
    pub(super) messages: u64,
}

/// Reads a log from its first to its last byte.
pub(super) fn take(log: &Surveyed, teller: &mut Teller<'_>) -> Result<Survey, OpenError> {
    let mut survey = Survey::default();
    let segments = &log.segments;
    let numbers = segments.numbers();
    let there: HashSet<u64> = numbers.iter().copied().collect();
    survey.missing = (1..log.newest).filter(|number| !there.contains(number)).collect();
    for segment in numbers {
        let mut reading = Reading { survey: &mut survey, segment, named: HashMap::default() };
        let mut before = segments.start(segment).raw();
        let scanned = segments.scan(segment, &mut |found| {
            let at = reading.take(&found, teller);
            teller.progress(at.saturating_sub(before));
            before = at.max(before);
        });
        scanned.map_err(|error| unreadable(segments, error))?;
        let segment = &segment;
        let Survey { nameless, names, .. } = &mut survey;
        nameless.retain(|number, _| number.0 != *segment || !names.contains_key(number));
    }
    for segment in &log.strange {
        let detail = "it is not the one that follows the segment before";
        teller.damage(format!("log segment {segment:016x}"), detail);
    }
    Ok(survey)
}

/// The system would not read.
pub(super) fn unreadable(segments: &Segments, error: ReadError) -> OpenError {
    OpenError::io("read", segments.dir())(error.into())
}

/// How long the whole of a frame is.
pub(super) fn frame_bytes(frame: &Frame<'_>) -> u64 {
    ((FRAME_BYTES + frame.head.len() + frame.rest.len()) as u64).next_multiple_of(8)
}

struct Reading<'a> {
    survey: &'a mut Survey,
    segment: u64,
    /// The numbers that got their names in this segment.
    named: HashMap<u32, Box<[u8]>, foldhash::fast::RandomState>,
}

impl Reading<'_> {
    /// Takes in what a scan came across, and says where that ends.
    fn take(&mut self, found: &Scan<'_>, teller: &mut Teller<'_>) -> u64 {
        match found {
            Scan::Frame(frame) => {
                let bytes = frame_bytes(frame);
                if self.frame(frame).is_none() {
                    self.damaged(frame.lsn, bytes, "cannot be understood", teller);
                }
                frame.lsn.raw() + bytes
            }
            Scan::Damaged { from, bytes } => {
                self.damaged(*from, *bytes, "do not hold", teller);
                from.raw() + bytes
            }
        }
    }

    fn damaged(&mut self, from: Lsn, bytes: u64, what: &str, teller: &mut Teller<'_>) {
        self.survey.damaged.push(Range { from, bytes });
        let place = format!("log segment {:016x}, {from:?}", self.segment);
        teller.damage(place, format!("{bytes} bytes {what}"));
    }

    /// `None` if it is no frame that this version wrote.
    fn frame(&mut self, frame: &Frame<'_>) -> Option<()> {
        match frame.kind {
            record::SEND | record::COPY => self.send(frame),
            record::TRIM => {
                let (timeline, first) = record::decode_trim(frame.head)?;
                self.survey.floors.raise(timeline, first.get());
                Some(())
            }
            _ => None,
        }
    }

    fn send(&mut self, frame: &Frame<'_>) -> Option<()> {
        let head = record::Head::decode(frame.head)?;
        let rest = Rest::decode(frame.rest)?;
        rest.recipients().all(|one| one.is_some()).then_some(())?;
        self.survey.messages += u64::from(frame.kind == record::SEND && !head.is_hole());
        let mut nameless = Vec::new();
        for (at, (who, seq)) in rest.recipients().flatten().enumerate() {
            match who {
                Recipient::Named(number, member) => {
                    self.named.insert(number, inbox_key(member));
                }
                Recipient::Numbered(number) if !self.named.contains_key(&number) => {
                    nameless.push((at, number, seq.get()));
                }
                Recipient::Numbered(_) => {}
            }
        }
        if !nameless.is_empty() {
            self.nameless(frame, &rest, &nameless);
        }
        Some(())
    }

    /// Some recipients of a send have numbers whose names are lost.
    fn nameless(&mut self, frame: &Frame<'_>, rest: &Rest<'_>, nameless: &[(usize, u32, u64)]) {
        let both = direct(frame.head);
        if both.len() == rest.count {
            for (at, number, _) in nameless {
                self.survey.names.insert((self.segment, *number), both[*at].clone());
            }
            return;
        }
        let lsn = frame.lsn.raw();
        for (_, number, seq) in nameless {
            let used = self.survey.nameless.entry((self.segment, *number)).or_default();
            used.push((lsn, *seq));
        }
        let seqs: HashSet<u64> = nameless.iter().map(|(_, _, seq)| *seq).collect();
        for (who, seq) in rest.recipients().flatten() {
            let (Recipient::Named(number, _) | Recipient::Numbered(number)) = who;
            if let Some(key) = self.named.get(&number).filter(|_| seqs.contains(&seq.get())) {
                self.survey.others.insert((lsn, key.clone()));
            }
        }
    }
}

/// The inboxes of a message between two, as a send lists them: the sender's first. None if it is
/// another one.
fn direct(head: &[u8]) -> Vec<Box<[u8]>> {
    let message = record::message(&bytes::Bytes::copy_from_slice(head));
    let Some(message) = message else { return Vec::new() };
    let (ConversationId::Direct(low, high), Some(sender)) = (message.conversation, message.sender)
    else {
        return Vec::new();
    };
    let mut both = match sender == low {
        true => vec![low, high],
        false => vec![high, low],
    };
    both.dedup();
    both.iter().map(|id| inbox_key(id.as_bytes())).collect()
}

/// The key of a member's inbox.
pub(super) fn inbox_key(member: &[u8]) -> Box<[u8]> {
    [b"i", member].concat().into_boxed_slice()
}
