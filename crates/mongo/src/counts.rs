//! What the store counts, for whoever watches over it: commands, retries, help, misses.

use metrics::{Counter, counter, describe_counter};

/// The counters of one store. Without a recorder installed they count nothing.
pub(crate) struct Counts {
    commands: Counter,
    no_replies: Counter,
    taken: Counter,
    helped: Counter,
    resumed: Counter,
    hint_misses: Counter,
}

impl Counts {
    pub fn new() -> Counts {
        describe_counter!("seqline_mongo_commands_total", "Commands sent to MongoDB.");
        describe_counter!("seqline_mongo_no_replies_total", "Commands whose outcome was unknown.");
        describe_counter!(
            "seqline_mongo_taken_total",
            "Documents whose number another writer had taken, or that were there already."
        );
        describe_counter!(
            "seqline_mongo_helped_total",
            "Messages of other sends that were delivered because a send came after them."
        );
        describe_counter!(
            "seqline_mongo_resumed_total",
            "Messages whose delivery was finished after their own sender had stopped."
        );
        describe_counter!(
            "seqline_mongo_hint_misses_total",
            "Tails of inboxes that had to be read from MongoDB."
        );
        Counts {
            commands: counter!("seqline_mongo_commands_total"),
            no_replies: counter!("seqline_mongo_no_replies_total"),
            taken: counter!("seqline_mongo_taken_total"),
            helped: counter!("seqline_mongo_helped_total"),
            resumed: counter!("seqline_mongo_resumed_total"),
            hint_misses: counter!("seqline_mongo_hint_misses_total"),
        }
    }

    pub fn command(&self) {
        self.commands.increment(1);
    }

    pub fn no_reply(&self) {
        self.no_replies.increment(1);
    }

    pub fn taken(&self, documents: usize) {
        self.taken.increment(documents as u64);
    }

    pub fn helped(&self, messages: usize) {
        self.helped.increment(messages as u64);
    }

    pub fn resumed(&self, messages: usize) {
        self.resumed.increment(messages as u64);
    }

    pub fn hint_misses(&self, tails: usize) {
        self.hint_misses.increment(tails as u64);
    }
}
