//! What can be asked of a database and changed in it: a closed list, so that every command is
//! one that was thought about, and that a simulated database can do all of them.

use mongodb::bson::{Binary, Bson, DateTime};

use super::Collection;

/// Which fields are of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fields {
    /// All.
    All,
    /// Without the recipients, of which there may be many thousand.
    Entry,
    /// Without the message too.
    Head,
}

/// A question.
#[derive(Clone, Debug)]
pub enum Query {
    /// Entries of one timeline with `above < seq <= up_to`.
    Range {
        /// Inboxes or history.
        of: Collection,
        /// The timeline.
        id: String,
        /// Below the range.
        above: u64,
        /// The end of the range.
        up_to: u64,
        /// The highest first.
        descending: bool,
        /// Most documents.
        limit: usize,
        /// The document that passes so many bytes is the last.
        bytes_max: usize,
        /// What of them.
        fields: Fields,
    },
    /// Documents by their `_id`, in any order.
    Ids {
        /// Where.
        of: Collection,
        /// Which.
        ids: Vec<Bson>,
        /// What of them.
        fields: Fields,
    },
    /// Heads of entries of conversations that are pending since `since` or before, oldest first.
    Pending {
        /// Only those and older ones.
        since: DateTime,
        /// Most documents.
        limit: usize,
    },
    /// The lowest pending entry of one conversation up to `up_to`.
    LowestPending {
        /// The conversation.
        id: String,
        /// The end of the range.
        up_to: u64,
    },
    /// Floors below which something is still to be deleted, those after the `_id` `after`.
    OpenFloors {
        /// The last `_id` of the page before; empty at the start.
        after: String,
        /// Most documents.
        limit: usize,
    },
}

/// A change. Each is one command, and each document it changes is changed in one step.
#[derive(Clone, Debug)]
pub enum Update {
    /// Entries of conversations that everybody has: sets `whole`, removes `rcpt` and `pend`.
    /// Those that are whole already stay as they are.
    MarkWhole {
        /// Their `_id`s.
        ids: Vec<Binary>,
        /// Since when it is known.
        at: DateTime,
    },
    /// The key of this entry may be used again: sets `again`, after which it is never deleted.
    /// Finds nothing if the entry is gone, also if another has its `_id` by now.
    UseAgain {
        /// Its `_id`.
        id: Binary,
        /// Its position.
        seq: u64,
    },
    /// Raises a floor and sets `open`; never lowers one. Makes it if there is none; if two do
    /// that at once, one of them may get no reply.
    RaiseFloor {
        /// The floor's `_id`.
        id: String,
        /// Everything up to here is gone.
        to: u64,
        /// The value of `open`.
        at: DateTime,
    },
    /// All below this floor is deleted: removes `open`, if it has not been raised since.
    CloseFloor {
        /// The floor's `_id`.
        id: String,
        /// Where it was.
        floor: u64,
    },
    /// Takes or keeps a lease, if nobody else holds it; finds 1 if so, else 0.
    Lease {
        /// Its name.
        id: String,
        /// Who wants it.
        holder: String,
        /// A lease that ends before this is free.
        now: DateTime,
        /// Until when it is to be held.
        until: DateTime,
    },
}
