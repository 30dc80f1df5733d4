//! What a service beside the database may tell: tails of inboxes, who adds to one at the moment,
//! and that a timeline has grown.
//!
//! Two ports, both only to save time. Everything said here may be lost, late or repeated, and no
//! number, no order and no `latest` is ever decided by it. [`Nothing`] is what a store has that
//! runs alone; the Redis side implements both.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use seqline_core::clock::UnixMillis;
use seqline_core::id::{Epoch, Text, TimelineId};
use seqline_core::seq::Seq;

/// A tail somebody knew, and when.
///
/// One that is higher than what an instance knows makes it read the tail, and that is all it does:
/// too low, too old, too high or of another database, it costs a read or a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The highest position of the inbox at that time; [`Seq::ZERO`] if it had none.
    pub seq: Seq,
    /// When that was known, by the clock of the instance that knew.
    pub at: UnixMillis,
}

/// The longest that a claim lasts: many times what an insert takes, and what an instance that died
/// can cost others.
pub const CLAIM_TIME: Duration = Duration::from_millis(500);

/// What became of claiming one inbox, by [`Hints::claim`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whether no other instance has claimed it, as far as anybody knows.
    pub ours: bool,
    /// Its tail, as it was once the claim was made.
    pub hint: Option<Hint>,
}

/// The answer of [`Hints::claim`].
pub type ClaimFuture = Pin<Box<dyn Future<Output = Vec<Claim>> + Send + 'static>>;

/// The answer of [`Hints::tails`].
pub type HintFuture = Pin<Box<dyn Future<Output = Vec<Option<Hint>>> + Send + 'static>>;

/// Tails of inboxes that any instance knew.
///
/// Hints of one database and epoch never answer for another: an implementation keeps them under
/// names that carry both. Losing some or all of them costs reads and nothing else.
pub trait Hints: Send + Sync + 'static {
    /// What is known of the inboxes of `members`: one answer each, in their order. It comes
    /// within milliseconds or says that nothing is known; it never fails.
    fn tails(&self, epoch: Epoch, members: Vec<Text>) -> HintFuture;

    /// Takes over what this instance knows. Returns at once, and may drop it.
    fn put(&self, epoch: Epoch, tails: Vec<(Text, Hint)>);

    /// Claims the inboxes of `members` for [`CLAIM_TIME`], as far as nobody has: one answer each,
    /// in their order. It comes within milliseconds or says that all are the caller's; it never
    /// fails. A claim keeps out only whoever asks for it.
    fn claim(&self, epoch: Epoch, members: Vec<Text>) -> ClaimFuture;

    /// Ends claims of this instance, after what was [`put`](Hints::put) before is known. Returns
    /// at once, and may drop it: then they end by themselves.
    fn release(&self, epoch: Epoch, members: Vec<Text>);
}

/// Tells the other instances that timelines have grown.
///
/// The receiving side calls `MongoStore::grown` for each timeline it hears of, and
/// `MongoStore::all_grown` whenever it may have missed some, for example after it had to connect
/// again.
pub trait Notices: Send + Sync + 'static {
    /// Called after the entries can be read. Returns at once, and may drop them.
    fn publish(&self, timelines: Vec<TimelineId>);
}

/// Knows no tails and tells nobody: for a store that runs alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing;

impl Hints for Nothing {
    fn tails(&self, _: Epoch, members: Vec<Text>) -> HintFuture {
        Box::pin(std::future::ready(vec![None; members.len()]))
    }

    fn put(&self, _: Epoch, _: Vec<(Text, Hint)>) {}

    fn claim(&self, _: Epoch, members: Vec<Text>) -> ClaimFuture {
        Box::pin(std::future::ready(vec![Claim { ours: true, hint: None }; members.len()]))
    }

    fn release(&self, _: Epoch, _: Vec<Text>) {}
}

impl Notices for Nothing {
    fn publish(&self, _: Vec<TimelineId>) {}
}
