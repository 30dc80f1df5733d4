//! Steps of a send until its messages have their numbers.

use crate::config::Hints;
use crate::model::{Broken, Model, Next};
use crate::state::*;

impl Model<'_> {
    /// The lowest tail that may be believed, and what became whole since it was true: that is not
    /// deleted while it is used.
    pub fn low_tail(&self, state: &State, timeline: usize, hints: Hints) -> Option<(usize, u8)> {
        let entries = &state.timelines[timeline];
        let low = match hints {
            Hints::Fresh => return None,
            Hints::Undated => 0,
            Hints::Dated => self.deletable(state, timeline),
        };
        if low >= tail(entries) {
            return None;
        }
        let since = entries[low..].iter().filter(|entry| entry.live());
        let since = since.fold(0, |mask, entry| mask | 1 << entry.message());
        Some((low, if hints == Hints::Dated { since & !self.pending(state) } else { 0 }))
    }

    /// Up to where entries were found old enough to be deleted: no tail of before them counts.
    fn deletable(&self, state: &State, timeline: usize) -> usize {
        let gone = state.timelines[timeline].iter().rposition(|entry| entry.gone());
        let going = state
            .late
            .iter()
            .filter(|late| late.kind == Kind::Delete && late.timeline as usize == timeline);
        let going = going.map(|late| late.slot as usize).max();
        gone.max(going).map_or(0, |slot| slot + 1)
    }

    /// The messages that are pending, as bits.
    fn pending(&self, state: &State) -> u8 {
        let conversations = state.timelines[..CONVERSATIONS].iter().flatten();
        let pending = conversations.filter(|entry| entry.pending());
        pending.fold(0, |mask, entry| mask | 1 << entry.message())
    }

    /// The tail of the conversation, read, or the first time from memory.
    pub fn know_tail(&self, state: &State, o: usize, out: &mut Vec<Next>) {
        let conversation = state.operations[o].conversation as usize;
        let first = state.operations[o].step == Step::NotBegun;
        let entries = self.read(state)[conversation];
        let tail = tail(&entries);
        let low = self.low_tail(state, conversation, self.config.hints).filter(|_| first);
        let fresh = (tail, 0, true);
        for (tail, old, read) in low.map(|(low, old)| (low, old, false)).into_iter().chain([fresh])
        {
            let mut next = *state;
            let operation = &mut next.operations[o];
            if first {
                operation.open = (1 << self.config.operations[o].messages.len()) - 1;
            }
            operation.attempt = operation.open;
            operation.tail = tail as u8;
            operation.old |= old;
            operation.step = Step::Insert;
            if read && tail > 0 && entries[tail - 1].live() && !entries[tail - 1].pending() {
                self.know_whole(&mut next, o, tail);
            }
            out.push(Next::of(next, o, "knows the conversation's tail as", [tail, 0]));
        }
    }

    /// The instance of an operation knows its conversation to be whole up to an entry.
    pub fn know_whole(&self, state: &mut State, o: usize, up_to: usize) {
        let conversation = state.operations[o].conversation as usize;
        let known = &mut state.whole[self.instance(o)][conversation];
        *known = (*known).max(up_to as u8);
    }

    /// One document of the insert.
    pub fn insert(&self, state: &State, o: usize, out: &mut Vec<Next>) {
        let operation = state.operations[o];
        let list = &self.config.operations[o].messages;
        let index = operation.attempt.trailing_zeros() as usize;
        let (conversation, slot) = (operation.conversation as usize, operation.tail as usize);
        if slot >= SLOTS || self.full(state) {
            return;
        }
        let message = list[index] as usize;
        let rest = operation.attempt & !(1 << index);
        let view = self.primary(state);
        let refused = self.refuses(state, &view, (conversation, slot), message, operation.key_use);
        let mut write = Write {
            kind: Kind::Insert,
            timeline: conversation as u8,
            slot: slot as u8,
            message: message as u8,
            next: 0,
            key_use: operation.key_use,
            old: operation.old,
        };
        let mut next = *state;
        let mut broken = None;
        let own = &mut next.operations[o];
        own.attempt = rest;
        if refused {
            own.attempt = if self.config.rules.ordered { 0 } else { rest };
            own.tail += u8::from(!self.config.rules.ordered);
        } else {
            own.tail += 1;
            if self.config.unsure == 0 {
                own.open &= !(1 << index);
                own.last = own.last.max(slot as u8 + 1);
                own.told |= 1 << message;
            } else {
                own.stored |= 1 << index;
            }
            next.uses[message] = operation.key_use;
            broken = self.put(&mut next, write);
        }
        if next.operations[o].attempt == 0 {
            broken = broken.or(self.after_insert(&mut next, o));
        }
        let what = if refused { "history insert refused at" } else { "history insert done at" };
        out.push(Next::of(next, o, what, [slot + 1, message]).broken(broken));

        let mut next = *state;
        if self.config.rules.ordered && rest != 0 {
            write.next = list[rest.trailing_zeros() as usize] + 1;
        }
        if self.leave(&mut next, write) {
            let own = &mut next.operations[o];
            (own.attempt, own.tail, own.step) = (0, 0, Step::Look);
            out.push(Next::of(next, o, "history insert has no reply at", [slot + 1, message]));
        }
    }

    fn after_insert(&self, state: &mut State, o: usize) -> Broken {
        let guess = !self.config.rules.no_guess;
        let operation = &mut state.operations[o];
        if operation.stored != 0 {
            operation.step = Step::Inserted;
        } else if operation.open == 0 {
            return self.enter_walk(state, o);
        } else {
            operation.step = Step::Look;
            operation.tail *= u8::from(guess);
        }
        None
    }

    /// A majority has, or will never have, what was inserted.
    pub fn inserted(&self, state: &State, o: usize, out: &mut Vec<Next>) {
        let operation = state.operations[o];
        let conversation = operation.conversation as usize;
        let list = &self.config.operations[o].messages;
        let mut next = *state;
        for index in bits(operation.stored) {
            let message = list[index] as usize;
            if self.is_unsure(state, Kind::Insert, conversation, message) {
                return;
            }
            if let Some(slot) = state.find(conversation, message) {
                let own = &mut next.operations[o];
                own.open &= !(1 << index);
                own.last = own.last.max(slot as u8 + 1);
                own.told |= 1 << message;
            }
        }
        next.operations[o].stored = 0;
        let broken = self.after_insert(&mut next, o);
        out.push(Next::of(next, o, "history insert is answered", [0, 0]).broken(broken));
    }

    /// Looks for the `_id`s of all that are open.
    pub fn look(&self, state: &State, o: usize, out: &mut Vec<Next>) {
        let operation = state.operations[o];
        let list = &self.config.operations[o].messages;
        let entries = self.read(state)[operation.conversation as usize];
        let mut next = *state;
        for index in bits(operation.open) {
            let message = list[index] as usize;
            let Some(slot) = self.under(state, &entries, message, operation.key_use) else {
                continue;
            };
            let found = entries[slot];
            let other = found.message();
            let over = found.again() || state.over >> other & 1 == 1;
            if other != message && over {
                if self.config.skew && !found.again() {
                    // A clock that is behind: to this instance it is a repeat.
                    let mut behind = *state;
                    self.answer(&mut behind, o, index, slot, found);
                    out.push(self.decided(behind, o));
                }
                let own = &mut next.operations[o];
                own.seen = slot as u8 + 1;
                own.step = Step::Again;
                out.push(Next::of(next, o, "finds its key over at", [slot + 1, other]));
                return;
            }
            self.answer(&mut next, o, index, slot, found);
        }
        let own = &mut next.operations[o];
        if own.open != 0 && self.config.rules.no_guess {
            (own.step, own.tail) = (Step::Tail, 0);
        } else if own.open != 0 {
            (own.step, own.attempt, own.tail) = (Step::Insert, own.open, own.tail + 1);
        } else {
            out.push(self.decided(next, o));
            return;
        }
        out.push(Next::of(next, o, "looks by its _id: it is not there", [0, 0]));
    }

    /// Takes over what was found under the `_id` of one of its messages.
    fn answer(&self, state: &mut State, o: usize, index: usize, slot: usize, found: Entry) {
        let message = self.config.operations[o].messages[index] as usize;
        let other = found.message();
        let payload = |message: usize| self.config.messages[message].payload;
        let own = &mut state.operations[o];
        own.open &= !(1 << index);
        if payload(other) == payload(message) {
            own.told |= 1 << other;
            if found.pending() {
                own.last = own.last.max(slot as u8 + 1);
            }
        }
    }

    /// All its messages are decided.
    fn decided(&self, mut next: State, o: usize) -> Next {
        let own = next.operations[o];
        let broken = if own.told == 0 {
            next.operations[o].end(Step::Refused);
            None
        } else if own.last == 0 {
            self.acknowledge(&mut next, o)
        } else {
            self.enter_walk(&mut next, o)
        };
        Next::of(next, o, "looks by its _id: all decided, last", [own.last as usize, 0])
            .broken(broken)
    }

    /// Tells the entry of the last use of its key that there is another.
    pub fn again(&self, state: &State, o: usize, out: &mut Vec<Next>) {
        let operation = state.operations[o];
        let conversation = operation.conversation as usize;
        let slot = operation.seen as usize - 1;
        let seen = state.timelines[conversation][slot];
        let write = Write {
            kind: Kind::Again,
            timeline: conversation as u8,
            slot: slot as u8,
            message: seen.message() as u8,
            old: operation.old,
            ..Write::default()
        };
        if self.full(state) {
            return;
        }
        let mut next = *state;
        let target = self.target(state, write);
        let what = match target {
            Some(slot) => {
                // The entry that was changed is the one a majority must have changed.
                let slot = slot as u8;
                let message = self.primary(state)[conversation][slot as usize].message() as u8;
                let broken = self.put(&mut next, Write { slot, message, ..write });
                debug_assert!(broken.is_none(), "saying so breaks nothing by itself");
                (next.operations[o].seen, next.operations[o].step) = (slot + 1, Step::Told);
                "says that the key is used again to"
            }
            None => {
                self.begin_again(&mut next, o);
                "finds nothing to say that to at"
            }
        };
        out.push(Next::of(next, o, what, [target.unwrap_or(slot) + 1, 0]));

        let mut next = *state;
        if self.leave(&mut next, write) {
            out.push(Next::of(next, o, "says so, without a reply, to", [slot + 1, 0]));
        }
    }

    /// A majority has, or will never have, that the key is used again.
    pub fn told(&self, state: &State, o: usize, out: &mut Vec<Next>) {
        let operation = state.operations[o];
        let conversation = operation.conversation as usize;
        let entry = state.timelines[conversation][operation.seen as usize - 1];
        let message = entry.message();
        let unsure = self.is_unsure(state, Kind::Again, conversation, message);
        let heard = unsure && !self.config.rules.majority_again;
        if unsure && !heard {
            return;
        }
        let mut next = *state;
        if entry.again() || heard {
            next.operations[o].key_use += 1;
            self.begin_again(&mut next, o);
        } else {
            next.operations[o].step = Step::Again;
        }
        out.push(Next::of(next, o, "hears about it, from", [operation.seen as usize, 0]));
    }

    /// Tries to store it, as if for the first time.
    fn begin_again(&self, state: &mut State, o: usize) {
        let own = &mut state.operations[o];
        (own.seen, own.step, own.tail) = (0, Step::Tail, 0);
    }

    /// Which document a write changes that is not an insert.
    pub fn target(&self, state: &State, write: Write) -> Option<usize> {
        let entries = &self.primary(state)[write.timeline as usize];
        let rules = &self.config.rules;
        let exact = match write.kind {
            Kind::Again => rules.exact_again,
            Kind::Delete => rules.exact_deletion || write.timeline as usize >= CONVERSATIONS,
            _ => false,
        };
        let message = write.message as usize;
        let slot = if exact {
            Some(write.slot as usize).filter(|slot| entries[*slot].live())
        } else {
            self.under(state, entries, message, state.uses[message])
        };
        let kept = write.kind == Kind::Delete && rules.again_kept;
        slot.filter(|slot| !(kept && entries[*slot].again()))
    }
}
