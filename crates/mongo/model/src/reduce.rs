//! Fewer states: members that can be exchanged, and steps that nothing else can tell from a pause.

use crate::model::{Model, Next};
use crate::state::*;

impl Model<'_> {
    /// The same for all states that differ only in which of a and b is which.
    pub fn canonical(&self, state: &State) -> State {
        let mut one = *state;
        one.late.sort_unstable();
        if !self.symmetric {
            return one;
        }
        let mut other = exchanged(state);
        other.late.sort_unstable();
        one.min(other)
    }

    /// A step that is sure to come, changes nothing for anybody else, and may as well come now.
    pub fn quiet_step(&self, state: &State) -> Option<Next> {
        let mut steps = Vec::new();
        for (o, plan) in self.config.operations.iter().enumerate() {
            let operation = &state.operations[o];
            let entries = &state.timelines[operation.conversation as usize];
            let quiet = match operation.step {
                Step::Insert | Step::Fan => true,
                Step::Walk => !entries[operation.first as usize - 2].pending(),
                Step::Look if plan.messages.len() == 1 => {
                    let message = plan.messages[0] as usize;
                    let found = self.under(state, entries, message, operation.key_use);
                    found.is_some_and(|slot| !entries[slot].pending())
                }
                _ => false,
            };
            if !quiet {
                continue;
            }
            steps.clear();
            self.step(state, o, &mut steps);
            // What was refused stays so: nothing is deleted where this is used.
            let refusal = matches!(operation.step, Step::Insert | Step::Fan);
            let wanted = |next: &Next| !refusal || next.label.what.contains("refused");
            if let Some(at) = steps.iter().position(wanted) {
                return Some(steps.swap_remove(at));
            }
        }
        None
    }
}

/// The state in which a is b and b is a.
fn exchanged(state: &State) -> State {
    let mut other = *state;
    let (a, b) = (inbox(0), inbox(1));
    other.timelines.swap(a, b);
    other.backup.swap(a, b);
    let mask = |mask: u8| mask & 4 | (mask & 1) << 1 | mask >> 1 & 1;
    for operation in &mut other.operations {
        operation.tails.swap(0, 1);
        for masks in [&mut operation.lacks, &mut operation.turn, &mut operation.sure] {
            masks.iter_mut().for_each(|of| *of = mask(*of));
        }
    }
    for write in other.late.iter_mut().chain(&mut other.unsure) {
        if write.kind == Kind::Nothing {
            continue;
        }
        if write.timeline as usize == a {
            write.timeline = b as u8;
        } else if write.timeline as usize == b {
            write.timeline = a as u8;
        }
    }
    other
}
