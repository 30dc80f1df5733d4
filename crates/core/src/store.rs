//! The store port: the only thing between the service and what keeps the messages.

use std::future::Future;
use std::pin::Pin;

use crate::clock::UnixMillis;
use crate::error::Result;
use crate::fanout::Outgoing;
use crate::id::{MessageId, TimelineId};
use crate::page::{Bounds, Page, Read};
use crate::seq::Seq;
use crate::watch::Watch;

/// A future of the port, boxed so that the service does not depend on which store it has.
pub type StoreFuture<T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'static>>;

/// Ordered, durable storage of timelines.
///
/// Contract, checked for every store by `testing::contract::run`:
/// * entries of a timeline are numbered 1, 2, 3, … without a hole; a failed append burns none;
/// * an entry never becomes readable after a higher one of its timeline did;
/// * `append` returning `Ok` means that the send survives power loss, unless a setting of the
///   store says otherwise;
/// * a send is in its conversation and in all its inboxes, or nowhere, whatever was killed when;
/// * messages of one conversation stand in the same order in its timeline and in every inbox;
/// * a repeat under an idempotency key returns the first answer and stores nothing;
/// * a body comes back byte for byte;
/// * `latest` is what can be read; a store that lost or restored data has another epoch.
///
/// A dropped future does not undo its append: a caller that gave up may still find it stored.
pub trait Store: Send + Sync + 'static {
    /// Puts one message into its conversation and into the inbox of every recipient.
    ///
    /// # Errors
    /// `Conflict` and `Overloaded` stored nothing. After `OutcomeUnknown` only a repeat with an
    /// idempotency key, or a read, can tell.
    fn append(&self, send: Outgoing) -> StoreFuture<Receipt>;

    /// Reads one page.
    fn read(&self, read: Read) -> StoreFuture<Page>;

    /// The oldest and newest position of many timelines at once, in the order asked for.
    fn bounds(&self, timelines: Vec<TimelineId>) -> StoreFuture<Vec<Bounds>>;

    /// Forgets the entries up to and including `up_to`. The newest entry always stays, so that
    /// no number is ever used twice. Returns the bounds that hold from now on.
    fn trim(&self, timeline: TimelineId, up_to: Seq) -> StoreFuture<Bounds>;

    /// A place to wait until the timeline has grown. Lossless for whoever makes it before
    /// reading; wake-ups may be spurious.
    fn watch(&self, timeline: &TimelineId) -> Watch;

    /// Verifies everything stored and reports as it goes. Blocks for as long as that takes, so
    /// call it from a thread of its own. The summary counts what was read and what was wrong.
    fn check(&self, report: &mut dyn FnMut(CheckEvent)) -> Result<CheckSummary>;

    /// How the store is, at once and without reading anything.
    fn status(&self) -> Status;

    /// Finishes what was begun, makes it durable and refuses everything after.
    fn close(&self) -> StoreFuture<()>;
}

/// The answer to a send: where the message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The message, as it was first stored.
    pub id: MessageId,
    /// Its position in the conversation.
    pub conversation_seq: Seq,
    /// Its position in the inbox of the last recipient: of a direct send, the receiver.
    pub receiver_seq: Seq,
    /// When the server took it in.
    pub at: UnixMillis,
    /// Whether an earlier send under the same idempotency key had stored it.
    pub repeat: bool,
}

/// What [`Store::check`] tells while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckEvent {
    /// So much of the work is done; both in the same, store-chosen unit.
    Progress {
        /// What is behind.
        done: u64,
        /// All there is, as far as it is known.
        total: u64,
    },
    /// Something stored does not hold.
    Problem {
        /// Where: a timeline, a file or a key, printable.
        place: String,
        /// What is wrong there.
        detail: String,
    },
}

/// What [`Store::check`] found in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckSummary {
    /// Timelines read.
    pub timelines: u64,
    /// Entries of inboxes read.
    pub inbox_entries: u64,
    /// Messages read.
    pub messages: u64,
    /// Problems reported.
    pub problems: u64,
}

/// How a store is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Why sends are refused; `None` while they are taken. Only a restart changes it back.
    pub refuses_sends: Option<String>,
    /// What the store needs and does not reach at present; `None` while all is well. It changes
    /// back by itself.
    pub unreachable: Option<String>,
    /// Sends that wait for the disk.
    pub queued_sends: usize,
    /// Bytes of those sends.
    pub queued_bytes: usize,
    /// Bytes the store takes on disk.
    pub stored_bytes: u64,
}
