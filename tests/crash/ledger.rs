//! What was sent and what was read: finds everything lost, repeated, reordered or half done.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

/// Who takes part in which conversation: first the direct ones, then the groups.
#[derive(Clone, Debug)]
pub struct Cast {
    direct: usize,
    conversations: Vec<Arc<[usize]>>,
    /// Members with an inbox.
    members: usize,
}

impl Cast {
    /// These pairs and groups of members, who are numbered from 0.
    pub fn new(pairs: &[[usize; 2]], groups: &[Vec<usize>]) -> Cast {
        let pairs_and_groups =
            pairs.iter().map(|pair| &pair[..]).chain(groups.iter().map(|g| &g[..]));
        let conversations: Vec<Arc<[usize]>> = pairs_and_groups.map(Arc::from).collect();
        let members = conversations.iter().flat_map(|c| c.iter()).max().map_or(0, |last| last + 1);
        Cast { direct: pairs.len(), conversations, members }
    }

    pub fn conversations(&self) -> usize {
        self.conversations.len()
    }

    pub fn members(&self) -> usize {
        self.members
    }

    pub fn of(&self, conversation: usize) -> &Arc<[usize]> {
        &self.conversations[conversation]
    }

    pub fn is_direct(&self, conversation: usize) -> bool {
        conversation < self.direct
    }
}

impl Default for Cast {
    /// Eight pairs, and eight groups of seven that overlap with each other and with the pairs.
    fn default() -> Cast {
        let pairs: Vec<[usize; 2]> = (0..8).map(|c| [c % 6, 6 + c % 5]).collect();
        let group = |c: usize| (0..7).map(|n| (c * 3 + n * 5) % 24).collect();
        Cast::new(&pairs, &(8..16).map(group).collect::<Vec<_>>())
    }
}

/// One send somebody tried.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub id: usize,
    pub worker: usize,
    pub conversation: usize,
    /// Whose inboxes it belongs into.
    pub recipients: Arc<[usize]>,
    /// Of a direct send: who receives it.
    pub to: Option<usize>,
    pub keyed: bool,
    pub outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server said yes; of a direct send with this position in the receiver's inbox.
    Acknowledged(Option<i64>),
    /// The connection ended first.
    Unknown,
}

impl Attempt {
    /// The exact text that is sent, of many sizes, with what a re-writer would change.
    pub fn body(&self) -> String {
        // Now and then one that takes the disk many pages.
        let large = if self.id % 61 == 60 { 20_000 } else { 0 };
        let pad = "吃".repeat(self.id * 37 % 400 + large);
        format!("{{ \"id\":{},\t\"n\": 1.0, \"n\": 9007199254740993, \"pad\": \"{pad}\"}}", self.id)
    }

    /// The attempt a text belongs to.
    pub fn id_of(body: &str) -> usize {
        let digits = body.strip_prefix("{ \"id\":").unwrap();
        digits[..digits.find(',').unwrap()].parse().unwrap()
    }
}

/// What is wrong; all zero is right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    pub lost: usize,
    pub repeated: usize,
    pub reordered: usize,
    pub half_done: usize,
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Findings { lost, repeated, reordered, half_done } = self;
        write!(f, "{lost} lost, {repeated} repeated, {reordered} reordered, {half_done} half done")
    }
}

/// One timeline as it was read so far.
#[derive(Debug, Default)]
struct Log {
    ids: Vec<usize>,
    known: HashSet<usize>,
    /// The last position per conversation (in an inbox) or per worker (in a conversation).
    last: HashMap<usize, usize>,
}

/// All attempts and all timelines.
#[derive(Debug)]
pub struct Ledger {
    cast: Cast,
    attempts: HashMap<usize, Attempt>,
    conversations: Vec<Log>,
    inboxes: Vec<Log>,
    /// Where in its conversation an attempt stands.
    places: HashMap<usize, usize>,
    repeated: usize,
    reordered: usize,
}

impl Ledger {
    pub fn new() -> Ledger {
        Ledger::of(Cast::default())
    }

    /// An empty ledger for other conversations than the usual ones.
    pub fn of(cast: Cast) -> Ledger {
        let logs = |count| (0..count).map(|_| Log::default()).collect();
        Ledger {
            attempts: HashMap::new(),
            conversations: logs(cast.conversations()),
            inboxes: logs(cast.members()),
            places: HashMap::new(),
            repeated: 0,
            reordered: 0,
            cast,
        }
    }

    pub fn cast(&self) -> &Cast {
        &self.cast
    }

    pub fn record(&mut self, attempts: Vec<Attempt>) {
        self.attempts.extend(attempts.into_iter().map(|attempt| (attempt.id, attempt)));
    }

    pub fn acknowledged(&self) -> usize {
        let acknowledged = |attempt: &&Attempt| attempt.outcome != Outcome::Unknown;
        self.attempts.values().filter(acknowledged).count()
    }

    pub fn attempts(&self) -> usize {
        self.attempts.len()
    }

    /// Keyed attempts in the order they were made: those without an answer, and the latest ones
    /// with one.
    pub fn to_repeat(&self, answered_max: usize) -> Vec<Attempt> {
        let mut keyed: Vec<&Attempt> = self.attempts.values().filter(|a| a.keyed).collect();
        keyed.sort_by_key(|attempt| std::cmp::Reverse(attempt.id));
        let (unknown, answered): (Vec<&Attempt>, Vec<&Attempt>) =
            keyed.into_iter().partition(|attempt| attempt.outcome == Outcome::Unknown);
        let mut both: Vec<Attempt> =
            unknown.into_iter().chain(answered.into_iter().take(answered_max)).cloned().collect();
        both.sort_by_key(|attempt| attempt.id);
        both
    }

    /// Where in its conversation an attempt stands, counted from 1, once that was read.
    pub fn place(&self, id: usize) -> Option<usize> {
        self.places.get(&id).copied()
    }

    /// The attempts in a conversation, in the order in which they were read.
    pub fn conversation_ids(&self, conversation: usize) -> &[usize] {
        &self.conversations[conversation].ids
    }

    /// The attempts in an inbox, in the order in which they were read.
    pub fn inbox_ids(&self, member: usize) -> &[usize] {
        &self.inboxes[member].ids
    }

    /// How far a timeline was read.
    pub fn conversation_read(&self, conversation: usize) -> i64 {
        self.conversations[conversation].ids.len() as i64
    }

    /// How far an inbox was read.
    pub fn inbox_read(&self, member: usize) -> i64 {
        self.inboxes[member].ids.len() as i64
    }

    /// Takes the next entry of a conversation; conversations are read before inboxes.
    pub fn in_conversation(&mut self, conversation: usize, body: &str) {
        let attempt = self.attempt(body);
        let (id, worker, expected) = (attempt.id, attempt.worker, attempt.conversation);
        assert_eq!(expected, conversation, "attempt {id} stands in a foreign conversation");
        let log = &mut self.conversations[conversation];
        log.ids.push(id);
        if log.known.insert(id) {
            self.places.insert(id, log.ids.len());
            // A worker sends one after another, so its sends are stored in this order.
            let before = log.last.insert(worker, id);
            self.reordered += usize::from(before.is_some_and(|before| before > id));
        } else {
            self.repeated += 1;
        }
    }

    /// Takes the next entry of an inbox.
    pub fn in_inbox(&mut self, member: usize, body: &str) {
        let (id, conversation) = {
            let attempt = self.attempt(body);
            let theirs = attempt.recipients.contains(&member);
            assert!(theirs, "attempt {} is in a foreign inbox", attempt.id);
            (attempt.id, attempt.conversation)
        };
        let log = &mut self.inboxes[member];
        log.ids.push(id);
        if !log.known.insert(id) {
            self.repeated += 1;
        } else if let Some(place) = self.places.get(&id) {
            let before = log.last.insert(conversation, *place);
            self.reordered += usize::from(before.is_some_and(|before| before > *place));
        }
    }

    /// Every difference between what was acknowledged and what was read so far.
    pub fn findings(&self) -> Findings {
        let mut findings =
            Findings { repeated: self.repeated, reordered: self.reordered, ..Findings::default() };
        for attempt in self.attempts.values() {
            let recipients = &attempt.recipients;
            let inboxes =
                recipients.iter().filter(|m| self.inboxes[**m].known.contains(&attempt.id)).count();
            let there = inboxes + usize::from(self.places.contains_key(&attempt.id));
            if there != 0 && there != recipients.len() + 1 {
                findings.half_done += 1;
            } else if there == 0 && attempt.outcome != Outcome::Unknown {
                findings.lost += 1;
            } else if let (Outcome::Acknowledged(Some(seq)), Some(to)) =
                (attempt.outcome, attempt.to)
            {
                // Another message at the place that was answered: this one is lost from there.
                let stands = self.inboxes[to].ids.get(seq as usize - 1);
                findings.lost += usize::from(stands != Some(&attempt.id));
            }
        }
        findings
    }

    /// Compares what is read again from the start with what was read before.
    pub fn same_as(&self, other: &Ledger) -> bool {
        let ids = |logs: &[Log]| logs.iter().map(|log| log.ids.clone()).collect::<Vec<_>>();
        ids(&self.inboxes) == ids(&other.inboxes)
            && ids(&self.conversations) == ids(&other.conversations)
    }

    /// The same attempts, nothing read.
    pub fn unread(&self) -> Ledger {
        Ledger { attempts: self.attempts.clone(), ..Ledger::of(self.cast.clone()) }
    }

    fn attempt(&self, body: &str) -> &Attempt {
        let attempt = self.attempts.get(&Attempt::id_of(body)).expect("it was sent by this test");
        assert_eq!(attempt.body(), body, "the text comes back byte for byte");
        attempt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ledger with acknowledged direct sends 1 and 2 of conversation 0, read in these orders.
    fn read(conversation: &[usize], first: &[usize], second: &[usize]) -> Findings {
        let mut ledger = Ledger::new();
        let both = ledger.cast().of(0).clone();
        let attempt = |id| Attempt {
            id,
            worker: 0,
            conversation: 0,
            recipients: both.clone(),
            to: None,
            keyed: false,
            outcome: Outcome::Acknowledged(None),
        };
        ledger.record(vec![attempt(1), attempt(2)]);
        let bodies = |ids: &[usize]| ids.iter().map(|id| attempt(*id).body()).collect::<Vec<_>>();
        bodies(conversation).iter().for_each(|body| ledger.in_conversation(0, body));
        bodies(first).iter().for_each(|body| ledger.in_inbox(both[0], body));
        bodies(second).iter().for_each(|body| ledger.in_inbox(both[1], body));
        ledger.findings()
    }

    #[test]
    fn the_ledger_sees_each_kind_of_fault() {
        let none = Findings::default();
        assert_eq!(read(&[1, 2], &[1, 2], &[1, 2]), none);
        assert_eq!(read(&[1], &[1], &[1]), Findings { lost: 1, ..none });
        assert_eq!(read(&[1, 2], &[1, 2], &[1]), Findings { half_done: 1, ..none });
        assert_eq!(read(&[1], &[1, 2], &[1, 2]), Findings { half_done: 1, ..none });
        assert_eq!(read(&[1, 2, 2], &[1, 2], &[1, 2]), Findings { repeated: 1, ..none });
        assert_eq!(read(&[1, 2], &[1, 2, 1], &[1, 2]), Findings { repeated: 1, ..none });
        assert_eq!(read(&[1, 2], &[1, 2], &[2, 1]), Findings { reordered: 1, ..none });
        assert_eq!(read(&[2, 1], &[2, 1], &[2, 1]), Findings { reordered: 1, ..none });
    }
}
