//! Holds what a reading of everything has shown against the model, and takes over what was new.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use seqline_core::id::{MessageId, TimelineId};
use seqline_core::page::{Bounds, Entry};
use seqline_core::seq::Seq;

use super::model::{Model, timelines_of};

/// A timeline as the store shows it.
pub(super) struct Shown {
    pub(super) bounds: Bounds,
    pub(super) entries: Vec<Entry>,
}

pub(super) type Reading = BTreeMap<TimelineId, Shown>;

impl Model {
    /// Compares. `kept_to` is the last step of which nothing may be lost; `None` if nothing may
    /// be lost at all.
    ///
    /// # Panics
    /// If a promise is broken, saying which.
    pub(super) fn observe(&mut self, reading: &Reading, kept_to: Option<u64>) {
        for (id, shown) in reading {
            contiguous(id, shown);
        }
        if let Some(kept_to) = kept_to {
            self.lose(reading, kept_to);
        }
        let mut places: HashMap<MessageId, BTreeSet<TimelineId>> = HashMap::new();
        for (id, shown) in reading {
            self.compare_floor(id, shown);
            for entry in self.take_over(id, shown) {
                let id = id.clone();
                let new = places.entry(entry.message.id).or_default().insert(id.clone());
                assert!(new, "{id}: entry {} is there already", entry.seq);
            }
        }
        self.compare_new(&places);
        for (id, receipt) in std::mem::take(&mut self.acknowledged) {
            if self.open.contains(&id) {
                assert!(kept_to.is_some(), "{id:?} was acknowledged and is gone");
            } else {
                assert_eq!(self.receipt(id), receipt, "the receipt is true");
            }
        }
        self.open.clear();
        self.check_keys();
    }

    /// Everything of the power cut's last moments that is gone: whole sends, and none whose
    /// answer came before a later one that stayed was begun.
    fn lose(&mut self, reading: &Reading, kept_to: u64) {
        let mut lost = BTreeSet::new();
        for (id, known) in &mut self.timelines {
            let latest = reading[id].bounds.latest.get() as usize;
            if latest < known.entries.len() {
                lost.extend(known.entries.drain(latest..).map(|entry| entry.message.id));
            }
        }
        let steps = lost.iter().map(|id| self.sends[id].1);
        let first_lost = steps.clone().min().unwrap_or(u64::MAX);
        assert!(first_lost > kept_to, "step {first_lost} is lost and {kept_to} was durable");
        for (id, known) in &self.timelines {
            for Entry { seq, message } in &known.entries {
                assert!(!lost.contains(&message.id), "{id}: {seq} is only lost elsewhere");
                let step = self.sends[&message.id].1;
                assert!(step <= first_lost, "{id}: {seq} stayed and an earlier send did not");
            }
        }
        for (id, known) in &mut self.timelines {
            let first = reading[id].bounds.first.get();
            while known.trims.last().is_some_and(|(f, step)| *f > first && *step > kept_to) {
                known.trims.pop();
            }
        }
        self.acknowledged.retain(|id, _| !lost.contains(id));
        for id in lost {
            self.open.remove(&id);
        }
    }

    fn compare_floor(&mut self, id: &TimelineId, shown: &Shown) {
        let known = self.timelines.entry(id.clone()).or_default();
        let first = shown.bounds.first.get();
        let unknown = std::mem::take(&mut known.unknown_trims);
        let any = std::mem::take(&mut known.unknown_any);
        if first != known.bounds().first.get() {
            assert!(any || unknown.contains(&first), "{id}: begins at {first} and no trim said so");
            assert!(first > known.bounds().first.get(), "{id}: its floor sank to {first}");
            known.trims.push((first, 0));
        }
    }

    /// Nothing known may be gone or another. Returns what was not known.
    fn take_over(&mut self, id: &TimelineId, shown: &Shown) -> Vec<Entry> {
        let known = self.timelines.get_mut(id).expect("its floor was compared");
        let before = known.entries.len() as u64;
        let latest = shown.bounds.latest.get();
        assert!(latest >= before, "{id}: entries after {latest} of {before} are gone");
        let mut new = Vec::new();
        for entry in &shown.entries {
            let seq = entry.seq.get();
            match known.entries.get(seq as usize - 1) {
                Some(same) => assert_eq!(same, entry, "{id}: entry {seq} never changes"),
                None => {
                    assert_eq!(known.entries.len() as u64 + 1, seq, "{id}: trimmed unseen");
                    known.entries.push(entry.clone());
                    new.push(entry.clone());
                }
            }
        }
        new
    }

    /// What is new is what was sent, in all its timelines or in none.
    fn compare_new(&mut self, places: &HashMap<MessageId, BTreeSet<TimelineId>>) {
        for (id, found) in places {
            assert!(self.open.remove(id), "{id:?} is a message that nobody sent, or a refused one");
            let send = self.sends[id].0.clone();
            let timelines = timelines_of(&send);
            let expected: BTreeSet<TimelineId> = timelines.iter().cloned().collect();
            assert_eq!(*found, expected, "{id:?} is wholly there or wholly absent");
            let message = |timeline: &TimelineId| {
                let mut entries = self.timelines[timeline].entries.iter().rev();
                entries.find(|e| e.message.id == *id).expect("it was found there").clone()
            };
            let first = message(&timelines[0]);
            assert_eq!(first.message.seq, first.seq, "a message knows its own position");
            assert_eq!(first.message.conversation, send.conversation);
            assert_eq!(first.message.sender, send.sender);
            assert_eq!(first.message.body, send.body, "it comes back byte for byte");
            for timeline in &timelines[1..] {
                assert_eq!(message(timeline).message, first.message, "{timeline}");
            }
        }
        for (id, known) in &self.timelines {
            let mut newest: HashMap<_, Seq> = HashMap::new();
            for Entry { seq, message } in &known.entries {
                let before = newest.insert(&message.conversation, message.seq);
                assert!(
                    before < Some(message.seq),
                    "{id}: {seq} is out of its conversation's order"
                );
            }
        }
    }
}

fn contiguous(id: &TimelineId, Shown { bounds, entries }: &Shown) {
    let mut expected = bounds.first;
    let mut at = None;
    for entry in entries {
        assert_eq!(entry.seq, expected, "{id}: numbers without a hole");
        expected = expected.next();
        if matches!(id, TimelineId::Conversation(_)) {
            assert!(at <= Some(entry.message.at), "{id}: time steps back at {}", entry.seq);
            at = Some(entry.message.at);
        }
    }
    assert_eq!(bounds.latest, expected.previous(), "{id}: latest is what can be read");
}
