//! The port to a database: only the commands that the protocol needs.
//!
//! Rules that hold for every implementation:
//! * A write is answered once a majority has it in its journal; a read sees only what a majority
//!   has, on the primary. A setting may weaken the first, loudly.
//! * Whatever is not such an answer is [`NoReply`]: a timeout, a dropped connection, an error of
//!   the write concern. The command may have been done, may be done later or never; later means
//!   within the time it was given. Whoever needs to know looks.
//! * A document whose `seq` is not a position is in no range and no tail.
//! * Of errors only the code of a broken unique index counts, and at which document: no text.

pub mod driver;
mod query;
#[cfg(any(test, feature = "testing"))]
pub mod simulated;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::Stream;
use mongodb::bson::{Bson, RawDocumentBuf};
use seqline_core::clock::UnixMillis;

pub use query::{Fields, Query, Update};

/// The answer to a command.
pub type Reply<T> = Pin<Box<dyn Future<Output = Result<T, NoReply>> + Send + 'static>>;

/// Documents, one after the other.
pub type Scan = Pin<Box<dyn Stream<Item = Result<RawDocumentBuf, NoReply>> + Send + 'static>>;

/// It is unknown whether the command was done, is under way or never will be.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no reply from the database: {0}")]
pub struct NoReply(pub String);

/// Which documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Collection {
    /// Entries of inboxes. Unique over `id` and `seq`.
    Inboxes,
    /// Entries of conversations. Unique over `id` and `seq`.
    History,
    /// One floor per trimmed timeline.
    Floors,
    /// The epoch and the leases.
    Meta,
}

/// Whether an insert stops at the first document that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// In the order given, up to the first that is refused.
    Ordered,
    /// All that are not refused, in any order. Others' documents may be in the same command.
    Unordered,
    /// The same in a command of its own: for documents whose last command had no reply, so that
    /// one which the database never answers for does not keep others from their answers.
    Alone,
}

/// What became of one document of an insert that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A majority has it.
    Stored,
    /// A unique index refused it, or an ordered insert had stopped before it: this command did
    /// not store it. It may be there all the same, from another command.
    Refused,
}

/// The newest entry of a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The timeline.
    pub id: String,
    /// Its position, the highest there is.
    pub seq: u64,
    /// When it was made. Only told of conversations.
    pub at: UnixMillis,
    /// Whether it is still being delivered. Only told of conversations.
    pub pending: bool,
}

/// Entries to delete. Named by more than their `_id`, because a late command may meet another
/// entry under it: that one has a position above any floor of before.
#[derive(Clone, Debug)]
pub struct Entries {
    /// Inboxes or history.
    pub of: Collection,
    /// Their timeline.
    pub id: String,
    /// Nothing above this position is meant.
    pub up_to: u64,
    /// Their `_id`s.
    pub ids: Vec<Bson>,
}

/// Why the indexes could not be made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IndexError {
    /// Existing documents share a position. They must be told apart before Seqline can start.
    #[error("{0}")]
    Duplicates(String),
    /// The database did not do it.
    #[error("{0}")]
    Failed(String),
}

/// A database. `within` is how long a command may take: it is refused or done by then, also if
/// nobody waits any more.
pub trait Db: Send + Sync + 'static {
    /// Inserts documents, each on its own: other writers may come between any two of them.
    fn insert(
        &self,
        into: Collection,
        documents: Vec<RawDocumentBuf>,
        order: Order,
        within: Duration,
    ) -> Reply<Vec<Outcome>>;

    /// The documents a query finds. One that stands at its place when the command begins, and is
    /// not changed meanwhile, is found; of two entries of a timeline that come meanwhile, the
    /// later one is never found without the earlier.
    fn find(&self, query: Query, within: Duration) -> Reply<Vec<RawDocumentBuf>>;

    /// The newest entry of each of the timelines `ids` that has any, in any order.
    fn tails(&self, of: Collection, ids: Vec<String>, within: Duration) -> Reply<Vec<Tail>>;

    /// Changes documents; how many it found to change. Repeating one changes nothing more.
    fn update(&self, update: Update, within: Duration) -> Reply<u64>;

    /// Deletes entries of a timeline, except those of which `again` is set.
    fn delete(&self, entries: Entries, within: Duration) -> Reply<()>;

    /// All documents of a collection in the order of `id` and `seq`, whatever those are. Without
    /// an index the database has to sort them first.
    fn scan(&self, of: Collection) -> Scan;

    /// About how many documents a collection has.
    fn count(&self, of: Collection) -> Reply<u64>;

    /// Makes the indexes that are missing.
    fn prepare(&self) -> Pin<Box<dyn Future<Output = Result<(), IndexError>> + Send + 'static>>;
}
