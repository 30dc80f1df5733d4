//! One commit in the making: the sends of a group, their numbers, and their frames in the log.
//!
//! What can fail comes before the first number is given away. What stands in the log's buffer is
//! wholly in the log or not at all once it is committed.

use seqline_core::clock::UnixMillis;
use seqline_core::seq::Seq;
use seqline_core::store::Receipt;
use seqline_core::watch::Watchers;
use seqline_core::{Error, Result};

use crate::backlog::NewKey;
use crate::dedupe::{Dedupe, Found};
use crate::engine::Engine;
use crate::loader;
use crate::log::Writer;
use crate::queue::{Append, Places};
use crate::record;
use crate::rows::Answer;
use crate::timelines::{Assigned, Changes, Numbers, Place, Publication};

/// Sends published under one lock.
const PUBLISHED_TOGETHER: usize = 64;

/// What the committer numbers with.
pub(crate) struct Numbering {
    pub(crate) numbers: Numbers,
    pub(crate) dedupe: Dedupe,
    /// How many names the segment that is being written has.
    pub(crate) names: u32,
    /// Which commit is in the making.
    pub(crate) commit: u64,
    head: Vec<u8>,
    rest: Vec<u8>,
}

impl Numbering {
    pub(crate) fn new(dedupe: Dedupe, names: u32) -> Numbering {
        let (head, rest) = (Vec::new(), Vec::new());
        Numbering { numbers: Numbers::default(), dedupe, names, commit: 1, head, rest }
    }
}

/// A send that is in the log's buffer.
struct Stored {
    append: Box<Append>,
    receipt: Receipt,
    lsn: u64,
}

/// The sends of one commit, in order.
#[derive(Default)]
pub(crate) struct Group {
    stored: Vec<Stored>,
    /// Answers that hold only if the commit does, or whatever becomes of it.
    others: Vec<(Box<Append>, Result<Receipt>, bool)>,
    keys: Vec<NewKey>,
    /// Inbox entries among them.
    pub(crate) deliveries: u64,
}

impl Group {
    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.stored.is_empty()
    }

    /// How many sends it stores.
    pub(crate) fn len(&self) -> usize {
        self.stored.len()
    }

    /// Takes a send in: it gets its numbers and a frame, or an answer without either. The log
    /// must have room for the frame.
    pub(crate) fn add(
        &mut self,
        engine: &Engine,
        log: &mut Writer,
        numbering: &mut Numbering,
        now: UnixMillis,
        mut append: Box<Append>,
    ) {
        if let Some(key) = &append.key {
            match numbering.dedupe.find(&engine.index, key, now) {
                Ok(Found::New) => {}
                Ok(Found::Before { result, commit }) => {
                    let depends = commit == Some(numbering.commit);
                    return self.others.push((append, result, depends));
                }
                Err(error) => return self.others.push((append, Err(error), false)),
            }
        }
        match ready(engine, &mut numbering.numbers, &mut append) {
            Ok(()) => self.store(log, numbering, now, append),
            Err(error) => self.others.push((append, Err(error), false)),
        }
    }

    /// Assigns the numbers and writes the frame. Cannot fail.
    fn store(
        &mut self,
        log: &mut Writer,
        numbering: &mut Numbering,
        now: UnixMillis,
        mut append: Box<Append>,
    ) {
        let send = &append.send;
        let places = &append.places;
        let conversation = next(&mut numbering.numbers, places.conversation);
        // Times never step back within a conversation, whatever the clock does.
        conversation.at = conversation.at.max(now.0);
        let (conversation_seq, at) = (Seq::new(conversation.latest), conversation.at);
        let (head, rest) = (&mut numbering.head, &mut numbering.rest);
        head.clear();
        rest.clear();
        let at = UnixMillis(at);
        record::put_head(head, send, &append.conversation, conversation_seq, at);
        let key = send.key.as_ref().zip(append.key.as_ref());
        let key = key.map(|(key, keyed)| (key.as_bytes(), &keyed.digest));
        record::put_rest(rest, key, places.recipients.len());
        let segment = log.segment();
        let mut receiver_seq = Seq::ZERO;
        for (member, place) in send.recipients.iter().zip(&places.recipients) {
            let inbox = next(&mut numbering.numbers, *place);
            receiver_seq = Seq::new(inbox.latest);
            if inbox.segment == segment {
                record::put_numbered(rest, inbox.number, receiver_seq);
            } else {
                record::put_named(rest, numbering.names, member, receiver_seq);
                (inbox.segment, inbox.number) = (segment, numbering.names);
                numbering.names += 1;
            }
        }
        let lsn = log.push(record::SEND, head, rest).raw();
        self.deliveries += places.recipients.len() as u64;
        let receipt = Receipt { id: send.id, conversation_seq, receiver_seq, at, repeat: false };
        if let Some(key) = append.key.take() {
            let answer = Answer { digest: key.digest, receipt };
            self.keys.push(NewKey { segment, row: key.row.clone(), answer });
            numbering.dedupe.put(key.row, answer, numbering.commit);
        }
        self.stored.push(Stored { append, receipt, lsn });
    }

    /// The commit is done: makes it readable. Returns what the index does not have yet.
    pub(crate) fn publish(&mut self, engine: &Engine, segment: u64) -> (Changes, Vec<NewKey>) {
        let mut changes = Changes::default();
        for part in self.stored.chunks(PUBLISHED_TOGETHER) {
            let publications: Vec<Publication<'_>> = part
                .iter()
                .map(|stored| Publication {
                    lsn: stored.lsn,
                    segment,
                    conversation: stored.append.places.conversation,
                    at: stored.receipt.at.0,
                    recipients: &stored.append.places.recipients,
                })
                .collect();
            engine.table.publish(&publications, &mut changes);
        }
        (changes, std::mem::take(&mut self.keys))
    }

    /// It is readable: wakes who reads, and answers.
    pub(crate) fn answer(self, watchers: &Watchers) {
        if watchers.any() {
            self.wake(watchers);
        }
        for stored in self.stored {
            answer(stored.append, Ok(stored.receipt));
        }
        for (append, result, _) in self.others {
            answer(append, result);
        }
    }

    fn wake(&self, watchers: &Watchers) {
        let mut key = Vec::with_capacity(64);
        for append in self.stored.iter().map(|stored| &stored.append) {
            watchers.wake(&append.conversation);
            for member in append.send.recipients.iter() {
                key.clear();
                key.push(b'i');
                key.extend_from_slice(member);
                watchers.wake(&key);
            }
        }
    }

    /// The commit may or may not be in the log: says so to whoever depends on it.
    pub(crate) fn failed(self, reason: &str) {
        let unknown = || Err(Error::OutcomeUnknown { reason: reason.to_owned() });
        for stored in self.stored {
            answer(stored.append, unknown());
        }
        for (append, result, depends) in self.others {
            let result = if depends && result.is_ok() { unknown() } else { result };
            answer(append, result);
        }
    }
}

fn answer(append: Box<Append>, result: Result<Receipt>) {
    // A caller that gave up is no failure.
    let _ = append.answer.send(result).is_ok();
}

/// Makes sure that all timelines of `append` are where it says: they may have left memory while
/// it waited, or nobody has loaded them.
fn ready(engine: &Engine, numbers: &mut Numbers, append: &mut Append) -> Result<()> {
    // Nothing leaves memory while a commit is made, so the second look finds all.
    for _ in 0..2 {
        loader::places(engine, append)?;
        let mut all = true;
        let Places { conversation, recipients } = &mut append.places;
        for place in std::iter::once(conversation).chain(recipients) {
            if numbers.get(&engine.table, *place).is_none() {
                *place = Place::NOWHERE;
                all = false;
            }
        }
        if all {
            return Ok(());
        }
        engine.rosters.forget(&append.conversation);
    }
    unreachable!("what was loaded just now is in memory")
}

/// The next entry of the timeline at `place`, which [`ready`] has seen.
fn next(numbers: &mut Numbers, place: Place) -> &mut Assigned {
    let assigned = numbers.known(place);
    assigned.latest += 1;
    assigned
}
