//! What happens by itself: late commands, crashes, marks, deletions, time, failovers, backups.

use crate::model::{Model, Next};
use crate::state::*;

impl Model<'_> {
    pub fn misfortunes(&self, state: &State, out: &mut Vec<Next>) {
        for late in 0..LATE {
            self.late(state, late, out);
        }
        self.majority(state, out);
        if state.budget.crashes > 0 {
            self.crashes(state, out);
        }
        for instance in 0..INSTANCES {
            self.marks(state, instance, out);
        }
        if state.budget.deletions > 0 {
            for timeline in 0..TIMELINES {
                self.deletions(state, timeline, out);
            }
        }
        if state.budget.windows > 0 {
            self.windows(state, out);
        }
        self.backups(state, out);
    }

    /// A command that nobody waits for is done, or never will be.
    fn late(&self, state: &State, late: usize, out: &mut Vec<Next>) {
        let write = state.late[late];
        if write.kind == Kind::Nothing {
            return;
        }
        let of = [write.timeline as usize, write.slot as usize + 1];
        let mut next = *state;
        next.late[late] = Write::default();
        out.push(Next::world(next, "a late command never arrives", of));
        if self.full(state) {
            return;
        }
        if write.kind == Kind::Insert {
            let place = (write.timeline as usize, write.slot as usize);
            let view = self.primary(state);
            let message = write.message as usize;
            if self.refuses(state, &view, place, message, write.key_use) {
                return;
            }
            if place.0 < CONVERSATIONS {
                next.uses[message] = write.key_use;
            }
            let broken = self.put(&mut next, Write { next: 0, ..write });
            if write.next != 0 && place.1 + 1 < SLOTS {
                let (slot, message) = (write.slot + 1, write.next - 1);
                next.late[late] = Write { slot, message, next: 0, ..write };
            }
            out.push(Next::world(next, "a late insert is done at", of).broken(broken));
        } else if let Some(slot) = self.target(state, write) {
            let broken = self.put(&mut next, Write { slot: slot as u8, ..write });
            let what = match write.kind {
                Kind::Mark => "a late mark is done at",
                Kind::Again => "late, the key is said to be used again at",
                _ => "a late deletion is done at",
            };
            out.push(Next::world(next, what, [of[0], slot + 1]).broken(broken));
        }
    }

    /// A majority has one more write, or the primary fails and some are lost.
    fn majority(&self, state: &State, out: &mut Vec<Next>) {
        let count = state.unsure.iter().filter(|write| write.kind != Kind::Nothing).count();
        if count == 0 {
            return;
        }
        let mut next = *state;
        let write = next.unsure[0];
        next.unsure.rotate_left(1);
        next.unsure[UNSURE - 1] = Write::default();
        let broken = self.commit(&mut next, write);
        let of = [write.timeline as usize, write.slot as usize + 1];
        out.push(Next::world(next, "a majority has one more write", of).broken(broken));
        for keep in (0..count).filter(|_| state.budget.failovers > 0) {
            let mut next = *state;
            next.budget.failovers -= 1;
            next.unsure[keep..].fill(Write::default());
            interrupt(&mut next);
            out.push(Next::world(next, "a failover loses all writes but", [keep, 0]));
        }
    }

    /// An instance dies with all it knows, or one operation's time is up.
    fn crashes(&self, state: &State, out: &mut Vec<Next>) {
        let stop = |operation: &mut Operation, o: usize| {
            let resumes = self.config.operations[o].resumes();
            operation.end(if resumes { Step::Idle } else { Step::Dead });
        };
        for instance in 0..INSTANCES {
            let mut next = *state;
            let mut any = state.whole[instance] != [0; CONVERSATIONS] || state.marks[instance] != 0;
            let own = |o: &usize| self.instance(*o) == instance && state.operations[*o].runs();
            for o in (0..self.config.operations.len()).filter(own) {
                any = true;
                stop(&mut next.operations[o], o);
            }
            if any {
                next.whole[instance] = [0; CONVERSATIONS];
                next.marks[instance] = 0;
                next.budget.crashes -= 1;
                out.push(Next::world(next, "an instance crashes:", [instance, 0]));
            }
        }
        let running = |o: &usize| state.operations[*o].runs();
        for o in (0..self.config.operations.len()).filter(running) {
            let mut next = *state;
            stop(&mut next.operations[o], o);
            next.budget.crashes -= 1;
            out.push(Next::of(next, o, "has no time left", [0, 0]));
        }
    }

    /// An instance marks any of what it delivered.
    fn marks(&self, state: &State, instance: usize, out: &mut Vec<Next>) {
        for message in bits(state.marks[instance]).filter(|_| !self.full(state)) {
            let conversation = self.config.messages[message].conversation;
            let write = Write {
                kind: Kind::Mark,
                timeline: conversation,
                message: message as u8,
                ..Write::default()
            };
            let mut next = *state;
            next.marks[instance] &= !(1 << message);
            let mut broken = None;
            let mut of = [conversation as usize, 0];
            if let Some(slot) = self.target(state, write) {
                of[1] = slot + 1;
                broken = self.put(&mut next, Write { slot: slot as u8, ..write });
            }
            out.push(Next::world(next, "a mark is done at", of).broken(broken));
            if of[1] != 0 && self.leave(&mut next, write) {
                let mut next = *state;
                next.marks[instance] &= !(1 << message);
                self.leave(&mut next, write);
                out.push(Next::world(next, "a mark has no reply at", of));
            }
        }
    }

    /// Documents below a floor are deleted: any of the lowest that may go. A floor can be raised
    /// to below the newest entry at any time, so it is no part of the state.
    fn deletions(&self, state: &State, timeline: usize, out: &mut Vec<Next>) {
        let entries = &state.timelines[timeline];
        let rules = &self.config.rules;
        for (slot, entry) in entries[..tail(entries).saturating_sub(1)].iter().enumerate() {
            if entry.gone() || (entry.again() && rules.again_kept) {
                continue;
            }
            let message = entry.message();
            if !self.may_go(state, timeline, message) {
                break;
            }
            if self.full(state) {
                return;
            }
            let mut next = *state;
            next.budget.deletions -= 1;
            let write = Write {
                kind: Kind::Delete,
                timeline: timeline as u8,
                slot: slot as u8,
                message: message as u8,
                ..Write::default()
            };
            let of = [timeline, slot + 1];
            if let Some(slot) = self.target(state, write) {
                let broken = self.put(&mut next, Write { slot: slot as u8, ..write });
                out.push(Next::world(next, "a document is deleted at", of).broken(broken));
            }
            let mut next = *state;
            if timeline < CONVERSATIONS && self.leave(&mut next, write) {
                next.budget.deletions -= 1;
                out.push(Next::world(next, "a deletion is under way for", of));
            }
        }
    }

    /// Whether nobody can need the number or the `_id` of a message's document any more.
    fn may_go(&self, state: &State, timeline: usize, message: usize) -> bool {
        let rules = &self.config.rules;
        let bit = 1 << message;
        let conversation = self.config.messages[message].conversation as usize;
        let Some(slot) = state.find(conversation, message) else {
            return false;
        };
        if rules.whole_before_deletion && state.timelines[conversation][slot].pending() {
            return false;
        }
        if timeline < CONVERSATIONS && rules.window_in_grace && state.over & bit == 0 {
            return false;
        }
        let marked = !rules.marks_end || state.marks.iter().all(|marks| marks & bit == 0);
        !rules.grace
            || (marked
                && state.operations.iter().all(|operation| operation.old & bit == 0)
                && state.late.iter().all(|late| late.old & bit == 0))
    }

    /// The window of a key is over.
    fn windows(&self, state: &State, out: &mut Vec<Next>) {
        for conversation in 0..CONVERSATIONS {
            for entry in state.timelines[conversation].iter().filter(|entry| entry.ever()) {
                let message = entry.message();
                let key = self.config.messages[message].key;
                let others = self.config.messages.iter().filter(|other| other.key == key).count();
                // Nobody asks about a key that is used once, but the deletion of its entry.
                let matters = others > 1 || self.config.budget.deletions > 0;
                if matters && state.over >> message & 1 == 0 {
                    let mut next = *state;
                    next.budget.windows -= 1;
                    next.over |= 1 << message;
                    out.push(Next::world(next, "the window is over of message", [message, 0]));
                }
            }
        }
    }

    fn backups(&self, state: &State, out: &mut Vec<Next>) {
        let budget = &state.budget;
        if budget.backups > 0 {
            let mut next = *state;
            next.budget.backups -= 1;
            next.backup = state.timelines;
            out.push(Next::world(next, "a backup is taken", [0, 0]));
        }
        let running = state.operations.iter().any(|operation| operation.runs())
            || state.late.iter().any(|late| late.kind != Kind::Nothing);
        let wait = self.config.rules.restore_quiet && running;
        if budget.backups == 0 && budget.restores > 0 && !wait && state.timelines != state.backup {
            let mut next = *state;
            next.budget.restores -= 1;
            next.timelines = state.backup;
            if self.config.rules.restore_quiet {
                next.whole = Default::default();
                next.marks = Default::default();
            }
            out.push(Next::world(next, "the backup is restored", [0, 0]));
        }
    }
}

/// What the failed primary was in the middle of ends there: a command never goes on elsewhere.
fn interrupt(state: &mut State) {
    for operation in &mut state.operations {
        if operation.step == Step::Insert && operation.stored != 0 {
            (operation.attempt, operation.tail, operation.step) = (0, 0, Step::Inserted);
        } else if operation.step == Step::Fan && operation.sure != [0; WIDTH] {
            (operation.turn, operation.tails) = Default::default();
            operation.step = Step::Fanned;
        }
    }
    state.late.iter_mut().for_each(|late| late.next = 0);
}
