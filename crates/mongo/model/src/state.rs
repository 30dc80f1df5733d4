//! One state of the modelled world: what stands in the database, where each operation is, what is
//! under way. Small and flat, because many millions of them are visited.

/// Conversations: 0 is `D`, between the members a and b; 1 is the group `G`.
pub const CONVERSATIONS: usize = 2;
/// The members a, b and c.
pub const MEMBERS: usize = 3;
/// The conversations, then the inboxes.
pub const TIMELINES: usize = CONVERSATIONS + MEMBERS;
/// Positions of a timeline. A configuration that needs more is refused by the search.
pub const SLOTS: usize = 5;
/// Operations at once.
pub const OPERATIONS: usize = 4;
/// Instances: 0 and 1 send, the last one only resumes, unless a configuration says otherwise.
pub const INSTANCES: usize = 3;
/// Commands under way that nobody waits for any more.
pub const LATE: usize = 2;
/// Writes that the primary has and a majority has not.
pub const UNSURE: usize = 3;
/// Entries that one delivery takes on at once.
pub const WIDTH: usize = 3;

/// The timeline of a member's inbox.
pub fn inbox(member: usize) -> usize {
    CONVERSATIONS + member
}

/// What stands, or stood, at one position of a timeline.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry(u8);

impl Entry {
    const MESSAGE: u8 = 0x0f;
    const PENDING: u8 = 0x10;
    const AGAIN: u8 = 0x20;
    const GONE: u8 = 0x40;

    /// A message; in a conversation it is pending.
    pub fn new(message: usize, pending: bool) -> Entry {
        Entry((message as u8 + 1) | if pending { Entry::PENDING } else { 0 })
    }

    /// Whether anything ever stood here. What was deleted is remembered for the promises; the
    /// database has forgotten it.
    pub fn ever(self) -> bool {
        self.0 != 0
    }

    /// Whether the document is there.
    pub fn live(self) -> bool {
        self.ever() && !self.gone()
    }

    pub fn gone(self) -> bool {
        self.0 & Entry::GONE != 0
    }

    /// Which message. Only of a position where something ever stood.
    pub fn message(self) -> usize {
        (self.0 & Entry::MESSAGE) as usize - 1
    }

    pub fn is(self, message: usize) -> bool {
        self.ever() && self.message() == message
    }

    pub fn pending(self) -> bool {
        self.live() && self.0 & Entry::PENDING != 0
    }

    /// Whether the key was, or will be, used again.
    pub fn again(self) -> bool {
        self.0 & Entry::AGAIN != 0
    }

    pub fn mark_whole(&mut self) {
        self.0 &= !Entry::PENDING;
    }

    pub fn use_again(&mut self) {
        self.0 |= Entry::AGAIN;
    }

    pub fn delete(&mut self) {
        self.0 |= Entry::GONE;
    }
}

/// The entries of one timeline.
pub type Timeline = [Entry; SLOTS];

/// How many positions of a timeline are taken: the tail.
pub fn tail(timeline: &Timeline) -> usize {
    timeline.iter().rposition(|entry| entry.ever()).map_or(0, |slot| slot + 1)
}

/// Where an operation is; what it does next.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Nothing was done yet.
    #[default]
    NotBegun,
    /// Reads its conversation's tail afresh.
    Tail,
    /// Inserts into its conversation, one document after the other.
    Insert,
    /// Waits for a majority to have them.
    Inserted,
    /// Looks for its `_id`s.
    Look,
    /// Tells the entry of an earlier use of its key that the key is used again.
    Again,
    /// Waits for a majority to have that.
    Told,
    /// Reads whether the entry before is whole.
    Walk,
    /// Finds out the tails of inboxes.
    Tails,
    /// Inserts into inboxes.
    Fan,
    /// Waits for a majority to have those.
    Fanned,
    /// Looks for `_id`s in inboxes.
    LookInboxes,
    /// A resumer that has nothing to do.
    Idle,
    /// Answered.
    Acknowledged,
    /// Answered with a conflict.
    Refused,
    /// It gave up, or its instance died.
    Dead,
}

/// One operation: a send, a group of sends, or a resumer.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Operation {
    pub step: Step,
    pub conversation: u8,
    /// The entry up to which the conversation must be whole; positions count from 1.
    pub last: u8,
    /// The first entry being delivered, and the last of them.
    pub first: u8,
    pub until: u8,
    /// Where the next insert into the conversation goes, counted from 0.
    pub tail: u8,
    /// Which of its messages are not known to be stored, as bits of its list.
    pub open: u8,
    /// Which of them the running insert still has to do.
    pub attempt: u8,
    /// Which of the running insert were stored, where a majority is waited for.
    pub stored: u8,
    /// The messages it will acknowledge, as bits.
    pub told: u8,
    /// How often its key was free again.
    pub key_use: u8,
    /// The position whose key is over, counted from 1.
    pub seen: u8,
    /// Per entry being delivered, the members not known to have it.
    pub lacks: [u8; WIDTH],
    /// Those whom the running insert still has to do, and those it did.
    pub turn: [u8; WIDTH],
    pub sure: [u8; WIDTH],
    /// The tails of inboxes as it believes them.
    pub tails: [u8; MEMBERS],
    /// The messages that became whole after it began: they are not deleted while it runs.
    pub old: u8,
}

impl Operation {
    /// Whether it has begun and not ended.
    pub fn runs(&self) -> bool {
        !matches!(
            self.step,
            Step::NotBegun | Step::Acknowledged | Step::Refused | Step::Dead | Step::Idle
        )
    }

    /// Ends it, and forgets all that it knew.
    pub fn end(&mut self, step: Step) {
        *self = Operation { step, ..Operation::default() };
    }
}

/// What a write does.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// There is none.
    #[default]
    Nothing,
    Insert,
    /// Marks whole what stands under the message's `_id`.
    Mark,
    /// Says that the key is used again.
    Again,
    Delete,
}

/// A write: of an operation, under way, or not yet with a majority.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Write {
    pub kind: Kind,
    pub timeline: u8,
    pub slot: u8,
    pub message: u8,
    /// What an ordered insert does after it, as a message + 1.
    pub next: u8,
    /// Of an insert, which use of its key it is.
    pub key_use: u8,
    /// As that of the operation it is from.
    pub old: u8,
}

/// How often each kind of misfortune may still happen.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Budget {
    /// Crashes of instances, and operations that give up.
    pub crashes: u8,
    /// Commands without a reply, done any time later or never.
    pub late: u8,
    /// Documents deleted below a floor.
    pub deletions: u8,
    /// Keys whose window is over.
    pub windows: u8,
    /// Failovers that lose what no majority has.
    pub failovers: u8,
    pub backups: u8,
    pub restores: u8,
}

/// Everything.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct State {
    /// What a majority has.
    pub timelines: [Timeline; TIMELINES],
    pub operations: [Operation; OPERATIONS],
    pub late: [Write; LATE],
    pub unsure: [Write; UNSURE],
    /// Of each message in its conversation, which use of its key it is.
    pub uses: [u8; 2 * SLOTS],
    /// Messages whose key's window is over, as bits.
    pub over: u8,
    /// Up to where each instance knows each conversation to be whole.
    pub whole: [[u8; CONVERSATIONS]; INSTANCES],
    /// Messages that each instance has delivered and not marked yet, as bits.
    pub marks: [u8; INSTANCES],
    pub budget: Budget,
    pub backup: [Timeline; TIMELINES],
}

impl State {
    /// The position of a message in a timeline, counted from 0.
    pub fn find(&self, timeline: usize, message: usize) -> Option<usize> {
        self.timelines[timeline].iter().position(|entry| entry.is(message))
    }
}

/// The numbers of the bits that are set.
pub fn bits(mask: u8) -> impl Iterator<Item = usize> {
    (0..8).filter(move |bit| mask >> bit & 1 == 1)
}
