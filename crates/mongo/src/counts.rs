//! What the store counts, for whoever watches over it: commands, lost races, help, tails.

use std::time::Duration;

use metrics::{Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram};

/// What commands are sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Send,
    Read,
    Trim,
    /// Looking at timelines that somebody waits for.
    Look,
    /// Writing down what everybody has.
    Mark,
    /// Resuming, deleting, watching the epoch.
    Care,
}

const OPERATIONS: [&str; 6] = ["send", "read", "trim", "look", "mark", "care"];

/// The counters of one store. Without a recorder installed they count nothing.
pub(crate) struct Counts {
    commands: [Counter; OPERATIONS.len()],
    seconds: Histogram,
    no_replies: Counter,
    taken: Counter,
    delivered: Counter,
    helped: Counter,
    resumed: Counter,
    lost: Counter,
    tails: [Counter; 2],
}

impl Counts {
    pub fn new() -> Counts {
        describe();
        Counts {
            commands: OPERATIONS.map(|it| counter!("seqline_mongo_commands_total", "for" => it)),
            seconds: histogram!("seqline_mongo_command_seconds"),
            no_replies: counter!("seqline_mongo_no_replies_total"),
            taken: counter!("seqline_mongo_taken_total"),
            delivered: counter!("seqline_deliveries_total"),
            helped: counter!("seqline_mongo_helped_total"),
            resumed: counter!("seqline_mongo_resumed_total"),
            lost: counter!("seqline_mongo_lost_total"),
            tails: ["hint", "unknown"].map(|it| counter!("seqline_mongo_tails_total", "why" => it)),
        }
    }

    /// A command was sent, and had its reply or none after this time.
    pub fn command(&self, operation: Operation, time: Duration) {
        self.commands[operation as usize].increment(1);
        self.seconds.record(time.as_secs_f64());
    }

    pub fn no_reply(&self) {
        self.no_replies.increment(1);
    }

    pub fn taken(&self, documents: usize) {
        self.taken.increment(documents as u64);
    }

    pub fn delivered(&self, entries: usize) {
        self.delivered.increment(entries as u64);
    }

    pub fn helped(&self, messages: usize) {
        self.helped.increment(messages as u64);
    }

    pub fn resumed(&self, messages: usize) {
        self.resumed.increment(messages as u64);
    }

    /// A page was refused.
    pub fn lost(&self) {
        self.lost.increment(1);
    }

    /// Tails of inboxes that are read: because a hint says they have grown, or none is known.
    pub fn tails(&self, grown: usize, unknown: usize) {
        for (counter, tails) in self.tails.iter().zip([grown, unknown]) {
            counter.increment(tails as u64);
        }
    }
}

/// Calls that went with the command of another.
pub(crate) fn joined() -> Counter {
    counter!("seqline_mongo_joined_total")
}

fn describe() {
    describe_counter!("seqline_mongo_commands_total", "Calls of MongoDB, by what for");
    describe_counter!(
        "seqline_mongo_joined_total",
        "Calls of MongoDB that went with the command of another call"
    );
    describe_histogram!(
        "seqline_mongo_command_seconds",
        Unit::Seconds,
        "Time of one call, until its reply or until none is waited for any more"
    );
    describe_counter!(
        "seqline_mongo_no_replies_total",
        "Commands without a reply, whose outcome had to be looked up"
    );
    describe_counter!(
        "seqline_mongo_taken_total",
        "Documents that were refused: their number was another writer's, or they were there"
    );
    describe_counter!(
        "seqline_mongo_helped_total",
        "Messages of other sends that were delivered because a send came after them"
    );
    describe_counter!(
        "seqline_mongo_resumed_total",
        "Messages whose delivery was finished after their own server had stopped"
    );
    describe_counter!(
        "seqline_mongo_lost_total",
        "Pages that were refused, since an entry below one of Seqline's is lost"
    );
    describe_counter!(
        "seqline_mongo_tails_total",
        "Ends of inboxes that were read for sends, by why: a hint said it had grown, or unknown"
    );
}
