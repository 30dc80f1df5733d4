//! What an operator may set, and the relations between times that must hold.

use std::time::Duration;

use crate::schema;

/// A weaker write concern than the majority's journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeakWrites {
    /// A majority has it in memory: power loss of a majority may lose it.
    MajorityMemory,
    /// The primary has it in its journal: so may every change of the primary.
    Primary,
}

/// How the store works. Defaults are those of [`Options::default`].
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the database is, `mongodb://…`.
    pub uri: String,
    /// The name of the database.
    pub database: String,
    /// The collection with the entries of all inboxes.
    pub inboxes: String,
    /// The collection with the entries of all conversations.
    pub history: String,
    /// Another write concern than a majority's journal. It breaks the promise that an
    /// acknowledged message is not lost, and with a failover also the order.
    pub weak_writes: Option<WeakWrites>,
    /// How long the first answer of the database may take, its primary's election included.
    pub contact_time: Duration,
    /// How long a send, read or trim may take in all. A command that is still under way then is
    /// refused by the database, so nothing of it happens later.
    pub operation_time: Duration,
    /// How long one command may take before its outcome is looked up.
    pub command_time: Duration,
    /// How old a known tail may be to be used.
    pub hint_time: Duration,
    /// How long a trimmed entry, and any after its fan-out was whole, stays in the database.
    /// More than twice [`Options::operation_time`] and [`Options::hint_time`] together and the
    /// difference of the instances' clocks, and no less than [`Options::key_window`] and that
    /// difference.
    pub grace: Duration,
    /// How long an idempotency key counts.
    pub key_window: Duration,
    /// How old an entry that is not delivered wholly must be for an instance other than its own
    /// to finish it.
    pub resume_after: Duration,
    /// How often an instance looks for such entries, for what may be deleted, and whether the
    /// epoch is still its own.
    pub care_interval: Duration,
    /// How often an instance looks whether timelines that somebody waits for have grown without
    /// its being told.
    pub look_interval: Duration,
    /// How long marks wait for others to go with.
    pub mark_interval: Duration,
    /// Most sends that may wait on this instance; above that it answers "overloaded".
    pub queued_sends_max: usize,
    /// Most bytes of bodies that those sends may have.
    pub queued_bytes_max: usize,
    /// How many tails this instance remembers, of inboxes and of conversations each.
    pub tails_max: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            uri: "mongodb://127.0.0.1:27017".to_owned(),
            database: "timeline".to_owned(),
            inboxes: schema::SYNC_COLLECTION.to_owned(),
            history: schema::HISTORY_COLLECTION.to_owned(),
            weak_writes: None,
            contact_time: Duration::from_secs(30),
            operation_time: Duration::from_secs(60),
            command_time: Duration::from_secs(10),
            hint_time: Duration::from_secs(10 * 60),
            grace: Duration::from_secs(8 * 24 * 60 * 60),
            key_window: Duration::from_secs(7 * 24 * 60 * 60),
            resume_after: Duration::from_secs(3 * 60),
            care_interval: Duration::from_secs(10),
            look_interval: Duration::from_secs(2),
            mark_interval: Duration::from_millis(50),
            queued_sends_max: 10_000,
            queued_bytes_max: 256 * 1024 * 1024,
            tails_max: 500_000,
        }
    }
}

impl Options {
    /// Says which relation between the times does not hold, if any: without it, a slow operation
    /// or an old hint could use a number twice.
    ///
    /// # Errors
    /// The sentence for the operator.
    pub fn check(&self) -> Result<(), String> {
        let least = 2 * (self.operation_time + self.hint_time) + self.skew();
        if self.grace <= least {
            let grace = self.grace;
            return Err(format!("the grace period is {grace:?}, it must be more than {least:?}"));
        }
        // By a clock that is ahead a key's entry is deleted that much earlier.
        if self.grace < self.key_window + self.skew() {
            return Err(format!(
                "the grace period is {:?}, less than the {:?} that an idempotency key counts and \
                 {:?} for clocks that differ",
                self.grace,
                self.key_window,
                self.skew()
            ));
        }
        if self.command_time > self.operation_time {
            return Err("a command may take longer than a whole operation".to_owned());
        }
        Ok(())
    }

    /// How much the clocks of instances may differ: as long as an operation.
    pub(crate) fn skew(&self) -> Duration {
        self.operation_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold_and_a_short_grace_does_not() {
        let options = Options::default();
        assert_eq!(options.check(), Ok(()));
        let short = Options { grace: 2 * options.hint_time, ..options.clone() };
        assert!(short.check().unwrap_err().contains("grace"));
        let keys = Options { key_window: options.grace, ..options };
        assert!(keys.check().unwrap_err().contains("idempotency key"));
    }
}
