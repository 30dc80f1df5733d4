//! One commit in the making: the sends of a group, their numbers and the batch they become.

use fjall::OwnedWriteBatch;
use hashbrown::HashMap;
use seqline_core::clock::UnixMillis;
use seqline_core::id::TimelineId;
use seqline_core::seq::Seq;
use seqline_core::store::Receipt;
use seqline_core::watch::Watchers;
use seqline_core::{Error, Result};

use crate::dedupe::{Answer, Dedupe};
use crate::engine::Engine;
use crate::keys;
use crate::queue::Append;
use crate::record::{self, Record};
use crate::timelines::{Tail, Tails};

/// A send with its answer, which it gets once the batch is written.
struct Settled {
    append: Append,
    result: Result<Receipt>,
    /// Whether this send itself is in the batch.
    stored: bool,
    /// Whether the answer holds only if the batch is written.
    depends: bool,
}

/// The sends of one commit.
pub(crate) struct Group<'a> {
    engine: &'a Engine,
    tails: &'a mut Tails,
    dedupe: &'a mut Dedupe,
    now: UnixMillis,
    batch: OwnedWriteBatch,
    settled: Vec<Settled>,
    /// Answers to keys that are in this very batch.
    answers: HashMap<Vec<u8>, Answer, foldhash::fast::RandomState>,
    deliveries: u64,
}

impl<'a> Group<'a> {
    pub(crate) fn new(
        engine: &'a Engine,
        tails: &'a mut Tails,
        dedupe: &'a mut Dedupe,
        now: UnixMillis,
    ) -> Group<'a> {
        let batch = engine.db.batch();
        let (settled, answers) = (Vec::new(), HashMap::default());
        Group { engine, tails, dedupe, now, batch, settled, answers, deliveries: 0 }
    }

    /// Takes a send in: it gets its numbers, or an answer without any.
    pub(crate) fn add(&mut self, append: Append) {
        let (result, stored, depends) = match self.prepare(&append) {
            Ok(Prepared::New { conversation_key, dedupe_key }) => {
                let receipt = self.assign(&append, &conversation_key, dedupe_key);
                (Ok(receipt), true, true)
            }
            Ok(Prepared::Repeat { result, depends }) => (result, false, depends),
            Err(error) => (Err(error), false, false),
        };
        self.settled.push(Settled { append, result, stored, depends });
    }

    /// The batch to write; `None` if there is nothing to write. Leaves who waits for it.
    pub(crate) fn finish(self) -> (Option<OwnedWriteBatch>, Waiting) {
        let batch = Some(self.batch).filter(|batch| !batch.is_empty());
        (batch, Waiting { settled: self.settled, deliveries: self.deliveries })
    }

    /// Everything that can fail, before a single number is assigned: a failed send burns none.
    fn prepare(&mut self, append: &Append) -> Result<Prepared> {
        let send = &append.send;
        let conversation_key = TimelineId::Conversation(send.conversation.clone()).key();
        let conversation = self.tails.load(self.engine, &conversation_key)?;
        let mut dedupe_key = None;
        if let Some(key) = &send.key {
            let key = keys::dedupe(conversation.number, key.as_bytes());
            if let Some(answer) = self.answers.get(&key) {
                return Ok(Prepared::Repeat { result: answer.again(append.digest), depends: true });
            }
            if let Some(answer) = self.dedupe.find(self.engine, &key, self.now)? {
                let result = answer.again(append.digest);
                return Ok(Prepared::Repeat { result, depends: false });
            }
            dedupe_key = Some(key);
        }
        let mut key = Vec::with_capacity(64);
        for member in send.recipients.iter() {
            self.tails.load(self.engine, inbox_key(&mut key, member))?;
        }
        Ok(Prepared::New { conversation_key, dedupe_key })
    }

    /// Assigns the numbers and fills the batch. Cannot fail.
    fn assign(
        &mut self,
        append: &Append,
        conversation_key: &[u8],
        dedupe_key: Option<Vec<u8>>,
    ) -> Receipt {
        let send = &append.send;
        let conversation = self.next(conversation_key);
        let place = keys::entry(conversation.number, conversation.latest);
        let record = Record {
            id: send.id,
            at: UnixMillis(conversation.at),
            sender: send.sender.clone(),
            body: send.body.clone(),
        };
        self.batch.insert(&self.engine.messages, place, record::encode(&place, &record));
        let reference = keys::reference(conversation.number, conversation.latest);
        let mut receiver_seq = Seq::ZERO;
        let mut key = Vec::with_capacity(64);
        for member in send.recipients.iter() {
            let inbox = self.next(inbox_key(&mut key, member));
            let entry = keys::entry(inbox.number, inbox.latest);
            self.batch.insert(&self.engine.inbox, entry, reference);
            receiver_seq = inbox.latest;
        }
        self.deliveries += send.recipients.len() as u64;
        let receipt = Receipt {
            id: send.id,
            conversation_seq: conversation.latest,
            receiver_seq,
            at: record.at,
            repeat: false,
        };
        if let (Some(key), Some(digest)) = (dedupe_key, append.digest) {
            let answer = Answer { digest, receipt };
            self.dedupe.put(self.engine, &mut self.batch, &key, &answer);
            self.answers.insert(key, answer);
        }
        receipt
    }

    /// The next entry of a timeline; its first one gives it a name.
    fn next(&mut self, key: &[u8]) -> Tail {
        let tail = self.tails.get_mut(key);
        if tail.latest == Seq::ZERO {
            let names = &self.engine.names;
            self.batch.insert(names, keys::name(key), tail.number.to_be_bytes());
            self.batch.insert(names, keys::number(tail.number), key);
        }
        tail.latest = tail.latest.next();
        // Times never step back within a conversation, whatever the clock does.
        tail.at = tail.at.max(self.now.0);
        *tail
    }
}

enum Prepared {
    New { conversation_key: Vec<u8>, dedupe_key: Option<Vec<u8>> },
    Repeat { result: Result<Receipt>, depends: bool },
}

/// Who waits for a group's write.
pub(crate) struct Waiting {
    settled: Vec<Settled>,
    /// Inbox entries in the batch.
    pub(crate) deliveries: u64,
}

impl Waiting {
    /// How many sends the batch has.
    pub(crate) fn stored(&self) -> usize {
        self.settled.iter().filter(|s| s.stored).count()
    }

    /// The batch is written: wakes the readers, then answers.
    pub(crate) fn written(self, watchers: &Watchers) {
        let mut key = Vec::with_capacity(64);
        for send in self.settled.iter().filter(|s| s.stored).map(|s| &s.append.send) {
            watchers.wake(&TimelineId::Conversation(send.conversation.clone()).key());
            for member in send.recipients.iter() {
                watchers.wake(inbox_key(&mut key, member));
            }
        }
        for settled in self.settled {
            answer(settled.append, settled.result);
        }
    }

    /// The batch may or may not be written: says so to whoever depends on it.
    pub(crate) fn failed(self, reason: &str) {
        for settled in self.settled {
            let result = match settled.depends && settled.result.is_ok() {
                true => Err(Error::OutcomeUnknown { reason: reason.to_owned() }),
                false => settled.result,
            };
            answer(settled.append, result);
        }
    }
}

fn answer(append: Append, result: Result<Receipt>) {
    // A caller that gave up is no failure.
    let _ = append.answer.send(result).is_ok();
}

/// [`TimelineId::inbox_key`] without an allocation for each.
fn inbox_key<'k>(key: &'k mut Vec<u8>, member: &[u8]) -> &'k [u8] {
    key.clear();
    key.push(b'i');
    key.extend_from_slice(member);
    key
}
