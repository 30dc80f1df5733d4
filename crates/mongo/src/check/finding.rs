//! What a check finds: kinds of findings, what each means, and what to do.

use std::fmt;

/// What is the matter with a document, a number or a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Several documents share a position. No index can make positions unique until they are told
    /// apart, so the store does not open.
    Duplicate,
    /// A document whose position or message cannot be understood.
    Unreadable,
    /// Numbers without an entry, among Seqline's own, which never leaves one out. Pages end before
    /// them, and none carries on behind.
    Missing,
    /// An inbox entry whose message is not in the conversation that it names.
    Orphan,
    /// An inbox entry that says another place than its conversation does, or is out of its order.
    Disorder,
    /// Numbers that go-timeline took and never used. Pages carry on behind them.
    Hole,
    /// A message that is still to be delivered to some. Any running instance does that by itself.
    Undelivered,
    /// Entries under a name that no reader can ask for, or that several pairs of members share.
    Unassigned,
}

impl Kind {
    /// All kinds, problems first.
    pub const ALL: [Kind; 8] = [
        Kind::Duplicate,
        Kind::Unreadable,
        Kind::Missing,
        Kind::Orphan,
        Kind::Disorder,
        Kind::Hole,
        Kind::Undelivered,
        Kind::Unassigned,
    ];

    /// Its name for programs.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Duplicate => "duplicate",
            Kind::Unreadable => "unreadable",
            Kind::Missing => "missing",
            Kind::Orphan => "orphan",
            Kind::Disorder => "disorder",
            Kind::Hole => "hole",
            Kind::Undelivered => "undelivered",
            Kind::Unassigned => "unassigned",
        }
    }

    /// Whether somebody has to act; else it is as go-timeline left it, and does no harm.
    pub fn is_problem(self) -> bool {
        !matches!(self, Kind::Hole | Kind::Undelivered | Kind::Unassigned)
    }

    /// What it means and what to do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Kind::Duplicate => {
                "two messages have one number, as happens when go-timeline's Redis lost its \
                 counters: keep the older where it is, and move the other to the end, with the \
                 command shown"
            }
            Kind::Unreadable => {
                "without a position it is served to nobody and in nobody's way: remove it, or \
                 move it to the end with the command shown; a page that comes to another one \
                 fails: mend or remove the document by hand"
            }
            Kind::Missing => {
                "documents were deleted, or a backup was not whole: restore them if you can, for \
                 readers are refused what is behind them; the command shown lets them pass"
            }
            Kind::Orphan => {
                "the conversation's document was deleted: the inbox entry is served all the same"
            }
            Kind::Disorder => "documents were changed by hand: compare the two",
            Kind::Hole => "nothing to do: readers carry on behind it, and no number is used again",
            Kind::Undelivered => "nothing to do: any running instance delivers it",
            Kind::Unassigned => {
                "nobody can read these; to give them to a conversation, change their `id`: see the \
                 page on MongoDB"
            }
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is the matter.
    pub kind: Kind,
    /// The name of the collection.
    pub collection: String,
    /// The `id` of the timeline.
    pub timeline: String,
    /// The first position concerned; `None` if it is not about positions.
    pub seq: Option<u64>,
    /// The last position concerned.
    pub last: Option<u64>,
    /// The sentence for people.
    pub detail: String,
    /// A command for `mongosh` that mends it, if one does.
    pub mend: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {:?}", self.kind.name(), self.collection, self.timeline)?;
        match (self.seq, self.last) {
            (Some(seq), Some(last)) if seq != last => write!(f, " at {seq} to {last}")?,
            (Some(seq), _) => write!(f, " at {seq}")?,
            _ => {}
        }
        write!(f, ": {}", self.detail)
    }
}

/// What a check tells while it runs.
#[derive(Clone, Debug)]
pub enum Event {
    /// So many documents of about so many are behind.
    Progress {
        /// Read.
        done: u64,
        /// All there are.
        total: u64,
    },
    /// Something was found.
    Finding(Finding),
    /// A timeline was read to its end, problems or not.
    Timeline {
        /// Its `id`, under which go-timeline counts in Redis.
        id: String,
        /// Its highest position.
        latest: u64,
    },
}

/// What a check found in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Timelines read.
    pub timelines: u64,
    /// Entries of inboxes read.
    pub inbox_entries: u64,
    /// Messages read.
    pub messages: u64,
    found: [u64; Kind::ALL.len()],
}

impl Totals {
    /// How many findings of a kind there were.
    pub fn of(&self, kind: Kind) -> u64 {
        self.found[kind as usize]
    }

    /// How many findings somebody has to act upon.
    pub fn problems(&self) -> u64 {
        Kind::ALL.into_iter().filter(|kind| kind.is_problem()).map(|kind| self.of(kind)).sum()
    }

    pub(super) fn add(&mut self, kind: Kind) {
        self.found[kind as usize] += 1;
    }
}
