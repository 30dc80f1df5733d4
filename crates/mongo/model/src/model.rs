//! The model of one configuration: its parts, and what one step is.

use crate::config::Config;
use crate::state::*;

/// A promise that does not hold, in words.
pub type Broken = Option<&'static str>;

/// What a step was, for the trace.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// The operation that did it; none if it happened to all.
    pub who: Option<usize>,
    pub what: &'static str,
    /// Whatever `what` is about.
    pub of: [usize; 2],
}

/// A state that a step leads to.
pub struct Next {
    pub state: State,
    pub label: Label,
    pub broken: Broken,
}

/// A configuration with what follows from it.
pub struct Model<'a> {
    pub config: &'a Config,
    /// Whether exchanging the members a and b changes nothing.
    pub symmetric: bool,
    /// Whether steps that nothing else can tell from a pause are done at once.
    pub reduced: bool,
}

impl<'a> Model<'a> {
    pub fn new(config: &'a Config, reduce: bool) -> Model<'a> {
        let both = |to: u8| to & 1 == to >> 1 & 1;
        let in_turn = config.fixed_order || config.joint;
        let symmetric = !in_turn && config.messages.iter().all(|m| both(m.to));
        // Where documents can go, or be seen and then lost, no refusal is sure to stay one.
        let budget = &config.budget;
        let stays = budget.deletions == 0 && budget.windows == 0 && budget.restores == 0;
        let reduced = reduce && stays && config.unsure == 0 && config.breaks.is_none();
        Model { config, symmetric, reduced }
    }

    /// The world before anything happened.
    pub fn begin(&self) -> State {
        let mut state = State { budget: self.config.budget, ..State::default() };
        for (operation, slot) in state.operations.iter_mut().enumerate() {
            slot.step = match self.config.operations.get(operation) {
                None => Step::Dead,
                Some(plan) if plan.resumes() => Step::Idle,
                Some(plan) => {
                    slot.conversation =
                        self.config.messages[plan.messages[0] as usize].conversation;
                    Step::NotBegun
                }
            };
        }
        state
    }

    /// All that can happen next.
    pub fn next(&self, state: &State, out: &mut Vec<Next>) {
        if self.reduced
            && let Some(next) = self.quiet_step(state)
        {
            out.push(next);
            return;
        }
        for operation in 0..self.config.operations.len() {
            self.step(state, operation, out);
        }
        self.misfortunes(state, out);
    }

    /// Everything an operation can do next.
    pub fn step(&self, state: &State, o: usize, out: &mut Vec<Next>) {
        match state.operations[o].step {
            Step::NotBegun | Step::Tail => self.know_tail(state, o, out),
            Step::Insert => self.insert(state, o, out),
            Step::Inserted => self.inserted(state, o, out),
            Step::Look => self.look(state, o, out),
            Step::Again => self.again(state, o, out),
            Step::Told => self.told(state, o, out),
            Step::Walk => self.walk(state, o, out),
            Step::Tails => self.know_tails(state, o, out),
            Step::Fan => self.fan(state, o, out),
            Step::Fanned => self.fanned(state, o, out),
            Step::LookInboxes => self.look_inboxes(state, o, out),
            Step::Idle => self.resume(state, o, out),
            Step::Acknowledged | Step::Refused | Step::Dead => {}
        }
    }

    /// What is wrong with a state in which nothing can happen any more.
    pub fn at_rest(&self, state: &State) -> Broken {
        let ended = |o: &Operation| !o.runs() && o.step != Step::NotBegun;
        if !state.operations.iter().all(ended) {
            return Some("an operation is stuck");
        }
        // Without a resumer the next send would finish what is left, and there is none.
        let finishes = self.config.operations.iter().any(|plan| plan.resumes());
        for conversation in 0..if finishes { CONVERSATIONS } else { 0 } {
            for entry in state.timelines[conversation].iter().filter(|entry| entry.ever()) {
                if entry.pending() {
                    return Some("a delivery is never finished");
                }
                if !self.everybody_has(state, entry.message()) {
                    return Some("an inbox lacks it for ever");
                }
            }
        }
        None
    }

    /// Whether this operation is to send this message.
    pub fn is_own(&self, o: usize, message: usize) -> bool {
        self.config.operations[o].messages.contains(&(message as u8))
    }

    pub fn instance(&self, o: usize) -> usize {
        self.config.operations[o].instance as usize
    }
}

impl Next {
    pub fn of(state: State, o: usize, what: &'static str, of: [usize; 2]) -> Next {
        Next { state, label: Label { who: Some(o), what, of }, broken: None }
    }

    pub fn world(state: State, what: &'static str, of: [usize; 2]) -> Next {
        Next { state, label: Label { who: None, what, of }, broken: None }
    }

    pub fn broken(mut self, broken: Broken) -> Next {
        self.broken = self.broken.or(broken);
        self
    }
}
