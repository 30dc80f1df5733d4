//! The audit: everything a majority ever had, in order, held against what is promised.

use std::collections::{BTreeMap, BTreeSet};

use mongodb::bson::RawDocumentBuf;
use seqline_core::id::MessageId;
use seqline_core::store::Receipt;

use super::world::{Answer, SKEW, World};
use crate::db::Collection;
use crate::db::simulated::Event;
use crate::documents::{self, Head, Sent};
use crate::stem::Stem;

/// What a run had, to see that it had something of everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    messages: usize,
    entries: usize,
    acknowledged: usize,
    repeats: usize,
    unknown: usize,
    marked: usize,
    deleted: usize,
}

impl Found {
    pub fn add(&mut self, other: &Found) {
        self.messages += other.messages;
        self.entries += other.entries;
        self.acknowledged += other.acknowledged;
        self.repeats += other.repeats;
        self.unknown += other.unknown;
        self.marked += other.marked;
        self.deleted += other.deleted;
    }
}

/// What the audit knows at some point of the journal.
#[derive(Default)]
struct Audit {
    /// The tail of each timeline.
    tails: BTreeMap<(Collection, String), u64>,
    /// Every message that ever was, with its conversation.
    messages: BTreeMap<u128, (String, Sent)>,
    /// Which message has a stem now.
    stems: BTreeMap<Stem, u128>,
    by_place: BTreeMap<(String, u64), u128>,
    /// Every delivery that ever was, with its position.
    delivered: BTreeMap<(u128, String), u64>,
    /// Of each inbox and conversation, the last position.
    order: BTreeMap<(String, String), u64>,
    marked: BTreeSet<u128>,
    deleted: usize,
}

/// Audits a world that has come to rest.
///
/// # Panics
/// At the first broken promise.
pub fn all(world: &World) -> Found {
    let mut audit = Audit::default();
    for event in world.db.journal() {
        match event {
            Event::Put(Collection::History, document) => audit.history(&document),
            Event::Put(Collection::Inboxes, document) => audit.inbox(&document),
            Event::Removed(Collection::History, document) => audit.removed(&document),
            Event::Removed(Collection::Inboxes, _) => audit.deleted += 1,
            Event::Note(message) => {
                let id = u128::from_str_radix(&message, 16).expect("a message id");
                assert!(audit.messages.contains_key(&id), "what is acknowledged is stored");
                audit.is_whole(id, "acknowledged");
            }
            _ => {}
        }
    }
    for id in audit.messages.keys() {
        audit.is_whole(*id, "at the end");
    }
    audit.answers(world);
    audit.found(world)
}

impl Audit {
    /// The next entry of a timeline has the next number.
    fn next(&mut self, of: Collection, document: &RawDocumentBuf) -> (String, u64) {
        let id = documents::string(document, documents::TIMELINE).unwrap().to_owned();
        let seq = documents::number(document, documents::SEQ).unwrap();
        let tail = self.tails.entry((of, id.clone())).or_default();
        assert_eq!(seq, *tail + 1, "{of:?} {id}: a hole, or a number used twice");
        *tail = seq;
        (id, seq)
    }

    fn history(&mut self, document: &RawDocumentBuf) {
        let head = Head::read(document).unwrap();
        let (stem, message) = (head.stem.unwrap(), head.message_id);
        if let Some(there) = self.stems.get(&stem) {
            let (id, sent) = &self.messages[there];
            assert_eq!((sent.seq, *there), (head.seq, message), "{id}: it is stored twice");
            if head.pending.is_none() && self.marked.insert(message) {
                // Marked whole: then it is, and so is everything before it.
                let id = id.clone();
                for seq in 1..=head.seq {
                    self.is_whole(self.by_place[&(id.clone(), seq)], "marked");
                }
            }
            return;
        }
        self.stems.insert(stem, message);
        let (id, seq) = self.next(Collection::History, document);
        let sent = Sent::read(document).unwrap();
        let before = self.messages.insert(message, (id.clone(), sent));
        assert!(before.is_none(), "{id}: {seq} was stored before");
        self.by_place.insert((id, seq), message);
    }

    fn inbox(&mut self, document: &RawDocumentBuf) {
        let (member, seq) = self.next(Collection::Inboxes, document);
        let message = documents::message_id(document).unwrap();
        let (conversation, sent) = &self.messages[&message];
        assert_eq!(documents::stem(document), Some(sent.stem));
        let expected = documents::number(document, documents::CONVERSATION_SEQ).unwrap();
        assert_eq!(sent.seq, expected, "{member}: {seq} knows its place in {conversation}");
        let listed = sent.recipients.iter().any(|id| id.as_str() == member);
        assert!(listed, "{member}: {seq} is for others");
        let again = self.delivered.insert((message, member.clone()), seq);
        assert_eq!(again, None, "{member}: {seq} was delivered before");
        let last = self.order.entry((member.clone(), conversation.clone())).or_default();
        assert!(*last < sent.seq, "{member}: {} of {conversation} after {last}", sent.seq);
        *last = sent.seq;
    }

    fn removed(&mut self, document: &RawDocumentBuf) {
        let stem = documents::stem(document).unwrap();
        let message = self.stems.remove(&stem).expect("what is deleted was there");
        assert!(self.marked.contains(&message), "a pending entry is deleted");
        self.deleted += 1;
    }

    fn is_whole(&self, message: u128, when: &str) {
        let (id, sent) = &self.messages[&message];
        for member in &sent.recipients {
            let there = self.delivered.contains_key(&(message, member.as_str().to_owned()));
            assert!(there, "{id}: {} is {when}, but not with {member:?}", sent.seq);
        }
    }

    /// What clients heard is true.
    fn answers(&self, world: &World) {
        // Per conversation and key, when which message was stored.
        let mut keys: BTreeMap<(String, String), Vec<(u64, MessageId)>> = BTreeMap::new();
        for (id, (send, answer)) in world.sent.lock().unwrap().iter() {
            let stored = self.messages.get(&id.0);
            match answer {
                Answer::Refused(why) => assert!(stored.is_none(), "refused ({why}), but stored"),
                Answer::Receipt(receipt) => self.receipt(*id, receipt),
                Answer::Nothing => {}
            }
            if let (Some(key), Some((conversation, sent))) = (&send.key, stored) {
                let scope = (conversation.clone(), format!("{key:?}"));
                keys.entry(scope).or_default().push((sent.at.0, *id));
            }
        }
        let window = World::options().key_window.as_millis() as u64;
        for (scope, mut stored) in keys {
            stored.sort_unstable();
            for pair in stored.windows(2) {
                let apart = pair[1].0 - pair[0].0;
                assert!(apart + 2 * SKEW >= window, "{scope:?}: stored twice, {apart} ms apart");
            }
        }
    }

    fn receipt(&self, id: MessageId, receipt: &Receipt) {
        assert_eq!(receipt.repeat, receipt.id != id, "a repeat names another message");
        let (conversation, sent) = &self.messages[&receipt.id.0];
        assert_eq!(sent.seq, receipt.conversation_seq.get(), "{conversation}: the receipt is true");
        assert_eq!(sent.at, receipt.at, "{conversation}: the receipt is true");
        let last = sent.recipients.last().unwrap().as_str().to_owned();
        let place = self.delivered.get(&(sent.message_id, last)).copied();
        assert_eq!(place, Some(receipt.receiver_seq.get()), "{conversation}: the receipt is true");
    }

    fn found(&self, world: &World) -> Found {
        let sent = world.sent.lock().unwrap();
        let count = |wanted: fn(&Answer) -> bool| sent.values().filter(|(_, a)| wanted(a)).count();
        Found {
            messages: self.messages.len(),
            entries: self.delivered.len(),
            acknowledged: count(|answer| matches!(answer, Answer::Receipt(_))),
            repeats: count(|answer| matches!(answer, Answer::Receipt(r) if r.repeat)),
            unknown: count(|answer| matches!(answer, Answer::Nothing)),
            marked: self.marked.len(),
            deleted: self.deleted,
        }
    }
}
