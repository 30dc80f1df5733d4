//! The plan: what is sent, and what must be where afterwards.
//!
//! Every inbox can be derived from it: a member has the messages of the groups it speaks in and
//! of its direct conversations, each conversation's in their order; only how conversations mix
//! is open. So it has a few dozen bytes for each line and none for each delivery.

use std::collections::HashMap;
use std::hash::BuildHasher as _;

use foldhash::quality::{FixedState, RandomState};
use serde::Deserialize;

use super::body::{self, Kind};
use super::input::Place;

/// A member, as an index into the plan.
pub type Member = u32;
/// A conversation, as an index into the plan.
pub type Conversation = u32;

/// 128 bits for the bytes of a line; two lines share them by chance never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Print(u64, u64);

/// What a line must have.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    from: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    group: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    to: Option<std::borrow::Cow<'a, str>>,
}

/// One line of the input.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// Its number in the input, from 1.
    pub number: u64,
    /// Where its text is.
    pub place: Place,
    /// Of its rest.
    pub print: Print,
    /// Who said it.
    pub from: Member,
    /// Its group and its position there, from 1.
    pub group: (Conversation, u32),
    /// Its direct conversation and its position there, if it addresses somebody.
    pub direct: Option<(Conversation, u32)>,
}

/// Where the messages of a conversation go.
#[derive(Clone, Debug)]
pub enum Parties {
    /// A group of this name with these members, in the order in which they first spoke.
    Group(String, Vec<Member>),
    /// Two members; twice the same for notes to oneself.
    Direct(Member, Member),
}

/// One conversation.
#[derive(Clone, Debug)]
pub struct Thread {
    /// Who is in it.
    pub parties: Parties,
    /// Its messages in order, as indexes into [`Plan::lines`].
    pub lines: Vec<u32>,
}

/// Everything that a replay sends.
#[derive(Default)]
pub struct Plan {
    /// The lines in their order.
    pub lines: Vec<Line>,
    /// The conversations.
    pub threads: Vec<Thread>,
    /// The members' ids.
    pub members: Vec<String>,
    /// Stands before every id on the server, so that a replay can have a server with other data.
    prefix: String,
    hasher: (FixedState, RandomState),
}

/// Looks up ids while a plan is made.
#[derive(Default)]
pub struct Planner {
    plan: Plan,
    members: HashMap<String, Member>,
    groups: HashMap<String, Conversation>,
    pairs: HashMap<(Member, Member), Conversation>,
    /// Who already is in which group.
    joined: std::collections::HashSet<(Conversation, Member)>,
}

impl Planner {
    /// A plan whose ids get `prefix`.
    pub fn new(prefix: &str) -> Planner {
        let plan = Plan { prefix: prefix.to_owned(), ..Plan::default() };
        Planner { plan, ..Planner::default() }
    }

    /// Takes in the next line.
    ///
    /// # Errors
    /// If it is not `{"from": …, "group": …}` with an optional `to`.
    pub fn add(&mut self, number: u64, place: Place, text: &str) -> Result<(), String> {
        let fields: Fields<'_> = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if fields.from.is_empty() || fields.group.is_empty() {
            return Err("from or group is empty".to_owned());
        }
        let index = index(self.plan.lines.len())?;
        let from = self.member(&fields.from)?;
        let group = match self.groups.get(fields.group.as_ref()) {
            Some(group) => *group,
            None => {
                let name = fields.group.clone().into_owned();
                let group = self.thread(Parties::Group(name.clone(), Vec::new()))?;
                self.groups.insert(name, group);
                group
            }
        };
        if self.joined.insert((group, from))
            && let Parties::Group(_, members) = &mut self.plan.threads[group as usize].parties
        {
            members.push(from);
        }
        let direct = match fields.to.as_deref() {
            None => None,
            Some("") => return Err("to is empty".to_owned()),
            Some(to) => Some(self.pair(from, to)?),
        };
        let rest = body::rest(text).ok_or("it is not a JSON object")?;
        let print = self.plan.print(rest);
        let mut join = |conversation: Conversation| {
            let lines = &mut self.plan.threads[conversation as usize].lines;
            lines.push(index);
            (conversation, lines.len() as u32)
        };
        let (group, direct) = (join(group), direct.map(join));
        self.plan.lines.push(Line { number, place, print, from, group, direct });
        Ok(())
    }

    /// The plan of all lines taken in.
    pub fn finish(self) -> Plan {
        self.plan
    }

    fn member(&mut self, id: &str) -> Result<Member, String> {
        if let Some(member) = self.members.get(id) {
            return Ok(*member);
        }
        let member = index(self.plan.members.len())?;
        self.plan.members.push(id.to_owned());
        self.members.insert(id.to_owned(), member);
        Ok(member)
    }

    fn pair(&mut self, from: Member, to: &str) -> Result<Conversation, String> {
        let to = self.member(to)?;
        let pair = (from.min(to), from.max(to));
        if let Some(thread) = self.pairs.get(&pair) {
            return Ok(*thread);
        }
        let thread = self.thread(Parties::Direct(pair.0, pair.1))?;
        self.pairs.insert(pair, thread);
        Ok(thread)
    }

    fn thread(&mut self, parties: Parties) -> Result<Conversation, String> {
        let thread = index(self.plan.threads.len())?;
        self.plan.threads.push(Thread { parties, lines: Vec::new() });
        Ok(thread)
    }
}

fn index(length: usize) -> Result<u32, String> {
    u32::try_from(length).map_err(|_| "more than 4,294,967,295 lines or ids".to_owned())
}

impl Plan {
    /// What stands for the bytes of a line's rest.
    pub fn print(&self, rest: &str) -> Print {
        Print(self.hasher.0.hash_one(rest), self.hasher.1.hash_one(rest))
    }

    /// A member's id on the server.
    pub fn member_id(&self, member: Member) -> String {
        format!("{}{}", self.prefix, self.members[member as usize])
    }

    /// A group's id on the server.
    pub fn group_id(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// A conversation's name for people.
    pub fn name(&self, conversation: Conversation) -> String {
        match &self.threads[conversation as usize].parties {
            Parties::Group(name, _) => format!("group {:?}", self.group_id(name)),
            Parties::Direct(one, other) => {
                format!("{:?} and {:?}", self.member_id(*one), self.member_id(*other))
            }
        }
    }

    /// The other one of a direct conversation.
    pub fn receiver(&self, line: &Line, conversation: Conversation) -> Member {
        match self.threads[conversation as usize].parties {
            Parties::Direct(one, other) if one == line.from => other,
            Parties::Direct(one, _) => one,
            Parties::Group(..) => line.from,
        }
    }

    /// The line of number `number`, as an index.
    pub fn line(&self, number: u64) -> Option<u32> {
        // Without empty lines in the input a number is a place.
        let guess = usize::try_from(number).ok()?.wrapping_sub(1);
        if self.lines.get(guess).is_some_and(|line| line.number == number) {
            return u32::try_from(guess).ok();
        }
        let found = self.lines.binary_search_by_key(&number, |line| line.number).ok()?;
        u32::try_from(found).ok()
    }

    /// The conversations of every member.
    pub fn memberships(&self) -> Vec<Vec<Conversation>> {
        let mut of = vec![Vec::new(); self.members.len()];
        for (thread, conversation) in self.threads.iter().zip(0..) {
            match &thread.parties {
                Parties::Group(_, members) => {
                    members.iter().for_each(|m| of[*m as usize].push(conversation));
                }
                Parties::Direct(one, other) => {
                    of[*one as usize].push(conversation);
                    if one != other {
                        of[*other as usize].push(conversation);
                    }
                }
            }
        }
        of
    }

    /// How many inboxes each message of a conversation reaches.
    pub fn fan_out(&self, thread: &Thread) -> u64 {
        match &thread.parties {
            Parties::Group(_, members) => members.len() as u64,
            Parties::Direct(one, other) => 1 + u64::from(one != other),
        }
    }

    /// How many sends there are.
    pub fn sends(&self) -> u64 {
        self.threads.iter().map(|thread| thread.lines.len() as u64).sum()
    }

    /// How many inbox entries there must be.
    pub fn deliveries(&self) -> u64 {
        self.threads.iter().map(|t| t.lines.len() as u64 * self.fan_out(t)).sum()
    }

    /// What kind of message a conversation has.
    pub fn kind(&self, conversation: Conversation) -> Kind {
        match self.threads[conversation as usize].parties {
            Parties::Group(..) => Kind::Group,
            Parties::Direct(..) => Kind::Direct,
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A plan of these lines, and its messages by line and kind.
    pub fn plan(lines: &[&str]) -> Plan {
        let mut planner = Planner::new("p-");
        for (line, number) in lines.iter().zip(1..) {
            planner.add(number, Place { offset: 0, bytes: 0 }, line).unwrap();
        }
        planner.finish()
    }

    #[test]
    fn a_group_has_its_speakers_and_whoever_is_addressed_is_a_member_too() {
        let plan = plan(&[
            r#"{"from":"b","group":"g","text":"1"}"#,
            r#"{"from":"a","group":"g","text":"2","to":"b"}"#,
            r#"{"from":"b","group":"g","text":"3","to":"a"}"#,
            r#"{"from":"b","group":"h","text":"4","to":"silent"}"#,
            r#"{"from":"a","group":"h","text":"5","to":"a"}"#,
        ]);
        assert_eq!(plan.members, ["b", "a", "silent"]);
        let members: Vec<_> = plan.threads.iter().map(|t| (&t.parties, t.lines.len())).collect();
        let shown = format!("{members:?}");
        let expected = "[(Group(\"g\", [0, 1]), 3), (Direct(0, 1), 2), \
                        (Group(\"h\", [0, 1]), 2), (Direct(0, 2), 1), (Direct(1, 1), 1)]";
        assert_eq!(shown, expected);
        assert_eq!((plan.sends(), plan.deliveries()), (9, 6 + 4 + 4 + 2 + 1));
        assert_eq!(plan.memberships(), [vec![0, 1, 2, 3], vec![0, 1, 2, 4], vec![3]]);
        assert_eq!(plan.lines[2].direct, Some((1, 2)));
        assert_eq!(plan.receiver(&plan.lines[2], 1), 1);
        assert_eq!(plan.name(0), "group \"p-g\"");
    }

    #[test]
    fn a_line_without_what_is_needed_is_refused() {
        for line in ["", "[]", "{}", r#"{"from":"","group":"g"}"#, r#"{"from":"a","group":1}"#] {
            let place = Place { offset: 0, bytes: 0 };
            assert!(Planner::new("").add(1, place, line).is_err(), "{line}");
        }
    }
}
