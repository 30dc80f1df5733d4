//! What a configuration says: which sends there are, what may go wrong, and which rules of the
//! protocol hold.

use crate::state::{Budget, OPERATIONS, SLOTS};

/// A message: one call of a back end, with an id of its own.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    pub conversation: u8,
    /// Calls with the same key and payload are tries of the same send; with the same key and
    /// another payload they conflict.
    pub key: u8,
    pub payload: u8,
    /// Its recipients, as bits of members.
    pub to: u8,
}

/// An operation, as it will be begun.
#[derive(Clone, Debug)]
pub struct Plan {
    pub instance: u8,
    /// Messages of one conversation that go out together; none for a resumer.
    pub messages: Vec<u8>,
}

impl Plan {
    pub fn resumes(&self) -> bool {
        self.messages.is_empty()
    }
}

/// Whom a deliverer helps before its own entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Help {
    Nobody,
    One,
    All,
}

/// What the `_id` of an inbox's document is made of, beside the member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InboxId {
    /// The message's id, which the conversation's document carries.
    Message,
    /// The `_id` in the conversation, which is a hash of the key and its use.
    Stem,
    /// An id that each deliverer draws.
    Fresh,
}

/// Which tails an operation may believe instead of reading them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hints {
    /// None.
    Fresh,
    /// Any that was true within the time that hints count, which is shorter than the grace.
    Dated,
    /// Any that ever was true.
    Undated,
}

/// The rules. A variant that must break is without one of them.
#[derive(Clone, Debug)]
pub struct Rules {
    pub help: Help,
    /// A walk that does not show the entry it started from is read again.
    pub walk_shows_entry: bool,
    pub inbox_id: InboxId,
    pub majority_reads: bool,
    /// After a refusal the tail is read afresh, never taken as one more.
    pub no_guess: bool,
    /// Several documents of one timeline travel in an ordered insert only.
    pub ordered: bool,
    /// An entry is marked only when all before it are known to be delivered.
    pub marks_in_order: bool,
    /// A mark that has waited for as long as an operation may take is dropped.
    pub marks_end: bool,
    /// Of an entry that is not known to be whole, nothing is deleted.
    pub whole_before_deletion: bool,
    /// Nothing is deleted while anything runs that began before it was whole.
    pub grace: bool,
    /// An entry of a conversation stays for as long as its key counts.
    pub window_in_grace: bool,
    /// A tail that memory lost between reading and use is read again, not taken as 0.
    pub tails_kept: bool,
    /// What another instance says of a tail is a reason to read it, and is never taken for one.
    pub hints_are_read: bool,
    /// Of a command that was broken off, only what was answered counts as done.
    pub own_answers: bool,
    /// An entry whose key is used again is never deleted.
    pub again_kept: bool,
    /// That a key is used again counts once a majority has it.
    pub majority_again: bool,
    /// Said to the entry that was looked at, not to whatever has its `_id` by now.
    pub exact_again: bool,
    /// Deleted is the entry that was looked at, not whatever has its `_id` by now.
    pub exact_deletion: bool,
    /// A backup is restored only when nothing runs.
    pub restore_quiet: bool,
}

impl Rules {
    /// The protocol.
    pub const ALL: Rules = Rules {
        help: Help::All,
        walk_shows_entry: true,
        inbox_id: InboxId::Message,
        majority_reads: true,
        no_guess: true,
        ordered: true,
        marks_in_order: true,
        marks_end: true,
        whole_before_deletion: true,
        grace: true,
        window_in_grace: true,
        tails_kept: true,
        hints_are_read: true,
        own_answers: true,
        again_kept: true,
        majority_again: true,
        exact_again: true,
        exact_deletion: true,
        restore_quiet: true,
    };
}

/// One configuration.
#[derive(Clone, Debug)]
pub struct Config {
    pub name: &'static str,
    pub what: &'static str,
    /// Words of the promise that must break; none if all must hold.
    pub breaks: Option<&'static str>,
    pub messages: Vec<Message>,
    pub operations: Vec<Plan>,
    pub budget: Budget,
    pub rules: Rules,
    pub hints: Hints,
    /// How many writes may wait for a majority; 0 if each has it at once.
    pub unsure: usize,
    /// Instances disagree about when a key's window is over.
    pub skew: bool,
    /// Documents of an unordered insert are done in the order of members: fewer states.
    pub fixed_order: bool,
    /// The entries of all inboxes travel in one ordered insert, which ends at the first refusal.
    pub joint: bool,
}

impl Config {
    /// A configuration in which all rules hold and nothing goes wrong.
    pub fn new(name: &'static str, what: &'static str) -> Config {
        Config {
            name,
            what,
            breaks: None,
            messages: Vec::new(),
            operations: Vec::new(),
            budget: Budget::default(),
            rules: Rules::ALL,
            hints: Hints::Fresh,
            unsure: 0,
            skew: false,
            fixed_order: false,
            joint: false,
        }
    }

    /// The same, with words of the promise that must break.
    pub fn breaks(mut self, promise: &'static str) -> Config {
        self.breaks = Some(promise);
        self
    }

    /// A message with a key of its own; its number.
    fn message(&mut self, conversation: u8, key: u8, payload: u8, to: u8) -> u8 {
        self.messages.push(Message { conversation, key, payload, to });
        assert!(self.messages.len() <= SLOTS + 1, "{}: too many messages", self.name);
        self.messages.len() as u8 - 1
    }

    fn operation(mut self, instance: u8, messages: Vec<u8>) -> Config {
        self.operations.push(Plan { instance, messages });
        assert!(self.operations.len() <= OPERATIONS, "{}: too many operations", self.name);
        self
    }

    /// An instance sends one message to `D`.
    pub fn direct(mut self, instance: u8) -> Config {
        let key = 100 + self.messages.len() as u8;
        let message = self.message(0, key, 0, 0b011);
        self.operation(instance, vec![message])
    }

    /// An instance sends one message to `G`.
    pub fn group(mut self, instance: u8) -> Config {
        let key = 100 + self.messages.len() as u8;
        let message = self.message(1, key, 0, 0b111);
        self.operation(instance, vec![message])
    }

    /// An instance sends to `G`, for some members only.
    pub fn listed(mut self, instance: u8, to: u8) -> Config {
        let key = 100 + self.messages.len() as u8;
        let message = self.message(1, key, 0, to);
        self.operation(instance, vec![message])
    }

    /// An instance sends to `D` under a key.
    pub fn keyed(mut self, instance: u8, key: u8, payload: u8) -> Config {
        let message = self.message(0, key, payload, 0b011);
        self.operation(instance, vec![message])
    }

    /// An instance sends to `G` under a key.
    pub fn keyed_group(mut self, instance: u8, key: u8, payload: u8) -> Config {
        let message = self.message(1, key, payload, 0b111);
        self.operation(instance, vec![message])
    }

    /// An instance sends several messages together, each as `(key, recipients)`; recipients other
    /// than both members of `D` make it a group's.
    pub fn batch(mut self, instance: u8, list: &[(u8, u8)]) -> Config {
        let group = list.iter().any(|(_, to)| *to != 0b011);
        let add = |(key, to): &(u8, u8)| self.message(u8::from(group), *key, 0, *to);
        let messages = list.iter().map(add).collect();
        self.operation(instance, messages)
    }

    /// An instance resumes whatever is pending, at any time and again and again.
    pub fn resumer(self, instance: u8) -> Config {
        self.operation(instance, Vec::new())
    }

    pub fn budget(mut self, change: impl FnOnce(&mut Budget)) -> Config {
        change(&mut self.budget);
        self
    }

    pub fn rules(mut self, change: impl FnOnce(&mut Rules)) -> Config {
        change(&mut self.rules);
        self
    }

    pub fn hints(self, hints: Hints) -> Config {
        Config { hints, ..self }
    }

    pub fn unsure(self, unsure: usize) -> Config {
        Config { unsure, ..self }
    }

    pub fn skew(self) -> Config {
        Config { skew: true, ..self }
    }

    pub fn fixed_order(self) -> Config {
        Config { fixed_order: true, ..self }
    }

    pub fn joint(self) -> Config {
        Config { joint: true, ..self }
    }
}
