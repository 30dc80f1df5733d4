//! What the old index knows of the damage: which messages stood there, and who received those
//! whose recipients are only numbers now.

use std::collections::BTreeMap;

use hashbrown::{HashMap, HashSet};
use seqline_core::id::TimelineId;

use super::events::Teller;
use super::old::{OldEntry, OldIndex};
use super::survey::{Names, Numbered, Survey};
use crate::check::printable;
use crate::log::Surveyed;

/// A message whose frame is gone, as the index knows it.
pub(super) struct Lost {
    /// The conversation; an inbox if it is trimmed there.
    timeline: Box<[u8]>,
    seq: u64,
    inbox_entries: u64,
}

/// See the module page. In memory for each lost message.
pub(super) struct Losses {
    /// By the address of the frame.
    messages: BTreeMap<u64, Lost>,
    /// Whether the index could be read to its end.
    complete: bool,
    /// Segments that were not freed and are not there.
    pub(super) missing: Vec<u64>,
    /// The index knows what the log has not reached.
    beyond: bool,
    known: HashSet<(Box<[u8]>, u64), foldhash::fast::RandomState>,
}

/// Ranges of the log that are not there, in order.
struct Gone(Vec<(u64, u64)>);

impl Gone {
    fn of(log: &Surveyed, survey: &Survey) -> Gone {
        let start = |segment| log.segments.start(segment).raw();
        let damaged = survey.damaged.iter();
        let mut gone: Vec<(u64, u64)> =
            damaged.map(|range| (range.from.raw(), range.from.raw() + range.bytes)).collect();
        gone.extend(survey.missing.iter().map(|segment| (start(*segment), start(segment + 1))));
        gone.push((log.end.raw(), u64::MAX));
        gone.sort_unstable();
        Gone(gone)
    }

    fn contains(&self, lsn: u64) -> bool {
        let after = self.0.partition_point(|(from, _)| *from <= lsn);
        after > 0 && lsn < self.0[after - 1].1
    }
}

/// Asks the old index. Adds the names that it tells to those of `survey`.
pub(super) fn find(log: &Surveyed, survey: &mut Survey, old: &OldIndex) -> Losses {
    let gone = Gone::of(log, survey);
    let mut messages = BTreeMap::new();
    let used: HashSet<u64> = survey.nameless.values().flatten().map(|(lsn, _)| *lsn).collect();
    let mut inboxes = Inboxes::default();
    let complete = old.entries(&mut |entry| {
        if gone.contains(entry.lsn) {
            lose(&mut messages, &entry);
        } else if used.contains(&entry.lsn) && entry.timeline.first() == Some(&b'i') {
            inboxes.add(&entry);
        }
    });
    let found = inboxes.names(survey, old);
    survey.names.extend(found);
    let start = |segment| log.segments.start(segment).raw();
    let holds = |from, to| messages.range::<u64, _>(from..to).next().is_some();
    let replay = old.replay.map_or(u64::MAX, |replay| log.segments.segment_of(replay));
    let missing = survey.missing.iter().copied();
    let missing = missing.filter(|n| *n >= replay || holds(start(*n), start(n + 1))).collect();
    let beyond = holds(log.end.raw(), u64::MAX) || old.replay.is_some_and(|at| at > log.end);
    let known = messages.values().map(|lost| (lost.timeline.clone(), lost.seq)).collect();
    Losses { messages, complete, missing, beyond, known }
}

fn lose(messages: &mut BTreeMap<u64, Lost>, entry: &OldEntry<'_>) {
    let lost = messages.entry(entry.lsn).or_insert_with(|| Lost {
        timeline: entry.timeline.into(),
        seq: entry.seq,
        inbox_entries: 0,
    });
    match entry.timeline.first() {
        Some(b'i') => lost.inbox_entries += 1,
        _ => (lost.timeline, lost.seq) = (entry.timeline.into(), entry.seq),
    }
}

impl Losses {
    /// Whether what had been durable is not there. `lenient`: the store ran without syncs, so that
    /// the end of the log may be.
    pub(super) fn damage(&self, log: &Surveyed, survey: &Survey, lenient: bool) -> bool {
        let damaged = !survey.damaged.is_empty() || !log.strange.is_empty() || log.newest == 0;
        damaged || !self.missing.is_empty() || self.beyond && !lenient
    }

    /// Whether this message is among those that the index knows to be lost.
    pub(super) fn knows(&self, conversation: &[u8], seq: u64) -> bool {
        !self.known.is_empty() && self.known.contains(&(conversation.into(), seq))
    }

    /// Tells what is lost, and of which bytes of the log nobody knows what they held.
    pub(super) fn tell(
        &self,
        log: &Surveyed,
        survey: &Survey,
        old: &OldIndex,
        teller: &mut Teller<'_>,
    ) {
        for lost in self.messages.values() {
            let timeline = printable(&lost.timeline);
            teller.message_lost(timeline, lost.seq, Some(lost.inbox_entries));
        }
        let replay = old.replay.filter(|_| self.complete).map_or(0, |replay| replay.raw());
        let start = |segment| log.segments.start(segment).raw();
        for range in &survey.damaged {
            let segment = log.segments.segment_of(range.from);
            let (from, to) = (range.from.raw(), range.from.raw() + range.bytes);
            let header = to <= start(segment);
            if to > replay && !header {
                let offset = from - log.segments.base(segment).raw();
                teller.unknown(segment, offset, range.bytes);
            }
        }
        for segment in &self.missing {
            let place = format!("log segment {segment:016x}");
            teller.damage(place, "it is missing");
        }
        let nobody_knows = |segment: &&u64| match replay {
            0 => true,
            replay => self.missing.contains(segment) && start(**segment + 1) > replay,
        };
        for segment in survey.missing.iter().filter(nobody_knows) {
            teller.unknown(*segment, 0, log.segments.segment_bytes());
        }
        if self.beyond {
            let detail = format!("it ends at {:?}, and the index knows what came after", log.end);
            teller.damage(log.segments.dir().display(), detail);
        }
    }
}

/// Who received the messages whose recipients are only numbers.
#[derive(Default)]
struct Inboxes {
    /// By frame and position in the inbox.
    at: HashMap<(u64, u64), Vec<Box<[u8]>>, foldhash::fast::RandomState>,
    /// By frame and inbox.
    seqs: HashMap<(u64, Box<[u8]>), u64, foldhash::fast::RandomState>,
}

impl Inboxes {
    fn add(&mut self, entry: &OldEntry<'_>) {
        let key: Box<[u8]> = entry.timeline.into();
        self.at.entry((entry.lsn, entry.seq)).or_default().push(key.clone());
        self.seqs.insert((entry.lsn, key), entry.seq);
    }

    /// Gives each number an inbox that has an entry in every frame where the number stands, with
    /// the same position. Numbers that always stand together may be exchanged: that is the same.
    fn names(&self, survey: &Survey, old: &OldIndex) -> Names {
        let mut alike: BTreeMap<&[(u64, u64)], Vec<Numbered>> = BTreeMap::new();
        for (number, uses) in &survey.nameless {
            alike.entry(uses).or_default().push(*number);
        }
        let mut choices: Vec<_> = alike
            .into_iter()
            .map(|(uses, numbers)| (uses, numbers, self.fitting(uses, survey, old)))
            .collect();
        // Those with the least choice first.
        choices.sort_by_key(|(_, numbers, keys)| keys.len() as i64 - numbers.len() as i64);
        let mut taken: HashSet<(u64, Box<[u8]>)> = HashSet::new();
        let mut names = Names::default();
        for (uses, numbers, keys) in choices {
            let mut keys = keys;
            keys.retain(|key| !uses.iter().any(|(lsn, _)| taken.contains(&(*lsn, key.clone()))));
            for (number, key) in numbers.into_iter().zip(keys) {
                taken.extend(uses.iter().map(|(lsn, _)| (*lsn, key.clone())));
                names.insert(number, key);
            }
        }
        names
    }

    fn fitting(&self, uses: &[(u64, u64)], survey: &Survey, old: &OldIndex) -> Vec<Box<[u8]>> {
        let mut keys: Vec<Box<[u8]>> =
            uses.iter().filter_map(|at| self.at.get(at)).flatten().cloned().collect();
        keys.sort_unstable();
        keys.dedup();
        keys.retain(|key| {
            let floor = old.first(key).unwrap_or(1).max(survey.floors.get(key));
            uses.iter().all(|(lsn, seq)| {
                let place = (*lsn, key.clone());
                let fits = match self.seqs.get(&place) {
                    Some(stored) => stored == seq,
                    // Of what was trimmed, the index knows nothing any more.
                    None => *seq < floor,
                };
                fits && !survey.others.contains(&place)
            })
        });
        keys
    }
}

/// A conversation's key as people know it.
pub(super) fn conversation(key: &[u8]) -> String {
    TimelineId::from_key(key).map_or_else(|| printable(key), |timeline| timeline.to_string())
}
