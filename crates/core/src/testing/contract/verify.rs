//! The ledger: what was sent and acknowledged, and whether a store holds exactly that.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::scene::whole;
use crate::fanout::Outgoing;
use crate::id::{Epoch, MemberId, MessageId, Text, TimelineId};
use crate::page::{Bounds, Entry};
use crate::seq::Seq;
use crate::store::{Receipt, Store};

/// Everything a case has sent, and everything any look at the store has shown.
#[derive(Default)]
pub struct Ledger {
    epoch: Option<Epoch>,
    /// Sends whose first answer was a receipt.
    acknowledged: HashMap<MessageId, Receipt>,
    /// Every send that is or may be stored.
    sends: BTreeMap<MessageId, Outgoing>,
    /// Entries seen before, also those trimmed since: none may ever change.
    seen: BTreeMap<TimelineId, BTreeMap<Seq, Entry>>,
    /// Bounds after trims.
    first: BTreeMap<TimelineId, Seq>,
}

impl Ledger {
    /// A send is under way: from here on it may be stored.
    pub fn begun(&mut self, send: &Outgoing) {
        self.touch(send);
        self.sends.insert(send.id, send.clone());
    }

    /// The store says that it has the message.
    pub fn acknowledged(&mut self, send: &Outgoing, receipt: &Receipt) {
        if receipt.repeat {
            assert_ne!(receipt.id, send.id, "a repeat answers with the message stored first");
            self.sends.remove(&send.id);
            assert!(self.sends.contains_key(&receipt.id), "a repeat names a message that was sent");
            self.acknowledged.insert(receipt.id, Receipt { repeat: false, ..*receipt });
        } else {
            assert_eq!(receipt.id, send.id, "a send that is no repeat stores its own message");
            self.acknowledged.insert(send.id, *receipt);
        }
    }

    /// The store says that it stored nothing.
    pub fn refused(&mut self, send: &Outgoing) {
        self.sends.remove(&send.id);
    }

    /// A trim was answered.
    pub fn trimmed(&mut self, timeline: &TimelineId, bounds: Bounds) {
        self.seen.entry(timeline.clone()).or_default();
        self.first.insert(timeline.clone(), bounds.first);
    }

    /// Remembers which timelines to look at, whatever comes of the send.
    fn touch(&mut self, send: &Outgoing) {
        for timeline in timelines_of(send) {
            self.seen.entry(timeline).or_default();
        }
    }

    /// Reads everything and compares.
    ///
    /// # Panics
    /// If a promise is broken, saying which.
    pub async fn verify(&mut self, store: &dyn Store) {
        let timelines: Vec<TimelineId> = self.seen.keys().cloned().collect();
        let bounds = store.bounds(timelines.clone()).await.expect("bounds can be read");
        assert_eq!(bounds.len(), timelines.len(), "one answer per timeline");
        for (timeline, bounds) in timelines.into_iter().zip(bounds) {
            let entries = self.look(store, &timeline, bounds).await;
            self.remember(&timeline, entries);
        }
        self.compare();
    }

    /// All pages of one timeline; checks what holds for any timeline.
    async fn look(&mut self, store: &dyn Store, id: &TimelineId, bounds: Bounds) -> Vec<Entry> {
        let mut read = whole(id);
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let page = store.read(read.clone()).await.expect("a timeline can be read");
            assert_eq!(page.bounds, bounds, "{id}: pages and bounds agree while nobody sends");
            let epoch = *self.epoch.get_or_insert(page.epoch);
            assert_eq!(page.epoch, epoch, "{id}: the epoch stays while nothing is lost");
            assert!(!(page.more && page.entries.is_empty()), "{id}: more, but an empty page");
            entries.extend(page.entries);
            if !page.more {
                break;
            }
            read.after = entries.last().expect("the page had entries").seq;
        }
        let first = self.first.get(id).copied().unwrap_or(Seq::FIRST);
        assert_eq!(bounds.first, first, "{id}: only a trim moves the first entry");
        let mut expected = first;
        for entry in &entries {
            assert_eq!(entry.seq, expected, "{id}: numbers without a hole");
            expected = expected.next();
        }
        assert_eq!(bounds.latest, expected.previous(), "{id}: latest is what can be read");
        entries
    }

    /// Remembers all entries of a timeline; none that was seen before may be missing.
    fn remember(&mut self, id: &TimelineId, entries: Vec<Entry>) {
        let latest = entries.last().map_or(Seq::ZERO, |entry| entry.seq);
        if let Some((seq, _)) = self.seen.get(id).and_then(BTreeMap::last_key_value) {
            assert!(*seq <= latest, "{id}: entry {seq} could be read and is gone");
        }
        self.observed(id, entries);
    }

    /// Remembers some entries of a timeline, which from here on may neither go nor change.
    pub fn observed(&mut self, id: &TimelineId, entries: Vec<Entry>) {
        let seen = self.seen.entry(id.clone()).or_default();
        for entry in entries {
            let before = seen.entry(entry.seq).or_insert_with(|| entry.clone());
            assert!(*before == entry, "{id}: entry {} never changes", entry.seq);
        }
    }

    /// Holds all that was ever seen against all that was sent.
    fn compare(&self) {
        let mut stored: HashMap<MessageId, &Entry> = HashMap::new();
        for (id, entries) in &self.seen {
            if matches!(id, TimelineId::Conversation(_)) {
                self.compare_conversation(id, entries);
                for entry in entries.values() {
                    stored.insert(entry.message.id, entry);
                }
            }
        }
        for (id, receipt) in &self.acknowledged {
            let entry = stored.get(id).expect("what was acknowledged is in its conversation");
            let place = (entry.seq, entry.message.at);
            assert_eq!(place, (receipt.conversation_seq, receipt.at), "the receipt is true");
        }
        let mut inboxes: BTreeMap<TimelineId, BTreeSet<MessageId>> = BTreeMap::new();
        for id in stored.keys() {
            for inbox in timelines_of(&self.sends[id]).skip(1) {
                inboxes.entry(inbox).or_default().insert(*id);
            }
        }
        for (id, entries) in &self.seen {
            if matches!(id, TimelineId::Inbox(_)) {
                let expected = inboxes.remove(id).unwrap_or_default();
                compare_inbox(id, entries, expected, &stored);
            }
        }
        for receipt in self.acknowledged.values() {
            let last = timelines_of(&self.sends[&receipt.id]).last().expect("a recipient");
            let entry = &self.seen[&last].get(&receipt.receiver_seq);
            let found = entry.map(|entry| entry.message.id);
            assert_eq!(found, Some(receipt.id), "the receipt names the receiver's entry");
        }
    }

    fn compare_conversation(&self, id: &TimelineId, entries: &BTreeMap<Seq, Entry>) {
        let mut messages = BTreeSet::new();
        let mut at = None;
        for (seq, Entry { message, .. }) in entries {
            let Some(send) = self.sends.get(&message.id) else {
                panic!("{id}: entry {seq} is a message that nobody sent or that was refused");
            };
            assert!(messages.insert(message.id), "{id}: entry {seq} is there already");
            assert_eq!(message.seq, *seq, "{id}: a message knows its own position");
            assert_eq!(TimelineId::from(message.conversation.clone()), *id);
            assert_eq!(message.conversation, send.conversation);
            assert_eq!(message.sender, send.sender, "{id}: entry {seq} has its sender");
            assert!(message.body == send.body, "{id}: entry {seq} comes back byte for byte");
            assert!(Some(message.at) >= at, "{id}: time steps back at {seq}");
            at = Some(message.at);
        }
    }
}

fn compare_inbox(
    id: &TimelineId,
    entries: &BTreeMap<Seq, Entry>,
    mut expected: BTreeSet<MessageId>,
    stored: &HashMap<MessageId, &Entry>,
) {
    let mut newest = HashMap::new();
    for (seq, Entry { message, .. }) in entries {
        let known = stored.get(&message.id);
        let Some(known) = known else {
            panic!("{id}: entry {seq} is not in its conversation");
        };
        assert!(known.message == *message, "{id}: entry {seq} is not what its conversation has");
        assert!(expected.remove(&message.id), "{id}: entry {seq} is twice or not for this member");
        let before = newest.insert(&message.conversation, message.seq);
        assert!(before < Some(message.seq), "{id}: entry {seq} is out of its conversation's order");
    }
    assert!(expected.is_empty(), "{id}: {} messages did not arrive", expected.len());
}

/// The conversation of a send, then the inboxes in the order of its recipients.
fn timelines_of(send: &Outgoing) -> impl Iterator<Item = TimelineId> + '_ {
    let inboxes = send.recipients.iter().map(|id| {
        let text = Text::new(bytes::Bytes::copy_from_slice(id)).expect("a member is UTF-8");
        TimelineId::Inbox(MemberId::new("member", text).expect("a member is a valid id"))
    });
    std::iter::once(send.conversation.clone().into()).chain(inboxes)
}
