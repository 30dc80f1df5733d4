//! Reading pages and bounds: everything from one snapshot, so a page is one moment.

use fjall::{Readable as _, Snapshot};
use seqline_core::Result;
use seqline_core::id::{ConversationId, TimelineId};
use seqline_core::message::Message;
use seqline_core::page::{Bounds, Direction, Entry, Page, Read};
use seqline_core::seq::Seq;

use crate::engine::Engine;
use crate::error;
use crate::keys::{self, TimelineNumber};
use crate::{record, timelines, trim};

/// How many messages of an inbox are fetched before the bytes are looked at again: with the
/// largest default bodies that is 16 MiB.
const FETCH_ENTRIES: usize = 64;

/// Where a message is: its conversation's number and its seq there.
type Place = (TimelineNumber, Seq);

/// Reads one page.
pub(crate) fn page(engine: &Engine, read: &Read) -> Result<Page> {
    let snapshot = engine.snapshot();
    let empty = |bounds| Page { entries: Vec::new(), bounds, epoch: engine.epoch, more: false };
    let Some(number) = engine.number(&snapshot, &read.timeline.key())? else {
        return Ok(empty(Bounds::EMPTY));
    };
    let bounds = bounds_of(engine, &snapshot, &read.timeline, number)?;
    let low = read.after.next().max(bounds.first);
    let high = read.until.min(bounds.latest);
    // `next` stops at the largest seq, which is then not above the cursor.
    if low > high || low <= read.after {
        return Ok(empty(bounds));
    }
    let mut reader = Reader { engine, snapshot, read, number, bytes: 0, entries: Vec::new() };
    match &read.timeline {
        TimelineId::Inbox(_) => reader.inbox(low, high)?,
        TimelineId::Conversation(id) => reader.conversation(id, low, high)?,
    }
    let wanted = high.get() - low.get() + 1;
    let more = (reader.entries.len() as u64) < wanted;
    Ok(Page { entries: reader.entries, bounds, epoch: engine.epoch, more })
}

/// The bounds of many timelines at one moment.
pub(crate) fn bounds(engine: &Engine, timelines: &[TimelineId]) -> Result<Vec<Bounds>> {
    let snapshot = engine.snapshot();
    let one = |timeline: &TimelineId| match engine.number(&snapshot, &timeline.key())? {
        Some(number) => bounds_of(engine, &snapshot, timeline, number),
        None => Ok(Bounds::EMPTY),
    };
    timelines.iter().map(one).collect()
}

fn bounds_of(
    engine: &Engine,
    snapshot: &Snapshot,
    timeline: &TimelineId,
    number: TimelineNumber,
) -> Result<Bounds> {
    let latest = timelines::latest(engine, snapshot, timeline, number)?;
    Ok(Bounds { first: trim::first(engine, snapshot, number)?, latest })
}

/// A page in the making.
struct Reader<'a> {
    engine: &'a Engine,
    snapshot: Snapshot,
    read: &'a Read,
    number: TimelineNumber,
    bytes: usize,
    entries: Vec<Entry>,
}

impl Reader<'_> {
    /// Fills the page with the entries from `low` to `high` of a conversation.
    fn conversation(&mut self, id: &ConversationId, low: Seq, high: Seq) -> Result<()> {
        let range = keys::entry(self.number, low)..=keys::entry(self.number, high);
        let rows = self.snapshot.range(&self.engine.messages, range);
        let mut seqs = Seqs::new(self.read.direction, low, high);
        for row in in_direction(self.read.direction, rows) {
            if self.entries.len() >= self.read.entries_max {
                return Ok(());
            }
            let (key, value) = row.into_inner().map_err(error::engine)?;
            let seq = self.expect(&key, &mut seqs)?;
            let message = self.message(id, seq, &key, &value)?;
            if !self.push(seq, message) {
                return Ok(());
            }
        }
        self.at_end(&mut seqs)
    }

    /// Fills the page with the entries from `low` to `high` of an inbox.
    fn inbox(&mut self, low: Seq, high: Seq) -> Result<()> {
        let range = keys::entry(self.number, low)..=keys::entry(self.number, high);
        let rows = self.snapshot.range(&self.engine.inbox, range);
        let mut seqs = Seqs::new(self.read.direction, low, high);
        let mut places = Vec::with_capacity(FETCH_ENTRIES);
        let mut left = self.read.entries_max;
        for row in in_direction(self.read.direction, rows).take(left) {
            let (key, value) = row.into_inner().map_err(error::engine)?;
            let seq = self.expect(&key, &mut seqs)?;
            let place = keys::decode_entry(&value)
                .ok_or_else(|| self.corrupt(seq, "the reference is cut off"))?;
            places.push((seq, place));
            left -= 1;
            if places.len() == FETCH_ENTRIES && !self.fetch(&mut places)? {
                return Ok(());
            }
        }
        if self.fetch(&mut places)? && left > 0 {
            return self.at_end(&mut seqs);
        }
        Ok(())
    }

    /// Fetches the messages at `places` and adds them to the page; says whether it has room.
    fn fetch(&mut self, places: &mut Vec<(Seq, Place)>) -> Result<bool> {
        // In the order of their keys, so that neighbours come from the same blocks.
        let mut order: Vec<usize> = (0..places.len()).collect();
        order.sort_unstable_by_key(|index| places[*index].1);
        let mut messages: Vec<Option<Message>> = vec![None; places.len()];
        for index in order {
            let (seq, (conversation, message_seq)) = places[index];
            let key = keys::entry(conversation, message_seq);
            let row = self.snapshot.get(&self.engine.messages, key).map_err(error::engine)?;
            let value = row.ok_or_else(|| self.corrupt(seq, "its message is missing"))?;
            let id = self.engine.conversation(&self.snapshot, conversation)?;
            messages[index] = Some(self.message(&id, message_seq, &key, &value)?);
        }
        for ((seq, _), message) in places.drain(..).zip(messages).collect::<Vec<_>>() {
            let Some(message) = message else { continue };
            if !self.push(seq, message) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Adds an entry unless the page is full; the first one fits however large it is.
    fn push(&mut self, seq: Seq, message: Message) -> bool {
        let bytes = self.bytes.saturating_add(message.body.len());
        if bytes > self.read.bytes_max && !self.entries.is_empty() {
            return false;
        }
        self.bytes = bytes;
        self.entries.push(Entry { seq, message });
        true
    }

    fn message(
        &self,
        conversation: &ConversationId,
        seq: Seq,
        key: &[u8],
        value: &[u8],
    ) -> Result<Message> {
        let timeline = || TimelineId::Conversation(conversation.clone());
        let record = record::decode(key, value)
            .map_err(|detail| error::corrupt(&timeline(), seq, detail))?;
        Ok(Message {
            id: record.id,
            conversation: conversation.clone(),
            seq,
            sender: record.sender,
            at: record.at,
            body: record.body,
        })
    }

    /// The seq in `key`, which must be the next one: a hole is never passed over in silence.
    fn expect(&self, key: &[u8], seqs: &mut Seqs) -> Result<Seq> {
        let wanted = seqs.next();
        let found = keys::decode_entry(key).map(|(_, seq)| seq);
        match (found, wanted) {
            (Some(found), Some(wanted)) if found == wanted => Ok(found),
            (_, wanted) => Err(self.corrupt(wanted.unwrap_or_default(), "the entry is missing")),
        }
    }

    /// The rows have ended: so must the seqs.
    fn at_end(&self, seqs: &mut Seqs) -> Result<()> {
        match seqs.next() {
            Some(seq) => Err(self.corrupt(seq, "the entry is missing")),
            None => Ok(()),
        }
    }

    fn corrupt(&self, seq: Seq, detail: &str) -> seqline_core::Error {
        error::corrupt(&self.read.timeline, seq, detail)
    }
}

/// The seqs from `low` to `high`, from the end that the direction begins with.
struct Seqs {
    backward: bool,
    low: u64,
    /// One past the highest.
    end: u64,
}

impl Seqs {
    fn new(direction: Direction, low: Seq, high: Seq) -> Seqs {
        Seqs { backward: direction == Direction::Backward, low: low.get(), end: high.get() + 1 }
    }

    fn next(&mut self) -> Option<Seq> {
        if self.low >= self.end {
            return None;
        }
        if self.backward {
            self.end -= 1;
            return Some(Seq::new(self.end));
        }
        self.low += 1;
        Some(Seq::new(self.low - 1))
    }
}

fn in_direction(direction: Direction, rows: fjall::Iter) -> Box<dyn Iterator<Item = fjall::Guard>> {
    match direction {
        Direction::Forward => Box::new(rows),
        Direction::Backward => Box::new(rows.rev()),
    }
}
