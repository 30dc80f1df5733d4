//! Steps of a delivery: back to the first entry that is not whole, then into the inboxes.

use crate::config::{Help, Hints};
use crate::model::{Broken, Model, Next};
use crate::state::*;

impl Model<'_> {
    /// Begins to make its conversation whole up to its last entry.
    pub fn enter_walk(&self, state: &mut State, o: usize) -> Broken {
        let known = state.whole[self.instance(o)];
        let operation = &mut state.operations[o];
        operation.first = operation.last;
        operation.until = operation.last;
        (operation.tail, operation.open, operation.attempt) = (0, 0, 0);
        operation.step = Step::Walk;
        let known = known[operation.conversation as usize];
        let alone = self.config.rules.help == Help::Nobody || known + 1 >= operation.first;
        if alone || operation.first == 1 { self.enter_fan(state, o) } else { None }
    }

    /// One more step back.
    pub fn walk(&self, state: &State, o: usize, out: &mut Vec<Next>) {
        let operation = state.operations[o];
        let conversation = operation.conversation as usize;
        let known = state.whole[self.instance(o)][conversation];
        let before = operation.first as usize - 1;
        let entry = self.read(state)[conversation][before - 1];
        let mut next = *state;
        let mut ends = true;
        if entry.pending() && known < operation.first - 1 {
            next.operations[o].first -= 1;
            let first = operation.first - 1;
            ends = first == 1 || known + 1 >= first || self.config.rules.help == Help::One;
        }
        let first = next.operations[o].first as usize;
        let broken = if ends { self.enter_fan(&mut next, o) } else { None };
        let what = "reads whether whole: entry, so first";
        out.push(Next::of(next, o, what, [before, first]).broken(broken));
        if !self.config.rules.walk_shows_entry {
            let mut next = *state;
            let broken = self.enter_fan(&mut next, o);
            let what = "reads an old view, without entry";
            out.push(Next::of(next, o, what, [before, 0]).broken(broken));
        }
    }

    /// Begins to deliver from its first entry on.
    fn enter_fan(&self, state: &mut State, o: usize) -> Broken {
        let operation = &state.operations[o];
        let conversation = operation.conversation as usize;
        if operation.last <= state.whole[self.instance(o)][conversation] {
            // Everybody has it: only its mark is missing.
            self.delivered(state, o, operation.last);
            return self.acknowledge(state, o);
        }
        let (first, last) = (operation.first as usize, operation.last as usize);
        let count = (last - first + 1).min(WIDTH);
        let entries = state.timelines[conversation];
        let mut look = false;
        let operation = &mut state.operations[o];
        operation.until = (first + count - 1) as u8;
        (operation.lacks, operation.turn, operation.sure) = Default::default();
        operation.tails = [0; MEMBERS];
        for index in 0..count {
            let entry = entries[first - 1 + index];
            if entry.ever() {
                operation.lacks[index] = self.config.messages[entry.message()].to;
                look |= !self.is_own(o, entry.message());
            }
        }
        operation.step = if look { Step::LookInboxes } else { Step::Tails };
        None
    }

    /// The message of the entry with this index among those being delivered.
    fn message_of(&self, state: &State, o: usize, index: usize) -> Option<usize> {
        let operation = &state.operations[o];
        let slot = operation.first as usize - 1 + index;
        let entry = state.timelines[operation.conversation as usize][slot];
        entry.ever().then(|| entry.message())
    }

    /// The tails of the inboxes that lack something, each read or believed.
    pub fn know_tails(&self, state: &State, o: usize, out: &mut Vec<Next>) {
        let operation = state.operations[o];
        let lacking = operation.lacks.iter().fold(0, |all, lacks| all | lacks);
        let view = self.read(state);
        let mut choices = vec![operation];
        for member in bits(lacking) {
            let mut more = Vec::new();
            for choice in choices {
                let with = |tail: usize, old: u8| {
                    let mut choice = choice;
                    choice.tails[member] = tail as u8;
                    choice.old |= old;
                    choice
                };
                more.push(with(tail(&view[inbox(member)]), 0));
                let mut low = self.low_tail(state, inbox(member), self.config.hints);
                if !self.config.rules.tails_kept {
                    low = low.or(self.low_tail(state, inbox(member), Hints::Undated));
                }
                more.extend(low.map(|(low, old)| with(low, old)));
                if !self.config.rules.hints_are_read {
                    more.push(with(tail(&view[inbox(member)]) + 1, 0));
                }
            }
            choices = more;
        }
        for mut choice in choices {
            (choice.turn, choice.step) = (choice.lacks, Step::Fan);
            let tails = choice.tails[0] as usize * 10 + choice.tails[1] as usize;
            let mut next = *state;
            next.operations[o] = choice;
            let of = [operation.first as usize, tails];
            out.push(Next::of(next, o, "knows tails for entry (a, b)", of));
        }
    }

    /// One document for one inbox.
    pub fn fan(&self, state: &State, o: usize, out: &mut Vec<Next>) {
        if self.full(state) {
            return;
        }
        let turn = state.operations[o].turn;
        for member in bits(turn.iter().fold(0, |all, turn| all | turn)) {
            self.fan_one(state, o, member, out);
            if self.config.fixed_order || self.config.joint {
                break;
            }
        }
    }

    fn fan_one(&self, state: &State, o: usize, member: usize, out: &mut Vec<Next>) {
        let operation = state.operations[o];
        let has_turn = |index: &usize| operation.turn[*index] >> member & 1 == 1;
        let index = (0..WIDTH).find(has_turn).expect("the member has its turn");
        let slot = operation.tails[member] as usize;
        let Some(message) = self.message_of(state, o, index).filter(|_| slot < SLOTS) else {
            // The backup that was restored does not have it.
            let mut next = *state;
            let resumes = self.config.operations[o].resumes();
            next.operations[o].end(if resumes { Step::Idle } else { Step::Dead });
            out.push(Next::of(next, o, "gives up", [0, 0]));
            return;
        };
        let (timeline, bit) = (inbox(member), 1 << member);
        let view = self.primary(state);
        let refused = self.refuses(state, &view, (timeline, slot), message, 0);
        // Those that the command does not come to any more after this one.
        let with_it = if self.config.joint { u8::MAX } else { bit };
        let stop = |own: &mut Operation| {
            for (turn, lacks) in own.turn.iter_mut().zip(&mut own.lacks) {
                if !self.config.rules.own_answers {
                    *lacks &= !(*turn & with_it);
                }
                *turn &= !with_it;
            }
        };
        let mut write = Write {
            kind: Kind::Insert,
            timeline: timeline as u8,
            slot: slot as u8,
            message: message as u8,
            old: operation.old,
            ..Write::default()
        };
        let mut next = *state;
        let mut broken = None;
        let own = &mut next.operations[o];
        own.turn[index] &= !bit;
        if !refused || !self.config.rules.ordered {
            own.tails[member] += 1;
        } else {
            stop(own);
        }
        if !refused {
            let taken = if self.config.unsure == 0 { &mut own.lacks } else { &mut own.sure };
            taken[index] ^= bit;
            broken = self.put(&mut next, write);
        }
        self.after_one(&mut next, o, member, &mut broken);
        let what = if refused { "inbox insert refused at" } else { "inbox insert done at" };
        out.push(Next::of(next, o, what, [member, slot + 1]).broken(broken));

        let after = (index + 1..WIDTH).find(has_turn).filter(|_| self.config.rules.ordered);
        let after = after.and_then(|index| self.message_of(state, o, index));
        write.next = after.map_or(0, |message| message as u8 + 1);
        let mut next = *state;
        if self.leave(&mut next, write) {
            let mut broken = None;
            stop(&mut next.operations[o]);
            self.after_one(&mut next, o, member, &mut broken);
            let next = Next::of(next, o, "inbox insert has no reply at", [member, slot + 1]);
            out.push(next.broken(broken));
        }
    }

    /// After one document: what its member, or all, are done with.
    fn after_one(&self, state: &mut State, o: usize, member: usize, broken: &mut Broken) {
        if !self.config.rules.marks_in_order {
            let operation = state.operations[o];
            for index in 0..=usize::from(operation.until - operation.first) {
                if operation.lacks[index] == 0 {
                    self.delivered(state, o, operation.first + index as u8);
                }
            }
        }
        let operation = &mut state.operations[o];
        if operation.turn.iter().all(|turn| *turn == 0) {
            operation.tails = [0; MEMBERS];
            if self.config.unsure > 0 {
                operation.step = Step::Fanned;
            } else if operation.lacks.iter().all(|lacks| *lacks == 0) {
                *broken = broken.or(self.done(state, o));
            } else {
                operation.step = Step::LookInboxes;
            }
        } else if operation.turn.iter().all(|turn| turn >> member & 1 == 0) {
            operation.tails[member] = 0;
        }
    }

    /// A majority has, or will never have, what was inserted.
    pub fn fanned(&self, state: &State, o: usize, out: &mut Vec<Next>) {
        let operation = state.operations[o];
        let mut next = *state;
        for index in 0..WIDTH {
            let Some(message) =
                self.message_of(state, o, index).filter(|_| operation.sure[index] != 0)
            else {
                continue;
            };
            for member in bits(operation.sure[index]) {
                if self.is_unsure(state, Kind::Insert, inbox(member), message) {
                    return;
                }
                if state.find(inbox(member), message).is_some() {
                    next.operations[o].lacks[index] &= !(1 << member);
                }
            }
        }
        let own = &mut next.operations[o];
        own.sure = [0; WIDTH];
        let mut broken = None;
        if own.lacks.iter().all(|lacks| *lacks == 0) {
            broken = self.done(&mut next, o);
        } else {
            own.step = Step::LookInboxes;
        }
        out.push(Next::of(next, o, "inbox inserts are answered", [0, 0]).broken(broken));
    }

    /// Looks which of what is lacking is there.
    pub fn look_inboxes(&self, state: &State, o: usize, out: &mut Vec<Next>) {
        let operation = state.operations[o];
        let view = self.read(state);
        let mut next = *state;
        for index in 0..WIDTH {
            let Some(message) =
                self.message_of(state, o, index).filter(|_| operation.lacks[index] != 0)
            else {
                continue;
            };
            for member in bits(operation.lacks[index]) {
                if self.under_in_inbox(state, &view[inbox(member)], message).is_some() {
                    next.operations[o].lacks[index] &= !(1 << member);
                }
            }
        }
        let lacks = next.operations[o].lacks;
        let mut broken = None;
        if lacks.iter().all(|lacks| *lacks == 0) {
            broken = self.done(&mut next, o);
        } else {
            next.operations[o].step = Step::Tails;
        }
        let of = [lacks[0] as usize, lacks[1] as usize];
        out.push(Next::of(next, o, "looks into inboxes; lacking", of).broken(broken));
    }

    /// Everybody has the entries from the first on, as far as they were taken on.
    fn done(&self, state: &mut State, o: usize) -> Broken {
        let operation = state.operations[o];
        for position in operation.first..=operation.until {
            self.delivered(state, o, position);
        }
        self.know_whole(state, o, operation.until as usize);
        if operation.until < operation.last {
            state.operations[o].first = operation.until + 1;
            return self.enter_fan(state, o);
        }
        self.acknowledge(state, o)
    }

    /// Notes that an entry is to be marked.
    fn delivered(&self, state: &mut State, o: usize, position: u8) {
        let conversation = state.operations[o].conversation as usize;
        let entry = state.timelines[conversation][position as usize - 1];
        if entry.ever() && (entry.pending() || !self.config.rules.marks_end) {
            state.marks[self.instance(o)] |= 1 << entry.message();
        }
    }

    /// Answers. What is answered is kept only to be held against the promises.
    pub fn acknowledge(&self, state: &mut State, o: usize) -> Broken {
        let operation = state.operations[o];
        if self.config.operations[o].resumes() {
            state.operations[o].end(Step::Idle);
            return None;
        }
        state.operations[o].end(Step::Acknowledged);
        if self.config.budget.restores > 0 {
            return None;
        }
        for message in bits(operation.told) {
            if state.find(operation.conversation as usize, message).is_none() {
                return Some("acknowledged, but not in the conversation");
            }
            if !self.everybody_has(state, message) {
                return Some("acknowledged, but an inbox lacks it");
            }
        }
        None
    }

    /// A resumer takes any pending entry.
    pub fn resume(&self, state: &State, o: usize, out: &mut Vec<Next>) {
        let view = self.read(state);
        for (conversation, entries) in view[..CONVERSATIONS].iter().enumerate() {
            for (slot, _) in entries.iter().enumerate().filter(|(_, e)| e.pending()) {
                let mut next = *state;
                let operation = &mut next.operations[o];
                operation.conversation = conversation as u8;
                operation.last = slot as u8 + 1;
                let broken = self.enter_walk(&mut next, o);
                let next = Next::of(next, o, "resumer takes", [conversation, slot + 1]);
                out.push(next.broken(broken));
            }
        }
    }
}
