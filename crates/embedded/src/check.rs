//! Verifying everything stored: one pass over each keyspace, in bounded memory.
//!
//! Messages are never deleted and each conversation must have all from 1 on, so a reference is
//! good exactly if it does not point past its conversation's newest message.

use fjall::{Keyspace, Readable as _, Snapshot};
use hashbrown::HashMap;
use quick_cache::unsync::Cache;
use seqline_core::id::TimelineId;
use seqline_core::seq::Seq;
use seqline_core::store::{CheckEvent, CheckSummary};
use seqline_core::{Error, Result};

use crate::dedupe::Answer;
use crate::engine::Engine;
use crate::keys::{self, TimelineNumber};
use crate::{error, record, timelines, trim};

/// Rows between two reports of progress.
const PROGRESS_ROWS: u64 = 65_536;
/// Conversations whose newest message is remembered.
const CONVERSATIONS_MAX: usize = 100_000;
/// Conversations of one inbox whose order is followed at the same time.
const ORDERS_MAX: usize = 1_000_000;

/// Checks the state that is stored when it begins.
pub(crate) fn run(engine: &Engine, report: &mut dyn FnMut(CheckEvent)) -> Result<CheckSummary> {
    let total = engine.keyspaces().into_iter().map(|k| k.approximate_len() as u64).sum();
    let mut check = Check {
        engine,
        snapshot: engine.snapshot(),
        report,
        summary: CheckSummary::default(),
        done: 0,
        total,
        latest: Cache::new(CONVERSATIONS_MAX),
        orders: HashMap::default(),
    };
    check.names()?;
    check.messages()?;
    check.inboxes()?;
    check.keys()?;
    check.meta()?;
    let done = check.done;
    (check.report)(CheckEvent::Progress { done, total: done });
    Ok(check.summary)
}

struct Check<'a> {
    engine: &'a Engine,
    snapshot: Snapshot,
    report: &'a mut dyn FnMut(CheckEvent),
    summary: CheckSummary,
    done: u64,
    total: u64,
    /// The newest message of conversations that were referred to.
    latest: Cache<TimelineNumber, Seq>,
    /// Of the inbox in hand: the newest message seen of each conversation.
    orders: HashMap<TimelineNumber, Seq, foldhash::fast::RandomState>,
}

/// The timeline whose rows are being read.
#[derive(Default)]
struct Current {
    number: TimelineNumber,
    /// The seq read last; `ZERO` before the first.
    seq: Seq,
    /// The time of the message read last.
    at: u64,
}

impl Check<'_> {
    /// Names and numbers must point at each other, and each must be a timeline with entries.
    fn names(&mut self) -> Result<()> {
        self.rows(&self.engine.names.clone(), |check, key, value| {
            let other = match keys::decode_name(key) {
                Some(timeline) => {
                    check.summary.timelines += 1;
                    keys::decode_u64(value).map(|n| (keys::number(n).to_vec(), timeline.to_vec()))
                }
                None => {
                    keys::decode_number(key).map(|n| (keys::name(value), n.to_be_bytes().to_vec()))
                }
            };
            let Some((other, expected)) = other else {
                check.problem(format!("name {key:02x?}"), "it cannot be read");
                return Ok(());
            };
            let found = check.snapshot.get(&check.engine.names, other).map_err(error::engine)?;
            if found.as_deref() != Some(&expected[..]) {
                check.problem(format!("name {key:02x?}"), "the way back is another one");
            }
            if let (Some(timeline), Some(number)) =
                (keys::decode_name(key), keys::decode_u64(value))
            {
                check.named(timeline, number)?;
            }
            Ok(())
        })
    }

    fn named(&mut self, timeline: &[u8], number: TimelineNumber) -> Result<()> {
        let Some(timeline) = TimelineId::from_key(timeline) else {
            self.problem(format!("timeline {number}"), "its name is none");
            return Ok(());
        };
        let latest = timelines::latest(self.engine, &self.snapshot, &timeline, number)?;
        if latest == Seq::ZERO {
            self.problem(timeline.to_string(), "it has a name and no entry");
        }
        Ok(())
    }

    /// Every message must be whole, its conversation's numbers without a hole, times in order.
    fn messages(&mut self) -> Result<()> {
        let mut current = Current::default();
        self.rows(&self.engine.messages.clone(), |check, key, value| {
            let Some((number, seq)) = keys::decode_entry(key) else {
                check.problem(format!("message {key:02x?}"), "its key cannot be read");
                return Ok(());
            };
            check.summary.messages += 1;
            if number != current.number {
                current = Current { number, ..Current::default() };
                if let Err(Error::Corrupt { detail, .. }) =
                    check.engine.conversation(&check.snapshot, number)
                {
                    check.problem(check.place(number), detail);
                }
            }
            check.follows(&mut current, seq, Seq::FIRST);
            match record::decode(key, value) {
                Ok(record) if record.at.0 < current.at => {
                    check.problem(check.entry(number, seq), "its time is before the one before it");
                }
                Ok(record) => current.at = record.at.0,
                Err(detail) => check.problem(check.entry(number, seq), detail),
            }
            Ok(())
        })
    }

    /// Every inbox must be without a hole from its oldest entry on; every reference must lead to
    /// a message; and each conversation's messages must stand in its order.
    fn inboxes(&mut self) -> Result<()> {
        let mut current = Current::default();
        let mut first = Seq::FIRST;
        self.rows(&self.engine.inbox.clone(), |check, key, value| {
            let entry = keys::decode_entry(key).zip(keys::decode_entry(value));
            let Some(((number, seq), (conversation, message))) = entry else {
                check.problem(format!("inbox entry {key:02x?}"), "it cannot be read");
                return Ok(());
            };
            if number != current.number {
                current = Current { number, ..Current::default() };
                check.orders.clear();
                first = trim::first(check.engine, &check.snapshot, number)?;
                check.is_inbox(number)?;
            }
            if seq < first {
                // Trimmed, and still to be deleted.
                return Ok(());
            }
            check.summary.inbox_entries += 1;
            check.follows(&mut current, seq, first);
            if message == Seq::ZERO || message > check.latest(conversation)? {
                check.problem(check.entry(number, seq), "its message is missing");
            }
            if check.orders.len() >= ORDERS_MAX {
                check.orders.clear();
            }
            if check.orders.insert(conversation, message).is_some_and(|before| before >= message) {
                check.problem(check.entry(number, seq), "it is out of its conversation's order");
            }
            Ok(())
        })
    }

    /// Every idempotency key must be whole and have its time, and every time its form.
    fn keys(&mut self) -> Result<()> {
        self.rows(&self.engine.dedupe.clone(), |check, key, value| {
            let place = format!("idempotency key {key:02x?}");
            if keys::decode_dedupe(key).is_none() {
                if keys::decode_expiry(key).is_none() {
                    check.problem(place, "it cannot be read");
                }
                return Ok(());
            }
            let Some(answer) = Answer::decode(key, value) else {
                check.problem(place, "its checksum does not match");
                return Ok(());
            };
            let expiry = keys::expiry(answer.receipt.at.0, key);
            let known = check.snapshot.contains_key(&check.engine.dedupe, expiry);
            if !known.map_err(error::engine)? {
                check.problem(place, "it would never be forgotten");
            }
            Ok(())
        })
    }

    /// No timeline may be trimmed past its newest entry.
    fn meta(&mut self) -> Result<()> {
        self.rows(&self.engine.meta.clone(), |check, key, _| {
            let Some(number) = keys::decode_floor(key) else { return Ok(()) };
            let first = trim::first(check.engine, &check.snapshot, number)?;
            let Some(timeline) = check.timeline(number)? else {
                check.problem(check.place(number), "it is trimmed and has no name");
                return Ok(());
            };
            if first > timelines::latest(check.engine, &check.snapshot, &timeline, number)? {
                check.problem(check.place(number), "it is trimmed past its newest entry");
            }
            Ok(())
        })
    }

    /// Visits every row of a keyspace. One that the engine cannot read ends the visit, as what
    /// lies behind it cannot be told.
    fn rows(
        &mut self,
        keyspace: &Keyspace,
        mut visit: impl FnMut(&mut Self, &[u8], &[u8]) -> Result<()>,
    ) -> Result<()> {
        for row in self.snapshot.iter(keyspace) {
            let visited = match row.into_inner() {
                Ok((key, value)) => visit(self, &key, &value),
                Err(error) => {
                    self.problem(format!("keyspace {}", keyspace.name()), error.to_string());
                    return Ok(());
                }
            };
            match visited {
                Err(Error::Corrupt { timeline, detail, .. }) => self.problem(timeline, detail),
                other => other?,
            }
            self.done += 1;
            if self.done.is_multiple_of(PROGRESS_ROWS) {
                let (done, total) = (self.done, self.total.max(self.done));
                (self.report)(CheckEvent::Progress { done, total });
            }
        }
        Ok(())
    }

    /// Whether `seq` comes right after the one before it.
    fn follows(&mut self, current: &mut Current, seq: Seq, first: Seq) {
        let expected = if current.seq == Seq::ZERO { first } else { current.seq.next() };
        if seq != expected {
            let place = self.entry(current.number, expected);
            self.problem(place, format!("the entries up to {} are missing", seq.previous()));
        }
        current.seq = seq;
    }

    fn is_inbox(&mut self, number: TimelineNumber) -> Result<()> {
        if !matches!(self.timeline(number)?, Some(TimelineId::Inbox(_))) {
            self.problem(self.place(number), "it has entries of an inbox and is none");
        }
        Ok(())
    }

    fn latest(&mut self, number: TimelineNumber) -> Result<Seq> {
        if let Some(latest) = self.latest.get(&number) {
            return Ok(*latest);
        }
        let id = self.engine.conversation(&self.snapshot, number)?;
        let latest = timelines::latest(self.engine, &self.snapshot, &id.into(), number)?;
        self.latest.insert(number, latest);
        Ok(latest)
    }

    fn timeline(&self, number: TimelineNumber) -> Result<Option<TimelineId>> {
        let row = self.snapshot.get(&self.engine.names, keys::number(number));
        Ok(row.map_err(error::engine)?.and_then(|key| TimelineId::from_key(&key)))
    }

    fn place(&self, number: TimelineNumber) -> String {
        match self.timeline(number) {
            Ok(Some(timeline)) => timeline.to_string(),
            _ => format!("timeline {number}"),
        }
    }

    fn entry(&self, number: TimelineNumber, seq: Seq) -> String {
        format!("{} at {seq}", self.place(number))
    }

    fn problem(&mut self, place: String, detail: impl Into<String>) {
        self.summary.problems += 1;
        (self.report)(CheckEvent::Problem { place, detail: detail.into() });
    }
}
