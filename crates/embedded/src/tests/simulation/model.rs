//! What a store must show: every timeline as a list, and what may have become of the sends whose
//! answers never came.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use seqline_core::clock::UnixMillis;
use seqline_core::fanout::Outgoing;
use seqline_core::id::{ConversationId, MessageId, TimelineId};
use seqline_core::message::Message;
use seqline_core::page::{Bounds, Direction, Entry, Read};
use seqline_core::seq::Seq;
use seqline_core::store::Receipt;

use super::super::inbox;

/// A timeline as it is known: everything it ever had, and where trims let it begin.
#[derive(Clone, Default)]
pub(super) struct Timeline {
    pub(super) entries: Vec<Entry>,
    /// The first entry that is left, after each trim; what a crash may bring back is in here.
    pub(super) trims: Vec<(u64, u64)>,
    /// Trims whose answers never came.
    pub(super) unknown_trims: Vec<u64>,
    /// Whether there was one that may have trimmed anything.
    pub(super) unknown_any: bool,
}

impl Timeline {
    pub(super) fn bounds(&self) -> Bounds {
        let first = self.trims.last().map_or(1, |(first, _)| *first);
        Bounds { first: Seq::new(first), latest: Seq::new(self.entries.len() as u64) }
    }
}

/// All timelines, and all sends.
pub(super) struct Model {
    pub(super) window_millis: u64,
    /// The last step of which nothing can be lost any more.
    pub(super) durable_step: u64,
    pub(super) timelines: BTreeMap<TimelineId, Timeline>,
    /// Every send that was not refused, with the step it was made in.
    pub(super) sends: HashMap<MessageId, (Outgoing, u64)>,
    /// Sends that are or may be stored and that no reading has shown yet.
    pub(super) open: BTreeSet<MessageId>,
    /// Receipts that no reading has confirmed yet.
    pub(super) acknowledged: BTreeMap<MessageId, Receipt>,
}

/// The conversation of a send, then the inboxes in the order of its recipients.
pub(super) fn timelines_of(send: &Outgoing) -> Vec<TimelineId> {
    let inboxes = send.recipients.iter().map(|id| inbox(std::str::from_utf8(id).unwrap()));
    std::iter::once(send.conversation.clone().into()).chain(inboxes).collect()
}

/// What a repeat must have in common with the first send.
fn payload(send: &Outgoing) -> (Option<&[u8]>, &str, Vec<&[u8]>) {
    let mut recipients: Vec<&[u8]> = send.recipients.iter().collect();
    recipients.sort_unstable();
    (send.sender.as_ref().map(|id| id.as_bytes()), send.body.as_str(), recipients)
}

impl Model {
    pub(super) fn new(window_millis: u64) -> Model {
        Model {
            window_millis,
            durable_step: 0,
            timelines: BTreeMap::new(),
            sends: HashMap::new(),
            open: BTreeSet::new(),
            acknowledged: BTreeMap::new(),
        }
    }

    /// A send is under way.
    pub(super) fn begun(&mut self, send: &Outgoing, step: u64) {
        self.sends.insert(send.id, (send.clone(), step));
        self.open.insert(send.id);
    }

    /// Nothing of it was stored.
    pub(super) fn refused(&mut self, id: MessageId) {
        self.open.remove(&id);
    }

    /// The store has it, or the one that it repeats.
    pub(super) fn acknowledged(&mut self, send: &Outgoing, receipt: Receipt) {
        if receipt.repeat {
            assert_ne!(receipt.id, send.id, "a repeat answers with the message stored first");
            assert_eq!(payload(&self.sends[&receipt.id].0), payload(send));
            self.open.remove(&send.id);
        } else {
            assert_eq!(receipt.id, send.id, "a send that is no repeat stores its own message");
        }
        self.acknowledged.insert(receipt.id, Receipt { repeat: false, ..receipt });
    }

    fn conversation(&self, id: &ConversationId) -> &[Entry] {
        self.timelines.get(&id.clone().into()).map_or(&[], |timeline| &timeline.entries)
    }

    /// The message that was stored last under the key of `send`.
    fn under_key(&self, send: &Outgoing) -> Option<&Message> {
        send.key.as_ref()?;
        let same = |entry: &&Entry| self.sends[&entry.message.id].0.key == send.key;
        self.conversation(&send.conversation).iter().rev().find(same).map(|entry| &entry.message)
    }

    fn counts(&self, first: &Message, now: UnixMillis) -> bool {
        now.0 < first.at.0 + self.window_millis
    }

    /// Whether the key was over when the clock showed `latest` but is not now: then it may be
    /// forgotten or not.
    pub(super) fn may_be_forgotten(
        &self,
        send: &Outgoing,
        now: UnixMillis,
        latest: UnixMillis,
    ) -> bool {
        let first = self.under_key(send);
        first.is_some_and(|first| self.counts(first, now) && !self.counts(first, latest))
    }

    /// What a send that is alone is answered; `None` if it is a conflict. Stores it.
    pub(super) fn append(&mut self, send: &Outgoing, now: UnixMillis) -> Option<Receipt> {
        if let Some(first) = self.under_key(send)
            && self.counts(first, now)
        {
            let (id, same) = (first.id, payload(&self.sends[&first.id].0) == payload(send));
            self.open.remove(&send.id);
            return same.then(|| Receipt { repeat: true, ..self.receipt(id) });
        }
        let before = self.conversation(&send.conversation);
        let message = Message {
            id: send.id,
            conversation: send.conversation.clone(),
            seq: Seq::new(before.len() as u64 + 1),
            sender: send.sender.clone(),
            at: before.last().map_or(now, |entry| entry.message.at.max(now)),
            body: send.body.clone(),
        };
        for timeline in timelines_of(send) {
            let entries = &mut self.timelines.entry(timeline).or_default().entries;
            let seq = Seq::new(entries.len() as u64 + 1);
            entries.push(Entry { seq, message: message.clone() });
        }
        self.open.remove(&send.id);
        Some(self.receipt(send.id))
    }

    /// The first answer to a send that is stored.
    pub(super) fn receipt(&self, id: MessageId) -> Receipt {
        let send = &self.sends[&id].0;
        let find = |timeline: &TimelineId| {
            let entries = &self.timelines[timeline].entries;
            entries.iter().rev().find(|entry| entry.message.id == id).cloned()
        };
        let timelines = timelines_of(send);
        let first = find(&timelines[0]).expect("it is in its conversation");
        let last = find(timelines.last().unwrap()).expect("it is in its last inbox");
        Receipt {
            id,
            conversation_seq: first.seq,
            receiver_seq: last.seq,
            at: first.message.at,
            repeat: false,
        }
    }

    /// The bounds after a trim that is alone.
    pub(super) fn trim(&mut self, timeline: &TimelineId, up_to: Seq, step: u64) -> Bounds {
        let known = self.timelines.entry(timeline.clone()).or_default();
        let before = known.bounds();
        let first = up_to.next().min(before.latest);
        if first > before.first {
            known.trims.push((first.get(), step));
        }
        known.bounds()
    }

    pub(super) fn bounds(&self, timeline: &TimelineId) -> Bounds {
        self.timelines.get(timeline).map_or(Bounds::EMPTY, Timeline::bounds)
    }

    /// Entries, bounds and whether more follow.
    pub(super) fn read(&self, read: &Read) -> (Vec<Entry>, Bounds, bool) {
        let bounds = self.bounds(&read.timeline);
        let entries = self.timelines.get(&read.timeline).map_or(&[][..], |known| &known.entries);
        let wanted =
            |e: &&Entry| e.seq >= bounds.first && e.seq > read.after && e.seq <= read.until;
        let mut range: Vec<Entry> = entries.iter().filter(wanted).cloned().collect();
        if read.direction == Direction::Backward {
            range.reverse();
        }
        let (mut count, mut bytes) = (0, 0);
        for entry in &range {
            bytes += entry.message.body.len();
            if count == read.entries_max || (count > 0 && bytes > read.bytes_max) {
                break;
            }
            count += 1;
        }
        let more = count < range.len();
        range.truncate(count);
        (range, bounds, more)
    }

    /// Two messages under one key are a window apart.
    pub(super) fn check_keys(&self) {
        let mut last: HashMap<(&ConversationId, &str), u64> = HashMap::new();
        for (id, timeline) in &self.timelines {
            let TimelineId::Conversation(conversation) = id else { continue };
            for Entry { seq, message } in &timeline.entries {
                let Some(key) = &self.sends[&message.id].0.key else { continue };
                let key = std::str::from_utf8(key.as_bytes()).unwrap();
                if let Some(before) = last.insert((conversation, key), message.at.0) {
                    let apart = message.at.0 - before;
                    assert!(apart >= self.window_millis, "{id} at {seq}: key {key} stored twice");
                }
            }
        }
    }
}
