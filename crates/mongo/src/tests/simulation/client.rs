//! Clients of the simulation: back ends that send, repeat under a key, and trim.

use std::sync::Arc;

use seqline_core::error::Error;
use seqline_core::fanout::{Members, Outgoing};
use seqline_core::id::{ConversationId, GroupId, IdempotencyKey, MemberId, MessageId, TimelineId};
use seqline_core::message::Body;
use seqline_core::page::{Direction, Read};
use seqline_core::seq::Seq;
use seqline_core::store::Store as _;

use super::world::{Answer, World};

const MEMBERS: [&str; 4] = ["a", "b", "c", "d"];

/// Every timeline that clients send to.
pub fn timelines() -> Vec<TimelineId> {
    let inboxes = MEMBERS.iter().map(|id| TimelineId::Inbox(member(id)));
    let conversations = [group("g"), group("h"), direct("a", "b"), direct("b", "c")];
    inboxes.chain(conversations.into_iter().map(TimelineId::Conversation)).collect()
}

fn member(id: &str) -> MemberId {
    MemberId::new("member", id).unwrap()
}

fn direct(one: &str, other: &str) -> ConversationId {
    ConversationId::direct(member(one), member(other))
}

fn group(id: &str) -> ConversationId {
    ConversationId::Group(GroupId::new("group", id).unwrap())
}

/// A message to any of few conversations, a third of them under one of few keys.
fn any(world: &World) -> Outgoing {
    let random = &world.random;
    let id = MessageId(u128::from(random.next()));
    let key = (random.below(3) == 0)
        .then(|| IdempotencyKey::new(format!("k{}", random.below(3))).unwrap());
    // Under a key often the same payload, so that repeats are repeats.
    let payload = if key.is_some() { random.below(2) } else { random.next() };
    let body = Body::new(format!(r#"{{"payload":{payload}}}"#), 1_000).unwrap();
    match random.below(4) {
        0 => Outgoing::direct(id, member("a"), member("b"), body, key),
        1 => Outgoing::direct(id, member("c"), member("b"), body, key),
        group => {
            // Not always the same recipients.
            let listed = match payload % 3 {
                0 => &MEMBERS[..3],
                1 => &MEMBERS[..],
                _ => &MEMBERS[1..],
            };
            let members = Members::new("members", listed, 10).unwrap();
            let name = GroupId::new("group", ["g", "h"][group as usize % 2]).unwrap();
            Outgoing::group(id, name, members, body, key)
        }
    }
}

/// Sends until the time is over; after an unknown outcome often the same again.
pub async fn run(world: Arc<World>, number: u64) {
    let busy = [5, 30, 400, 2_500][(world.random.below(4) + number) as usize % 4];
    let mut again: Option<Outgoing> = None;
    while world.goes_on() {
        world.random.pause(busy).await;
        let mut send = again.take().unwrap_or_else(|| any(&world));
        // A repeat is another message, unless it is stored as the first one.
        send.id = MessageId(u128::from(world.random.next()));
        if !once(&world, send.clone()).await && send.key.is_some() {
            again = Some(send);
        }
        // Few hundred messages are enough of a run.
        if world.sent.lock().unwrap().len() > 400 {
            break;
        }
    }
}

/// Sends one message; whether there was an answer.
async fn once(world: &World, send: Outgoing) -> bool {
    let Some(instance) = world.any() else {
        return false;
    };
    let id = send.id;
    world.sent.lock().unwrap().insert(id, (send.clone(), Answer::Nothing));
    let result = instance.store.append(send.clone()).await;
    if instance.is_killed() {
        return false;
    }
    let answer = match result {
        Ok(receipt) => {
            world.db.note(format!("{:x}", receipt.id.0));
            read_back(world, &send, receipt.conversation_seq).await;
            Answer::Receipt(receipt)
        }
        Err(Error::OutcomeUnknown { .. }) => Answer::Nothing,
        Err(error @ Error::Corrupt { .. }) => panic!("{error}"),
        Err(error) => Answer::Refused(error.to_string()),
    };
    let heard = matches!(answer, Answer::Receipt(_));
    world.sent.lock().unwrap().insert(id, (send, answer));
    heard
}

/// What was acknowledged can be read at once, through any instance.
async fn read_back(world: &World, send: &Outgoing, seq: Seq) {
    let Some(instance) = world.any().filter(|_| !world.stale) else {
        return;
    };
    let timeline = TimelineId::from(send.conversation.clone());
    if let Ok(bounds) = instance.store.bounds(vec![timeline]).await {
        assert!(bounds[0].latest >= seq, "what was acknowledged is readable");
    }
}

/// Trims timelines now and then, through any instance.
pub async fn trim(world: Arc<World>) {
    let timelines = timelines();
    while world.goes_on() {
        world.random.pause(900).await;
        let timeline = timelines[world.random.below(timelines.len() as u64) as usize].clone();
        let Some(instance) = world.any() else {
            continue;
        };
        let newest = Read {
            timeline: timeline.clone(),
            after: Seq::ZERO,
            until: Seq::MAX,
            direction: Direction::Backward,
            entries_max: 1,
            bytes_max: 1,
        };
        let Ok(page) = instance.store.read(newest).await else {
            continue;
        };
        let above = world.random.below(4);
        let up_to = Seq::new((page.bounds.latest.get() + 1).saturating_sub(above));
        if let Ok(bounds) = instance.store.trim(timeline.clone(), up_to).await {
            assert!(bounds.first <= bounds.latest.max(Seq::FIRST), "the newest stays: {bounds:?}");
            assert!(world.stale || bounds.first >= page.bounds.first, "a floor never falls");
        }
    }
}
