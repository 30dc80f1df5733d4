//! What befalls commands on their way.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mongodb::bson::RawDocumentBuf;

use crate::db::{Collection, Entries, Fields, Query, Update};

/// A command on its way.
#[derive(Clone, Debug)]
pub enum Command {
    /// Of documents into a collection.
    Insert(Collection, Vec<RawDocumentBuf>),
    /// By a query.
    Find(Query),
    /// Of these timelines.
    Tails(Collection, Vec<String>),
    /// Of documents.
    Update(Update),
    /// Of these entries.
    Delete(Entries),
}

impl Command {
    /// Whether it changes anything.
    pub fn writes(&self) -> bool {
        !matches!(self, Command::Find(_) | Command::Tails(..))
    }
}

/// What becomes of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is done and answered.
    Done,
    /// It is done, and the answer is lost.
    Unheard,
    /// It is lost on its way.
    Never,
    /// Its sender gives up at once, and it is done so much later.
    Late(Duration),
}

/// Decides about commands and about time.
pub trait Weather: Send + Sync + 'static {
    /// What becomes of a command that `by` sends.
    fn verdict(&self, by: usize, command: &Command, within: Duration) -> Verdict;

    /// How long a command of `by` is on its way, and its answer.
    fn way(&self, by: usize) -> (Duration, Duration);

    /// How long one document of a command takes.
    fn step(&self) -> Duration;

    /// How long until a majority has a change.
    fn replication(&self) -> Duration;

    /// Whether, as a majority gets a change, old reads are from before it from now on.
    fn ages(&self) -> bool {
        false
    }

    /// Whether this read sees an old view.
    fn is_old(&self, _: &Query) -> bool {
        false
    }

    /// Whether this tail is an old one.
    fn is_tail_old(&self, _: Collection) -> bool {
        false
    }

    /// The order in which an unordered insert is done.
    fn shuffle(&self, _: &mut [usize]) {}
}

/// Everything is done and answered at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Calm;

impl Weather for Calm {
    fn verdict(&self, _: usize, _: &Command, _: Duration) -> Verdict {
        Verdict::Done
    }

    fn way(&self, _: usize) -> (Duration, Duration) {
        (Duration::ZERO, Duration::ZERO)
    }

    fn step(&self) -> Duration {
        Duration::ZERO
    }

    fn replication(&self) -> Duration {
        Duration::ZERO
    }
}

/// Every command takes the same time, so that time counts round trips.
#[derive(Clone, Copy, Debug)]
pub struct Steady(pub Duration);

impl Weather for Steady {
    fn verdict(&self, _: usize, _: &Command, _: Duration) -> Verdict {
        Verdict::Done
    }

    fn way(&self, _: usize) -> (Duration, Duration) {
        (Duration::ZERO, self.0)
    }

    fn step(&self) -> Duration {
        Duration::ZERO
    }

    fn replication(&self) -> Duration {
        Duration::ZERO
    }
}

/// Weather drawn from a seed: the same in every run on one thread with a paused clock.
#[derive(Debug)]
pub struct Seeded {
    random: Mutex<u64>,
    /// Of a thousand commands, so many are lost, unheard or late.
    bad: u64,
    /// Of a thousand reads that may be old, so many are.
    old: u64,
    /// Whether what readers are told may be old as well: then it steps back.
    stale: bool,
    /// Nothing goes wrong any more.
    fine: Arc<AtomicBool>,
}

impl Seeded {
    /// The weather of `seed`. Of a thousand commands `bad` go wrong, of a thousand reads `old`
    /// are old; those whose answers readers are told only if `stale`.
    pub fn new(seed: u64, bad: u64, old: u64, stale: bool) -> Seeded {
        Seeded { random: Mutex::new(seed), bad, old, stale, fine: Arc::default() }
    }

    /// Set it, and nothing goes wrong any more.
    pub fn fine(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.fine)
    }

    fn happens(&self, of_a_thousand: u64) -> bool {
        !self.fine.load(Ordering::Relaxed) && self.below(1_000) < of_a_thousand
    }

    /// The next number below `bound` (splitmix64).
    fn below(&self, bound: u64) -> u64 {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        *random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }

    fn millis(&self, most: u64) -> Duration {
        Duration::from_millis(self.below(most + 1))
    }
}

impl Weather for Seeded {
    fn verdict(&self, _: usize, command: &Command, within: Duration) -> Verdict {
        if !self.happens(self.bad) {
            return Verdict::Done;
        }
        let most = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        match self.below(3) {
            0 => Verdict::Never,
            1 => Verdict::Unheard,
            // The database refuses what comes after its time limit.
            _ if command.writes() => Verdict::Late(self.millis(most)),
            _ => Verdict::Never,
        }
    }

    fn way(&self, _: usize) -> (Duration, Duration) {
        // Seldom a long one, so that all kinds of steps come between.
        let most = if self.below(20) == 0 { 200 } else { 4 };
        (self.millis(most), self.millis(2))
    }

    fn step(&self) -> Duration {
        self.millis(2)
    }

    fn replication(&self) -> Duration {
        let most = if self.below(20) == 0 { 100 } else { 3 };
        self.millis(most) + Duration::from_millis(1)
    }

    fn ages(&self) -> bool {
        self.below(4) == 0
    }

    fn is_old(&self, query: &Query) -> bool {
        // What decides about sends must bear old views. Pages of a primary that knows of its
        // successor never step back; those of one that does not may.
        let page = match query {
            Query::Range { fields, .. } => *fields != Fields::All,
            Query::Ids { of, .. } => matches!(of, Collection::Floors | Collection::Meta),
            _ => true,
        };
        (self.stale || !page) && self.happens(self.old)
    }

    fn is_tail_old(&self, of: Collection) -> bool {
        // Those of conversations are told to readers too.
        (self.stale || of == Collection::Inboxes) && self.happens(self.old)
    }

    fn shuffle(&self, turns: &mut [usize]) {
        for last in (1..turns.len()).rev() {
            let other = usize::try_from(self.below(last as u64 + 1)).unwrap_or(0);
            turns.swap(last, other);
        }
    }
}
