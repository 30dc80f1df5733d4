//! Operations on a store, drawn at random from few members, groups and keys, so that they meet.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::fanout::{Members, Outgoing};
use crate::id::{ConversationId, GroupId, IdempotencyKey, MemberId, MessageId, TimelineId};
use crate::message::Body;
use crate::page::{Direction, Read};
use crate::seq::Seq;
use crate::testing::contract::End;

const MEMBERS: [&str; 5] = ["a", "b", "a:b", "c", "吃\0"];
const GROUPS: [&str; 3] = ["a", "g", "a:b"];
const BODIES: [&str; 4] = ["{}", "{ }", r#"{"a":1,"a":2}"#, "{\"long\":\"xxxxxxxxxxxxxxxxxxx\"}"];
const OPERATIONS_MAX: usize = 120;

/// One step of a run.
#[derive(Clone, Debug)]
pub enum Operation {
    /// A send, compared by its receipt.
    Send(Send),
    /// A read, compared entry by entry.
    Read(Read),
    /// A trim, compared by the bounds after it.
    Trim(TimelineId, Seq),
    /// The clock moves by so many milliseconds.
    Clock(i64),
    /// The store ends and is opened again.
    Restart(End),
}

/// A send without a message id yet.
#[derive(Clone, Debug)]
pub struct Send {
    to: To,
    body: usize,
    key: Option<u8>,
}

#[derive(Clone, Debug)]
enum To {
    Member(usize, usize),
    Group(usize, Vec<usize>),
}

impl Send {
    /// The send as the message `id`.
    pub fn outgoing(&self, id: MessageId) -> Outgoing {
        let body = Body::new(BODIES[self.body], usize::MAX).expect("a valid body");
        let key = self.key.map(|key| IdempotencyKey::new(format!("{key}")).expect("a valid key"));
        match &self.to {
            To::Member(from, to) => Outgoing::direct(id, member(*from), member(*to), body, key),
            To::Group(group, listed) => {
                let listed = listed.iter().map(|index| MEMBERS[*index]);
                let members = Members::new("members", listed, usize::MAX).expect("a valid list");
                Outgoing::group(id, group_id(*group), members, body, key)
            }
        }
    }
}

fn member(index: usize) -> MemberId {
    MemberId::new("member", MEMBERS[index]).expect("a valid id")
}

fn group_id(index: usize) -> GroupId {
    GroupId::new("group", GROUPS[index]).expect("a valid id")
}

/// Every timeline the operations can reach.
pub fn timelines() -> Vec<TimelineId> {
    let members = 0..MEMBERS.len();
    let mut timelines: Vec<TimelineId> =
        members.clone().map(member).map(TimelineId::Inbox).collect();
    timelines.extend((0..GROUPS.len()).map(|index| ConversationId::Group(group_id(index)).into()));
    for one in members.clone() {
        for other in one..members.end {
            timelines.push(ConversationId::direct(member(one), member(other)).into());
        }
    }
    timelines
}

/// Sequences of operations, mostly sends and reads.
pub fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let hour = 3_600_000;
    // Uneven steps, so that no sum of them falls on the very end of a window of whole days.
    let steps = [1, 777, 61 * hour + 7, 200 * hour + 13, -5_003, -70 * hour - 3];
    vec(
        prop_oneof![
            10 => send().prop_map(Operation::Send),
            6 => read().prop_map(Operation::Read),
            1 => (timeline(), seq()).prop_map(|(timeline, seq)| Operation::Trim(timeline, seq)),
            1 => proptest::sample::select(steps.to_vec()).prop_map(Operation::Clock),
            1 => prop_oneof![Just(End::Abrupt), Just(End::Clean)].prop_map(Operation::Restart),
        ],
        1..OPERATIONS_MAX,
    )
}

fn send() -> impl Strategy<Value = Send> {
    let someone = 0..MEMBERS.len();
    let to = prop_oneof![
        (someone.clone(), someone.clone()).prop_map(|(from, to)| To::Member(from, to)),
        (0..GROUPS.len(), vec(someone, 1..8)).prop_map(|(group, to)| To::Group(group, to)),
    ];
    let key = proptest::option::weighted(0.4, 0..3_u8);
    (to, 0..BODIES.len(), key).prop_map(|(to, body, key)| Send { to, body, key })
}

fn read() -> impl Strategy<Value = Read> {
    let until = prop_oneof![2 => Just(Seq::MAX), 1 => seq()];
    let direction = prop_oneof![Just(Direction::Forward), Just(Direction::Backward)];
    let entries_max = prop_oneof![1 => 0..4_usize, 1 => Just(1_000)];
    let bytes_max = prop_oneof![1 => 0..80_usize, 2 => Just(usize::MAX)];
    (timeline(), seq(), until, direction, entries_max, bytes_max).prop_map(
        |(timeline, after, until, direction, entries_max, bytes_max)| Read {
            timeline,
            after,
            until,
            direction,
            entries_max,
            bytes_max,
        },
    )
}

fn timeline() -> impl Strategy<Value = TimelineId> {
    proptest::sample::select(timelines())
}

fn seq() -> impl Strategy<Value = Seq> {
    prop_oneof![3 => 0..6_u64, 2 => 0..60_u64, 1 => Just(u64::MAX)].prop_map(Seq::new)
}
