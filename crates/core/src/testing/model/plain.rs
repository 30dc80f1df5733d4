//! The plain model: what was sent, in order; every answer is worked out from that list anew.

use std::collections::BTreeMap;
use std::time::Duration;

use super::operation;
use crate::clock::UnixMillis;
use crate::fanout::Outgoing;
use crate::id::{MessageId, TimelineId};
use crate::message::Message;
use crate::page::{Bounds, Direction, Entry, Read};
use crate::seq::Seq;
use crate::store::Receipt;

/// All stored sends, and the first entry of the timelines that were trimmed.
pub struct Plain {
    window: Duration,
    stored: Vec<(Outgoing, Receipt)>,
    first: BTreeMap<TimelineId, u64>,
    ids: u128,
}

impl Plain {
    /// A model to which nothing was sent.
    pub fn new(window: Duration) -> Plain {
        Plain { window, stored: Vec::new(), first: BTreeMap::new(), ids: 0 }
    }

    /// An id no send before had.
    pub fn next_id(&mut self) -> MessageId {
        self.ids += 1;
        MessageId(self.ids)
    }

    /// The send stored last under the same key in the same conversation.
    fn under_key(&self, send: &Outgoing) -> Option<&(Outgoing, Receipt)> {
        send.key.as_ref()?;
        let same =
            |other: &Outgoing| other.conversation == send.conversation && other.key == send.key;
        self.stored.iter().rev().find(|(other, _)| same(other))
    }

    fn counts(&self, receipt: &Receipt, now: UnixMillis) -> bool {
        Duration::from_millis(now.0.saturating_sub(receipt.at.0)) < self.window
    }

    /// Whether the key's window was over when the clock showed `latest`, but is not `now` that
    /// it has stepped back: then a store may have forgotten it or not.
    pub fn may_have_forgotten(&self, send: &Outgoing, now: UnixMillis, latest: UnixMillis) -> bool {
        self.under_key(send)
            .is_some_and(|(_, first)| self.counts(first, now) && !self.counts(first, latest))
    }

    /// The receipt of a send; `None` if it is a conflict.
    pub fn append(&mut self, send: &Outgoing, now: UnixMillis) -> Option<Receipt> {
        if let Some((first, receipt)) = self.under_key(send)
            && self.counts(receipt, now)
        {
            let same = payload(first) == payload(send);
            return same.then_some(Receipt { repeat: true, ..*receipt });
        }
        let here = |(other, _): &&(Outgoing, Receipt)| other.conversation == send.conversation;
        let before = self.stored.iter().filter(here);
        let mut receipt = Receipt {
            id: send.id,
            conversation_seq: Seq::new(before.clone().count() as u64 + 1),
            receiver_seq: Seq::ZERO,
            at: before.map(|(_, receipt)| receipt.at).max().map_or(now, |at| at.max(now)),
            repeat: false,
        };
        let receiver = send.recipients.iter().last().map(TimelineId::inbox_key);
        self.stored.push((send.clone(), receipt));
        let in_inbox = |(other, _): &&(Outgoing, Receipt)| {
            other.recipients.iter().any(|id| Some(TimelineId::inbox_key(id)) == receiver)
        };
        let count = self.stored.iter().filter(in_inbox).count();
        receipt.receiver_seq = Seq::new(count as u64);
        if let Some(last) = self.stored.last_mut() {
            last.1 = receipt;
        }
        Some(receipt)
    }

    /// Everything a timeline ever had.
    fn entries(&self, timeline: &TimelineId) -> Vec<Entry> {
        let reaches = |send: &Outgoing| match timeline {
            TimelineId::Conversation(conversation) => send.conversation == *conversation,
            TimelineId::Inbox(id) => send.recipients.iter().any(|to| to == id.as_bytes()),
        };
        let here = self.stored.iter().filter(|(send, _)| reaches(send));
        here.zip(1..)
            .map(|((send, receipt), seq)| Entry {
                seq: Seq::new(seq),
                message: Message {
                    id: send.id,
                    conversation: send.conversation.clone(),
                    seq: receipt.conversation_seq,
                    sender: send.sender.clone(),
                    at: receipt.at,
                    body: send.body.clone(),
                },
            })
            .collect()
    }

    fn bounds_of(&self, timeline: &TimelineId) -> Bounds {
        Bounds {
            first: Seq::new(self.first.get(timeline).copied().unwrap_or(1)),
            latest: Seq::new(self.entries(timeline).len() as u64),
        }
    }

    /// Every timeline with its bounds.
    pub fn bounds(&self) -> (Vec<TimelineId>, Vec<Bounds>) {
        let timelines = operation::timelines();
        let bounds = timelines.iter().map(|timeline| self.bounds_of(timeline)).collect();
        (timelines, bounds)
    }

    /// Entries, bounds and whether more follow.
    pub fn read(&self, read: &Read) -> (Vec<Entry>, Bounds, bool) {
        let bounds = self.bounds_of(&read.timeline);
        let mut range = self.entries(&read.timeline);
        range.retain(|e| e.seq >= bounds.first && e.seq > read.after && e.seq <= read.until);
        if read.direction == Direction::Backward {
            range.reverse();
        }
        // The longest beginning of the range that the limits allow.
        let fits = |count: &usize| {
            let bytes: usize = range[..*count].iter().map(|entry| entry.message.body.len()).sum();
            *count <= read.entries_max && (*count <= 1 || bytes <= read.bytes_max)
        };
        let count = (0..=range.len()).rev().find(fits).unwrap_or(0);
        let more = count < range.len();
        range.truncate(count);
        (range, bounds, more)
    }

    /// The bounds after a trim.
    pub fn trim(&mut self, timeline: &TimelineId, up_to: Seq) -> Bounds {
        let before = self.bounds_of(timeline);
        let first = up_to.next().min(before.latest).max(before.first);
        self.first.insert(timeline.clone(), first.get());
        self.bounds_of(timeline)
    }
}

/// What a repeat must have in common with the first send.
fn payload(send: &Outgoing) -> (Option<&[u8]>, &str, Vec<&[u8]>) {
    let mut recipients: Vec<&[u8]> = send.recipients.iter().collect();
    recipients.sort_unstable();
    let sender = send.sender.as_ref().map(|sender| sender.as_bytes());
    (sender, send.body.as_str(), recipients)
}
