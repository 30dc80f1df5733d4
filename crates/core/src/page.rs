//! Pages: what a reader gets, and what it may ask for.

use crate::id::{Epoch, TimelineId};
use crate::message::Message;
use crate::seq::Seq;

/// One message at one position of one timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Position in the timeline that was read; in a conversation it equals `message.seq`.
    pub seq: Seq,
    /// The message.
    pub message: Message,
}

/// Which end of the range comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Oldest first: a device that catches up.
    Forward,
    /// Newest first: a person who scrolls back.
    Backward,
}

/// A request for one page: the entries with `after < seq <= until`, as many as the limits allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The timeline to read.
    pub timeline: TimelineId,
    /// A cursor: only entries above it.
    pub after: Seq,
    /// Only entries up to this one; [`Seq::MAX`] for all there are.
    pub until: Seq,
    /// Which end comes first, and so which entries a limit leaves out.
    pub direction: Direction,
    /// Most entries to return.
    pub entries_max: usize,
    /// Most bytes of message bodies to return; the first entry comes however large it is.
    pub bytes_max: usize,
}

/// Entries in the order asked for, without a gap, and where the timeline stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The entries.
    pub entries: Vec<Entry>,
    /// What of the timeline can be read at this moment.
    pub bounds: Bounds,
    /// The history of the store this page belongs to.
    pub epoch: Epoch,
    /// Whether a limit left out entries of the range that was asked for.
    pub more: bool,
}

/// The oldest and the newest readable position of a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// The oldest entry that is left; [`Seq::FIRST`] if nothing was ever trimmed. A reader
    /// whose cursor is below `first - 1` has missed entries that are gone.
    pub first: Seq,
    /// The newest readable entry; [`Seq::ZERO`] if there never was one.
    pub latest: Seq,
}

impl Bounds {
    /// A timeline nothing was ever put into.
    pub const EMPTY: Bounds = Bounds { first: Seq::FIRST, latest: Seq::ZERO };
}
