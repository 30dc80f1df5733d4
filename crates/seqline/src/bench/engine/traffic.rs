//! Who sends to whom: the same picks for the store and for the bare log.

use seqline_core::fanout::{Members, Outgoing};
use seqline_core::id::{GroupId, MemberId, MessageId};
use seqline_core::limits::{GROUP_MEMBERS_MAX, MESSAGE_BYTES_MAX};
use seqline_core::message::Body;

use crate::bench::load::distinct;
use crate::bench::wire::Template;
use crate::replay::synthetic::Random;

/// Bodies that are made beforehand; together they are larger than any block that is compressed.
const BODIES: usize = 8_192;
/// How many others each member talks with.
const PARTNERS: u64 = 20;
/// Groups, each with its members for the whole run.
pub const GROUPS: usize = 1_000;

/// Who gets the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Two members, each with twenty partners.
    Pairs,
    /// Two members who have nearly never talked before.
    NewPairs,
    /// The members of one of so many groups of a size.
    Groups {
        /// How many there are.
        count: usize,
        /// Members of each.
        size: usize,
    },
}

/// A source of sends, the same in every run.
pub struct Traffic {
    members: Vec<MemberId>,
    pairs: Option<Shape>,
    groups: Vec<Group>,
    bodies: Vec<Body>,
    random: Random,
    serial: u64,
}

struct Group {
    id: GroupId,
    recipients: Members,
    numbers: Vec<u32>,
}

/// One message: its conversation, whom it reaches, the place of its body.
enum Pick {
    /// Of one member to another.
    Pair(u32, u32, usize),
    /// To a group.
    Group(usize, usize),
}

impl Traffic {
    /// Traffic among `members`.
    ///
    /// # Errors
    /// If a name or body breaks the limits of the domain.
    pub fn new(shape: Shape, members: usize, body_bytes: usize) -> seqline_core::Result<Traffic> {
        let mut random = Random::new(7);
        let name = |number: usize| MemberId::new("member", format!("m{number:07}"));
        let names = (0..members).map(name).collect::<seqline_core::Result<Vec<_>>>()?;
        let body = |serial: u64, random: &mut Random| {
            let letter =
                || char::from(b"abcdefghijklmnop      qrstuvwxyz"[random.below(32) as usize]);
            let text = Template::message(body_bytes, letter);
            Body::new(
                text.replace("~~~~~~~~~~~~~~~~", &format!("{serial:016x}")),
                MESSAGE_BYTES_MAX,
            )
        };
        let bodies = (0..BODIES as u64).map(|serial| body(serial, &mut random));
        let bodies = bodies.collect::<seqline_core::Result<Vec<_>>>()?;
        let mut groups = Vec::new();
        if let Shape::Groups { count, size } = shape {
            for number in 0..count {
                let numbers = distinct(size, members, &mut random);
                let ids = numbers.iter().map(|member| names[*member].as_bytes());
                groups.push(Group {
                    id: GroupId::new("group", format!("group-{number}"))?,
                    recipients: Members::new("group_members", ids, GROUP_MEMBERS_MAX)?,
                    numbers: numbers.iter().map(|member| *member as u32).collect(),
                });
            }
        }
        let pairs = groups.is_empty().then_some(shape);
        Ok(Traffic { members: names, pairs, groups, bodies, random, serial: 0 })
    }

    /// How many inboxes each message reaches.
    pub fn deliveries_per_send(&self) -> u64 {
        self.groups.first().map_or(2, |group| group.numbers.len() as u64)
    }

    /// The name of a member.
    pub fn member(&self, number: usize) -> MemberId {
        self.members[number].clone()
    }

    /// The groups' ids.
    pub fn group_ids(&self) -> impl Iterator<Item = GroupId> {
        self.groups.iter().map(|group| group.id.clone())
    }

    /// Every member of a group, as often as it is in one.
    pub fn grouped(&self) -> Vec<usize> {
        self.groups.iter().flat_map(|group| &group.numbers).map(|number| *number as usize).collect()
    }

    /// The next message. Groups take turns, so that all have equally many.
    fn pick(&mut self) -> Pick {
        let body = self.serial as usize % self.bodies.len();
        self.serial += 1;
        let members = self.members.len() as u64;
        match self.pairs {
            Some(shape) => {
                let from = self.random.below(members);
                let distance = if shape == Shape::Pairs {
                    // Twenty partners that are always the same.
                    let choice = self.random.below(PARTNERS);
                    Random::new(from * PARTNERS + choice).below(members - 1)
                } else {
                    self.random.below(members - 1)
                };
                Pick::Pair(from as u32, ((from + 1 + distance) % members) as u32, body)
            }
            None => Pick::Group(self.serial as usize % self.groups.len(), body),
        }
    }

    /// The next message as the store takes it.
    pub fn outgoing(&mut self) -> Outgoing {
        let pick = self.pick();
        let id = MessageId(u128::from(self.serial));
        match pick {
            Pick::Pair(from, to, body) => {
                let (from, to) = (self.member(from as usize), self.member(to as usize));
                Outgoing::direct(id, from, to, self.bodies[body].clone(), None)
            }
            Pick::Group(number, body) => {
                let group = &self.groups[number];
                let (name, recipients) = (group.id.clone(), group.recipients.clone());
                Outgoing::group(id, name, recipients, self.bodies[body].clone(), None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn pairs_have_twenty_partners_and_groups_their_size() {
        let mut pairs = Traffic::new(Shape::Pairs, 100, 200).unwrap();
        let mut partners = HashSet::new();
        for _ in 0..20_000 {
            let Pick::Pair(from, to, _) = pairs.pick() else { panic!("pairs asked for") };
            assert_ne!(from, to);
            if from == 7 {
                partners.insert(to);
            }
        }
        assert!(partners.len() <= 20 && partners.len() > 10, "{partners:?}");
        let mut groups = Traffic::new(Shape::Groups { count: 3, size: 5 }, 100, 200).unwrap();
        let sent = groups.outgoing();
        assert_eq!((sent.recipients.len(), sent.body.len()), (5, 200));
        assert_eq!((groups.deliveries_per_send(), groups.grouped().len()), (5, 15));
    }
}
