//! A damaged log: what survives is written to a new one, in the same order, and an index is made
//! for it. Timelines are without holes again, so entries behind a loss get other numbers.

use hashbrown::HashMap;
use seqline_core::seq::Seq;
use seqline_core::store::Receipt;

use super::events::Teller;
use super::losses::{Losses, conversation};
use super::old::OldIndex;
use super::survey::{Survey, frame_bytes, inbox_key, unreadable};
use crate::build::Builder;
use crate::error::OpenError;
use crate::log::{Frame, Lsn, Scan, Segments, Writer};
use crate::record::{self, Recipient, Rest};
use crate::rows::{self, Answer};
use crate::timelines::Place;
use crate::varint;

/// Bytes written together.
const GROUP_BYTES: u64 = 4 * 1024 * 1024;

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// A log and its index in the making.
pub(super) struct Rewrite<'a> {
    pub(super) builder: Builder,
    pub(super) log: Writer,
    pub(super) epoch: u64,
    pub(super) survey: &'a mut Survey,
    pub(super) losses: &'a Losses,
    pub(super) old: &'a OldIndex,
    pub(super) state: State,
}

/// What changes from frame to frame.
#[derive(Default)]
pub(super) struct State {
    /// Keys of inboxes by their numbers in the segment that is read.
    names: Map<u32, Box<[u8]>>,
    /// The numbers they have in the segment that is written.
    numbers: Map<Box<[u8]>, u32>,
    /// How far old numbers of conversations are ahead of the new ones, where they are.
    shifts: Map<Box<[u8]>, u64>,
    /// Bytes since the last commit.
    group: u64,
    head: Vec<u8>,
    rest: Vec<u8>,
}

/// A recipient of a message that survives.
struct Delivery {
    key: Box<[u8]>,
    place: Place,
    seq: Seq,
}

impl Rewrite<'_> {
    /// Writes everything and makes it durable.
    pub(super) fn run(
        mut self,
        from: &Segments,
        to: &Segments,
        teller: &mut Teller<'_>,
    ) -> Result<(), OpenError> {
        for segment in from.numbers() {
            self.state.names.clear();
            let told = self.survey.names.iter().filter(|((of, _), _)| *of == segment);
            let told = told.map(|((_, number), key)| (*number, key.clone()));
            self.state.names.extend(told);
            let mut done = Ok(());
            let scanned = from.scan(segment, &mut |found| {
                if let Scan::Frame(frame) = found
                    && done.is_ok()
                {
                    done = self.frame(&frame, teller);
                    teller.progress(frame_bytes(&frame));
                }
            });
            scanned.map_err(|error| unreadable(from, error))?;
            done?;
        }
        self.trims()?;
        self.log.commit(true).map_err(OpenError::io("write to", to.dir()))?;
        let replay = to.start(self.log.segment());
        self.builder.finish(replay)
    }

    fn frame(&mut self, frame: &Frame<'_>, teller: &mut Teller<'_>) -> Result<(), OpenError> {
        // What the survey could not understand was told as damage.
        let (true, Some(head), Some(rest)) = (
            record::is_message(frame.kind),
            record::Head::decode(frame.head),
            Rest::decode(frame.rest),
        ) else {
            return Ok(());
        };
        if rest.recipients().any(|one| one.is_none()) {
            return Ok(());
        }
        let (mut seq, mut place) = (head.seq, None);
        if frame.kind == record::SEND {
            let conversation = self.place(head.conversation)?;
            seq = Seq::new(self.builder.latest(conversation) + 1);
            place = Some(conversation);
            self.missed(head.conversation, head.seq.get(), seq.get(), teller);
            self.survey.floors.survives(head.conversation, head.seq.get());
        }
        let deliveries = self.deliveries(&rest)?;
        let lost = (rest.count - deliveries.len()) as u64;
        if lost > 0 {
            teller.deliveries_lost(conversation(head.conversation), seq.get(), lost);
        }
        if place.is_none() && deliveries.is_empty() {
            return Ok(());
        }
        let lsn = self.write(frame, &rest, seq, &deliveries)?;
        if let Some(place) = place {
            self.builder.push(place, lsn, head.at.0);
        }
        for delivery in &deliveries {
            self.builder.push(delivery.place, lsn, 0);
        }
        if let Some((key, digest)) = rest.key {
            let receiver_seq = deliveries.last().map_or(Seq::ZERO, |delivery| delivery.seq);
            let (id, at, conversation_seq) = (head.id, head.at, seq);
            let receipt = Receipt { id, conversation_seq, receiver_seq, at, repeat: false };
            let row = rows::key_key(head.conversation, key);
            self.builder.answer(&row, &Answer { digest, receipt });
        }
        self.builder.relieve()
    }

    /// Where a timeline is; of one that is met for the first time, how far it was trimmed.
    fn place(&mut self, key: &[u8]) -> Result<Place, OpenError> {
        let place = self.builder.place(key)?;
        if self.builder.latest(place) == 0 {
            self.survey.floors.learn(key, self.old);
        }
        Ok(place)
    }

    /// Tells the messages that are missing between this one and the one before, unless the index
    /// told them.
    fn missed(&mut self, key: &[u8], old: u64, new: u64, teller: &mut Teller<'_>) {
        let shift = self.state.shifts.get(key).copied().unwrap_or(0);
        let expected = new.wrapping_add(shift);
        if old == expected {
            return;
        }
        // What stood in a segment that is not there at all was told as a whole.
        let begins = new == 1 && !self.survey.missing.is_empty();
        if old > expected && !begins {
            let first = self.survey.floors.get(key).max(expected);
            for seq in (first..old).filter(|seq| !self.losses.knows(key, *seq)) {
                teller.message_lost(conversation(key), seq, None);
            }
        }
        self.state.shifts.insert(key.into(), old.wrapping_sub(new));
    }

    fn deliveries(&mut self, rest: &Rest<'_>) -> Result<Vec<Delivery>, OpenError> {
        let mut deliveries: Vec<Delivery> = Vec::with_capacity(rest.count.min(4096));
        for (who, old) in rest.recipients().flatten() {
            let number = match who {
                Recipient::Named(number, member) => {
                    self.state.names.insert(number, inbox_key(member));
                    number
                }
                Recipient::Numbered(number) => number,
            };
            let Some(key) = self.state.names.get(&number).cloned() else { continue };
            let place = self.place(&key)?;
            self.survey.floors.survives(&key, old.get());
            let seq = Seq::new(self.builder.latest(place) + 1);
            deliveries.push(Delivery { key, place, seq });
        }
        Ok(deliveries)
    }

    /// Writes a send with its new numbers, in the next segment if it does not fit into this one.
    fn write(
        &mut self,
        frame: &Frame<'_>,
        rest: &Rest<'_>,
        seq: Seq,
        deliveries: &[Delivery],
    ) -> Result<Lsn, OpenError> {
        self.state.head.clear();
        record::put_renumbered(&mut self.state.head, frame.head, seq)
            .ok_or_else(|| self.too_long("a head that cannot be read"))?;
        let names: usize = deliveries.iter().map(|one| one.key.len() + 3 * varint::BYTES_MAX).sum();
        let key = rest.key.map_or(0, |(key, _)| key.len() + 32);
        let most = self.state.head.len() + names + key + 2 * varint::BYTES_MAX;
        if most > self.log.room() {
            self.roll()?;
        }
        if most > self.log.room() {
            return Err(self.too_long("a message longer than a segment"));
        }
        let State { numbers, rest: out, .. } = &mut self.state;
        out.clear();
        record::put_rest(
            out,
            rest.key.as_ref().map(|(key, digest)| (*key, digest)),
            deliveries.len(),
        );
        for delivery in deliveries {
            if let Some(number) = numbers.get(&delivery.key) {
                record::put_numbered(out, *number, delivery.seq);
                continue;
            }
            let number = u32::try_from(numbers.len()).expect("a segment has no more");
            record::put_named(out, number, &delivery.key[1..], delivery.seq);
            numbers.insert(delivery.key.clone(), number);
        }
        let lsn = self.log.push(frame.kind, &self.state.head, &self.state.rest);
        self.state.group += (self.state.head.len() + self.state.rest.len()) as u64;
        if self.state.group >= GROUP_BYTES {
            self.log.commit(false).map_err(OpenError::io("write to", self.builder.dir()))?;
            self.state.group = 0;
        }
        Ok(lsn)
    }

    /// Hides as many entries as survive of those that had been trimmed.
    fn trims(&mut self) -> Result<(), OpenError> {
        for (timeline, floor) in self.survey.floors.iter() {
            if floor.hidden == 0 {
                continue;
            }
            let place = self.builder.place(timeline)?;
            // The newest entry stays, as in every trim.
            let first = (floor.hidden + 1).min(self.builder.latest(place));
            let mut head = Vec::with_capacity(timeline.len() + varint::BYTES_MAX);
            record::put_trim(&mut head, timeline, Seq::new(first));
            if head.len() > self.log.room() {
                let rolled = self.log.roll(self.epoch);
                rolled.map_err(OpenError::io("write to", self.builder.dir()))?;
            }
            self.log.push(record::TRIM, &head, &[]);
            self.builder.trim(timeline, first)?;
        }
        Ok(())
    }

    fn roll(&mut self) -> Result<(), OpenError> {
        self.state.numbers.clear();
        self.state.group = 0;
        self.log.roll(self.epoch).map_err(OpenError::io("write to", self.builder.dir()))
    }

    fn too_long(&self, detail: &str) -> OpenError {
        OpenError::damaged(self.builder.dir(), detail)
    }
}
