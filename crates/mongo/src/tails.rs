//! What this instance knows of tails, and which conversations it knows to be whole. Never more
//! than what a majority had; may be lost at any time.

use std::time::Duration;

use quick_cache::sync::Cache;
use seqline_core::clock::UnixMillis;

/// The tail of an inbox.
#[derive(Clone, Copy, Debug)]
struct Inbox {
    seq: u64,
    /// Known since before this moment of the uptime, and good until too long after it.
    known: Duration,
}

/// The newest entry of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Newest {
    /// Its position; 0 if there is none.
    pub seq: u64,
    /// Its time, which no later one may precede.
    pub at: UnixMillis,
}

#[derive(Clone, Copy, Debug, Default)]
struct Conversation {
    newest: Option<(Newest, Duration)>,
    /// Everybody has every entry up to this one.
    whole: u64,
}

/// Tails and wholeness, as far as memory goes.
pub(crate) struct Tails {
    inboxes: Cache<Box<str>, Inbox>,
    conversations: Cache<Box<str>, Conversation>,
    age_max: Duration,
}

impl Tails {
    pub fn new(count_max: usize, age_max: Duration) -> Tails {
        Tails { inboxes: Cache::new(count_max), conversations: Cache::new(count_max), age_max }
    }

    /// The tail of an inbox; `None` if it is not known or too old by `now`.
    pub fn inbox(&self, member: &str, now: Duration) -> Option<u64> {
        let found = self.inboxes.get(member)?;
        (now.saturating_sub(found.known) < self.age_max).then_some(found.seq)
    }

    /// Takes over a tail that a majority had at `known` or later.
    pub fn know_inbox(&self, member: &str, seq: u64, known: Duration) {
        if let Some(before) = self.inboxes.get(member)
            && (before.seq, before.known) >= (seq, known)
        {
            return;
        }
        self.inboxes.insert(member.into(), Inbox { seq, known });
    }

    /// The newest entry of a conversation; `None` if it is not known or too old by `now`.
    pub fn newest(&self, id: &str, now: Duration) -> Option<Newest> {
        let (newest, known) = self.conversations.get(id)?.newest?;
        (now.saturating_sub(known) < self.age_max).then_some(newest)
    }

    /// Takes over the newest entry, which a majority had at `known` or later.
    pub fn know_newest(&self, id: &str, newest: Newest, known: Duration) {
        self.change(id, |conversation| {
            let before = conversation.newest.map(|(before, known)| (before.seq, known));
            if before < Some((newest.seq, known)) {
                conversation.newest = Some((newest, known));
            }
        });
    }

    /// Up to which entry everybody is known to have all; 0 if nothing is known.
    pub fn whole(&self, id: &str) -> u64 {
        self.conversations.get(id).map_or(0, |conversation| conversation.whole)
    }

    /// Everybody has every entry up to `seq`.
    pub fn know_whole(&self, id: &str, seq: u64) {
        self.change(id, |conversation| conversation.whole = conversation.whole.max(seq));
    }

    /// One conversation has one writer at a time on an instance, its lane or its resumer, and what
    /// either overwrites of the other was true and is found again.
    fn change(&self, id: &str, change: impl FnOnce(&mut Conversation)) {
        let mut conversation = self.conversations.get(id).unwrap_or_default();
        change(&mut conversation);
        self.conversations.insert(id.into(), conversation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_counts_until_it_is_too_old_and_a_later_lower_one_does_not() {
        let second = Duration::from_secs(1);
        let tails = Tails::new(100, 10 * second);
        assert_eq!(tails.inbox("a", second), None);
        tails.know_inbox("a", 5, second);
        tails.know_inbox("a", 4, 2 * second);
        assert_eq!(tails.inbox("a", 10 * second), Some(5));
        assert_eq!(tails.inbox("a", 11 * second), None);
        tails.know_inbox("a", 5, 8 * second);
        assert_eq!(tails.inbox("a", 11 * second), Some(5));
    }

    #[test]
    fn what_is_whole_stays_so() {
        let tails = Tails::new(100, Duration::from_secs(1));
        assert_eq!(tails.whole("c"), 0);
        tails.know_whole("c", 7);
        tails.know_whole("c", 5);
        assert_eq!(tails.whole("c"), 7);
        let newest = Newest { seq: 9, at: UnixMillis(3) };
        tails.know_newest("c", newest, Duration::ZERO);
        assert_eq!(tails.newest("c", Duration::ZERO), Some(newest));
        assert_eq!((tails.newest("c", Duration::from_secs(1)), tails.whole("c")), (None, 7));
    }
}
