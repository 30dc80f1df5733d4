//! The database: what its unique indexes refuse, what a write changes, and the promises that each
//! change is held against.

use crate::config::InboxId;
use crate::model::{Broken, Model};
use crate::state::*;

impl Model<'_> {
    /// What the primary has: all that a majority has, and more.
    pub fn primary(&self, state: &State) -> [Timeline; TIMELINES] {
        let mut view = state.timelines;
        for write in state.unsure.iter().filter(|write| write.kind != Kind::Nothing) {
            let entry = &mut view[write.timeline as usize][write.slot as usize];
            match write.kind {
                Kind::Insert => {
                    let pending = (write.timeline as usize) < CONVERSATIONS;
                    *entry = Entry::new(write.message as usize, pending);
                }
                Kind::Again => entry.use_again(),
                Kind::Delete => entry.delete(),
                Kind::Mark | Kind::Nothing => entry.mark_whole(),
            }
        }
        view
    }

    /// What a read shows.
    pub fn read(&self, state: &State) -> [Timeline; TIMELINES] {
        if self.config.rules.majority_reads { state.timelines } else { self.primary(state) }
    }

    /// The position of what stands under the `_id` of a key's use, or of a message.
    pub fn under(
        &self,
        state: &State,
        view: &Timeline,
        message: usize,
        key_use: u8,
    ) -> Option<usize> {
        let key = self.config.messages[message].key;
        view.iter().position(|entry| {
            entry.live()
                && self.config.messages[entry.message()].key == key
                && state.uses[entry.message()] == key_use
        })
    }

    /// The position in an inbox of what has the `_id` of this message there.
    pub fn under_in_inbox(&self, state: &State, view: &Timeline, message: usize) -> Option<usize> {
        let mine = &self.config.messages[message];
        view.iter().position(|entry| {
            entry.live()
                && match self.config.rules.inbox_id {
                    InboxId::Message => entry.message() == message,
                    InboxId::Fresh => false,
                    InboxId::Stem => {
                        let other = &self.config.messages[entry.message()];
                        (other.conversation, other.key) == (mine.conversation, mine.key)
                            && state.uses[entry.message()] == state.uses[message]
                    }
                }
        })
    }

    /// Whether a unique index refuses a document at this position.
    pub fn refuses(
        &self,
        state: &State,
        view: &[Timeline; TIMELINES],
        (timeline, slot): (usize, usize),
        message: usize,
        key_use: u8,
    ) -> bool {
        let there = &view[timeline];
        there[slot].live()
            || if timeline < CONVERSATIONS {
                self.under(state, there, message, key_use).is_some()
            } else {
                self.under_in_inbox(state, there, message).is_some()
            }
    }

    /// Does a write on the primary.
    pub fn put(&self, state: &mut State, write: Write) -> Broken {
        if self.config.unsure == 0 {
            return self.commit(state, write);
        }
        let free = state.unsure.iter_mut().find(|other| other.kind == Kind::Nothing);
        *free.expect("nobody writes while the primary is full") = write;
        None
    }

    /// Whether the primary may be no further ahead of a majority.
    pub fn full(&self, state: &State) -> bool {
        let unsure = self.config.unsure;
        unsure > 0 && state.unsure[unsure - 1].kind != Kind::Nothing
    }

    /// Whether a majority lacks this write.
    pub fn is_unsure(&self, state: &State, kind: Kind, timeline: usize, message: usize) -> bool {
        state.unsure.iter().any(|write| {
            write.kind == kind
                && (write.timeline as usize, write.message as usize) == (timeline, message)
        })
    }

    /// A majority has one more write.
    pub fn commit(&self, state: &mut State, write: Write) -> Broken {
        let (timeline, slot) = (write.timeline as usize, write.slot as usize);
        match write.kind {
            Kind::Nothing => None,
            Kind::Insert => self.commit_insert(state, timeline, slot, write.message as usize),
            Kind::Mark => self.commit_mark(state, timeline, slot),
            Kind::Again => {
                state.timelines[timeline][slot].use_again();
                None
            }
            Kind::Delete => self.commit_deletion(state, timeline, slot),
        }
    }

    fn commit_insert(
        &self,
        state: &mut State,
        timeline: usize,
        slot: usize,
        message: usize,
    ) -> Broken {
        let entries = &state.timelines[timeline];
        if entries[slot].ever() {
            return Some("a number was used twice");
        }
        if slot > 0 && !entries[slot - 1].ever() {
            return Some("a hole");
        }
        let twice = entries.iter().any(|entry| entry.is(message));
        if timeline < CONVERSATIONS {
            if twice {
                return Some("stored twice");
            }
            let mine = &self.config.messages[message];
            for other in entries.iter().filter(|entry| entry.ever()).map(|e| e.message()) {
                let counts = state.over >> other & 1 == 0;
                if counts && self.config.messages[other].key == mine.key {
                    return Some("one key, two messages within its window");
                }
            }
        } else if twice {
            return Some("delivered twice");
        } else if let Some(broken) = self.order(state, timeline, message) {
            return Some(broken);
        }
        state.timelines[timeline][slot] = Entry::new(message, timeline < CONVERSATIONS);
        None
    }

    /// Whether an inbox that gets this message now has its conversation's order.
    fn order(&self, state: &State, timeline: usize, message: usize) -> Broken {
        let conversation = self.config.messages[message].conversation as usize;
        let Some(place) = state.find(conversation, message) else {
            let restored = self.config.budget.restores > 0;
            return (!restored).then_some("in an inbox, not in its conversation");
        };
        for other in state.timelines[timeline].iter().filter(|entry| entry.ever()) {
            let same = self.config.messages[other.message()].conversation as usize == conversation;
            if same && state.find(conversation, other.message()) > Some(place) {
                return Some("an inbox has another order than the conversation");
            }
        }
        None
    }

    fn commit_mark(&self, state: &mut State, timeline: usize, slot: usize) -> Broken {
        let entry = &mut state.timelines[timeline][slot];
        if !entry.pending() {
            return None;
        }
        entry.mark_whole();
        let message = entry.message();
        let bit = 1 << message;
        for operation in state.operations.iter_mut().filter(|operation| operation.runs()) {
            operation.old |= bit;
        }
        for late in state.late.iter_mut().filter(|late| late.kind != Kind::Nothing) {
            late.old |= bit;
        }
        if self.config.rules.marks_end {
            // Other instances' marks of it change nothing any more.
            state.marks.iter_mut().for_each(|marks| *marks &= !bit);
        }
        (!self.everybody_has(state, message)).then_some("marked whole, but an inbox lacks it")
    }

    fn commit_deletion(&self, state: &mut State, timeline: usize, slot: usize) -> Broken {
        let newest = tail(&state.timelines[timeline]) == slot + 1;
        state.timelines[timeline][slot].delete();
        newest.then_some("the newest entry is deleted")
    }

    /// Whether every recipient has a message, or had it.
    pub fn everybody_has(&self, state: &State, message: usize) -> bool {
        bits(self.config.messages[message].to)
            .all(|member| state.find(inbox(member), message).is_some())
    }

    /// Leaves a write under way that its operation does not wait for. False if that is not to
    /// happen any more.
    pub fn leave(&self, state: &mut State, write: Write) -> bool {
        let free = state.late.iter_mut().find(|late| late.kind == Kind::Nothing);
        match free {
            Some(free) if state.budget.late > 0 => {
                *free = write;
                state.budget.late -= 1;
                true
            }
            _ => false,
        }
    }
}
