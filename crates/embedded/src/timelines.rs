//! What the committer knows of the timelines in use: number, newest entry, newest time.
//!
//! Only the committer has it, and within a commit it is the truth: nothing may leave it until
//! the batch it belongs to is on disk. So it is two generations: the old one goes between
//! commits, when the young one has grown to half of what is allowed.

use std::ops::RangeInclusive;

use fjall::{Keyspace, Readable as _, Snapshot};
use hashbrown::HashMap;
use seqline_core::Result;
use seqline_core::id::TimelineId;
use seqline_core::seq::Seq;

use crate::engine::Engine;
use crate::error;
use crate::keys::{self, TimelineNumber};
use crate::record;

/// What an entry costs beside the bytes of its key: table slot, state, allocation.
const OVERHEAD_BYTES: usize = 96;

/// A timeline in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    pub(crate) number: TimelineNumber,
    /// The newest entry; `ZERO` means that the timeline has no name on disk yet.
    pub(crate) latest: Seq,
    /// The time of the newest message; 0 for an inbox.
    pub(crate) at: u64,
}

type Generation = HashMap<Box<[u8]>, Tail, foldhash::fast::RandomState>;

/// The timelines in use.
pub(crate) struct Tails {
    young: Generation,
    old: Generation,
    young_bytes: usize,
    bytes_max: usize,
    next_number: TimelineNumber,
}

impl Tails {
    /// Nothing in use; takes about `bytes_max`.
    pub(crate) fn new(engine: &Engine, bytes_max: u64) -> Result<Tails> {
        let range = keys::NUMBER_START..keys::NUMBER_END;
        let last = match engine.snapshot().range(&engine.names, range).next_back() {
            None => 0,
            Some(row) => {
                let key = row.key().map_err(error::engine)?;
                let damaged = || error::corrupt(&"names", Seq::ZERO, "a number is cut off");
                keys::decode_number(&key).ok_or_else(damaged)?
            }
        };
        Ok(Tails {
            young: Generation::default(),
            old: Generation::default(),
            young_bytes: 0,
            bytes_max: usize::try_from(bytes_max).unwrap_or(usize::MAX),
            next_number: last + 1,
        })
    }

    /// Makes the timeline with this key known; a new one gets a number.
    ///
    /// # Errors
    /// If its newest entry cannot be read. Nothing has changed then.
    pub(crate) fn load(&mut self, engine: &Engine, key: &[u8]) -> Result<Tail> {
        if let Some(tail) = self.young.get(key) {
            return Ok(*tail);
        }
        let tail = match self.old.remove(key) {
            Some(tail) => tail,
            None => match stored(engine, key)? {
                Some(tail) => tail,
                None => {
                    self.next_number += 1;
                    Tail { number: self.next_number - 1, latest: Seq::ZERO, at: 0 }
                }
            },
        };
        self.young_bytes += key.len() + OVERHEAD_BYTES;
        self.young.insert(key.into(), tail);
        Ok(tail)
    }

    /// The timeline with this key, for its next entry.
    pub(crate) fn get_mut(&mut self, key: &[u8]) -> &mut Tail {
        self.young.get_mut(key).expect("a timeline is loaded before an entry is assigned")
    }

    /// Lets old timelines go. Only between commits.
    pub(crate) fn shrink(&mut self) {
        if self.young_bytes > self.bytes_max / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
    }
}

/// What is on disk of the timeline with this key.
fn stored(engine: &Engine, key: &[u8]) -> Result<Option<Tail>> {
    let snapshot = engine.snapshot();
    let Some(number) = engine.number(&snapshot, key)? else { return Ok(None) };
    let inbox = key.first() == Some(&b'i');
    let (latest, at) = match inbox {
        true => (latest_key(&snapshot, &engine.inbox, number)?, 0),
        false => newest_message(engine, &snapshot, number)?,
    };
    if latest == Seq::ZERO {
        let timeline = TimelineId::from_key(key).map(|t| t.to_string()).unwrap_or_default();
        return Err(error::corrupt(&timeline, latest, "it has a name and no entry"));
    }
    Ok(Some(Tail { number, latest, at }))
}

/// The newest entry of a timeline; `ZERO` if it has none.
pub(crate) fn latest(
    engine: &Engine,
    snapshot: &Snapshot,
    timeline: &TimelineId,
    number: TimelineNumber,
) -> Result<Seq> {
    match timeline {
        TimelineId::Inbox(_) => latest_key(snapshot, &engine.inbox, number),
        TimelineId::Conversation(_) => latest_key(snapshot, &engine.messages, number),
    }
}

fn latest_key(snapshot: &Snapshot, keyspace: &Keyspace, number: TimelineNumber) -> Result<Seq> {
    let Some(row) = snapshot.range(keyspace, all(number)).next_back() else {
        return Ok(Seq::ZERO);
    };
    seq(number, &row.key().map_err(error::engine)?)
}

/// The newest message of a conversation and its time.
fn newest_message(
    engine: &Engine,
    snapshot: &Snapshot,
    number: TimelineNumber,
) -> Result<(Seq, u64)> {
    let Some(row) = snapshot.range(&engine.messages, all(number)).next_back() else {
        return Ok((Seq::ZERO, 0));
    };
    let (key, value) = row.into_inner().map_err(error::engine)?;
    let seq = seq(number, &key)?;
    // A damaged time would stay for ever, as times never step back: rather refuse the send.
    let record = record::decode(&key, &value)
        .map_err(|detail| error::corrupt(&format!("timeline {number}"), seq, detail))?;
    Ok((seq, record.at.0))
}

fn all(number: TimelineNumber) -> RangeInclusive<[u8; keys::ENTRY_BYTES]> {
    keys::entry(number, Seq::ZERO)..=keys::entry(number, Seq::MAX)
}

fn seq(number: TimelineNumber, key: &[u8]) -> Result<Seq> {
    let seq = keys::decode_entry(key).map(|(_, seq)| seq);
    seq.ok_or_else(|| error::corrupt(&format!("timeline {number}"), Seq::ZERO, "a key is cut off"))
}
