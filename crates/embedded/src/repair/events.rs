//! What a repair tells while it runs, and in the end.

use std::fmt::Display;
use std::path::PathBuf;

use seqline_core::id::Epoch;

/// What [`repair`](super::repair()) tells while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepairEvent {
    /// So much of the work is done; both in the same unit.
    Progress {
        /// What is behind.
        done: u64,
        /// All there is, as far as it is known.
        total: u64,
    },
    /// Something stored does not hold.
    Damage {
        /// Where: a file, or a place in the log.
        place: String,
        /// What is wrong there.
        detail: String,
    },
    /// A message is gone.
    MessageLost {
        /// Its conversation; an inbox if it was trimmed from the conversation.
        timeline: String,
        /// Where it was in there, before the repair.
        seq: u64,
        /// How many inboxes it is gone from; `None` if nothing tells.
        inbox_entries: Option<u64>,
    },
    /// A message is there, but nothing tells any more who some of its recipients were.
    DeliveriesLost {
        /// Its conversation.
        conversation: String,
        /// Where it is in there, after the repair.
        seq: u64,
        /// How many inboxes it is gone from.
        count: u64,
    },
    /// Bytes of the log are gone and the index does not know all of what they held. Messages that
    /// it knew, and those whose numbers are missing, are told one by one as well.
    Unknown {
        /// The segment of the log.
        segment: u64,
        /// The first byte in it.
        from: u64,
        /// How many bytes.
        bytes: u64,
    },
}

/// What a repair had to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repaired {
    /// Nothing: the store is sound, and untouched.
    #[default]
    Nothing,
    /// An earlier repair had been interrupted at its end and is finished now.
    Interrupted,
    /// The index was made again from the log. Nothing is lost, nothing has another number.
    Index,
    /// A new log was written with all messages that survive, and the index made from it. Numbers
    /// changed, so the store has a new epoch.
    Log,
}

/// What [`repair`](super::repair()) did in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepairSummary {
    /// What had to be done.
    pub repaired: Repaired,
    /// Where that is what was there before.
    pub kept_in: Option<PathBuf>,
    /// The store's epoch from now on, if it is another one.
    pub new_epoch: Option<Epoch>,
    /// Messages in the log now.
    pub messages: u64,
    /// Messages that are known to be lost.
    pub messages_lost: u64,
    /// Deliveries lost of messages that are there.
    pub deliveries_lost: u64,
    /// Bytes of the log that are gone of which nobody knows all that they held.
    pub unknown_bytes: u64,
}

impl RepairSummary {
    /// Whether anything is lost, or may be.
    pub fn lost(&self) -> bool {
        self.messages_lost > 0 || self.deliveries_lost > 0 || self.unknown_bytes > 0
    }
}

/// Passes events on and counts them.
pub(super) struct Teller<'a> {
    report: &'a mut dyn FnMut(RepairEvent),
    pub(super) summary: RepairSummary,
    done: u64,
    told: u64,
    total: u64,
}

/// How much is done between two reports of progress.
const PROGRESS_BYTES: u64 = 4 * 1024 * 1024;

impl<'a> Teller<'a> {
    pub(super) fn new(report: &'a mut dyn FnMut(RepairEvent)) -> Teller<'a> {
        Teller { report, summary: RepairSummary::default(), done: 0, told: 0, total: 0 }
    }

    pub(super) fn damage(&mut self, place: impl Display, detail: impl Display) {
        let (place, detail) = (format!("{place}"), format!("{detail}"));
        (self.report)(RepairEvent::Damage { place, detail });
    }

    pub(super) fn message_lost(&mut self, timeline: String, seq: u64, inboxes: Option<u64>) {
        self.summary.messages_lost += 1;
        (self.report)(RepairEvent::MessageLost { timeline, seq, inbox_entries: inboxes });
    }

    pub(super) fn deliveries_lost(&mut self, conversation: String, seq: u64, count: u64) {
        self.summary.deliveries_lost += count;
        (self.report)(RepairEvent::DeliveriesLost { conversation, seq, count });
    }

    pub(super) fn unknown(&mut self, segment: u64, from: u64, bytes: u64) {
        self.summary.unknown_bytes += bytes;
        (self.report)(RepairEvent::Unknown { segment, from, bytes });
    }

    /// So much more is to be done.
    pub(super) fn expect(&mut self, bytes: u64) {
        self.total += bytes;
    }

    pub(super) fn progress(&mut self, bytes: u64) {
        self.done += bytes;
        if self.done >= self.told + PROGRESS_BYTES {
            self.told = self.done;
            let total = self.total.max(self.done);
            (self.report)(RepairEvent::Progress { done: self.done, total });
        }
    }
}
