//! Small scenes: one or two instances in weather that a test chooses, in virtual time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use seqline_core::clock::{CountingEntropy, ManualClock, UnixMillis};
use seqline_core::fanout::{Members, Outgoing};
use seqline_core::id::{
    ConversationId, Epoch, GroupId, IdempotencyKey, MemberId, MessageId, Text, TimelineId,
};
use seqline_core::message::Body;
use seqline_core::page::{Direction, Page, Read};
use seqline_core::seq::Seq;
use seqline_core::store::Store as _;
use tokio::time::Instant;

use crate::db::simulated::{Command, Simulated, Verdict, Weather};
use crate::hints::{CLAIM_TIME, Claim, ClaimFuture, Hint, HintFuture, Hints, Nothing};
use crate::options::Options;
use crate::shared::Ports;
use crate::store::{MongoStore, OpenError};
use crate::uptime::Uptime;

/// The time of a runtime whose clock is paused.
pub struct Virtual(pub tokio::time::Instant);

impl Uptime for Virtual {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Hints and claims that all instances share, as Redis keeps them, without delay or loss.
#[derive(Default)]
pub struct Shared {
    tails: Mutex<HashMap<Text, Hint>>,
    claims: Mutex<HashMap<Text, Instant>>,
}

impl Hints for Shared {
    fn tails(&self, _: Epoch, members: Vec<Text>) -> HintFuture {
        let shared = self.tails.lock().unwrap();
        let hints = members.iter().map(|member| shared.get(member).copied()).collect();
        Box::pin(std::future::ready(hints))
    }

    fn put(&self, _: Epoch, tails: Vec<(Text, Hint)>) {
        self.tails.lock().unwrap().extend(tails);
    }

    fn claim(&self, _: Epoch, members: Vec<Text>) -> ClaimFuture {
        let (shared, mut claimed) = (self.tails.lock().unwrap(), self.claims.lock().unwrap());
        let claims = members.into_iter().map(|member| {
            let hint = shared.get(&member).copied();
            let ours = claimed.get(&member).is_none_or(|since| since.elapsed() >= CLAIM_TIME);
            if ours {
                claimed.insert(member, Instant::now());
            }
            Claim { ours, hint }
        });
        let claims = claims.collect();
        Box::pin(std::future::ready(claims))
    }

    fn release(&self, _: Epoch, members: Vec<Text>) {
        let mut claimed = self.claims.lock().unwrap();
        claimed.retain(|member, _| !members.contains(member));
    }
}

/// A database and the clock of its instances.
pub struct Scene {
    pub db: Simulated,
    pub clock: Arc<ManualClock>,
    entropy: Arc<CountingEntropy>,
}

impl Scene {
    pub fn new(db: Simulated) -> Scene {
        let clock = Arc::new(ManualClock::new(UnixMillis(1_700_000_000_000)));
        Scene { db, clock, entropy: Arc::default() }
    }

    /// One more instance; `number` is who it is to the weather.
    pub async fn open(&self, number: usize, options: Options) -> MongoStore {
        self.try_open(number, options, Arc::new(Nothing)).await.expect("it can be opened")
    }

    /// The same with hints.
    pub async fn open_beside(
        &self,
        number: usize,
        options: Options,
        hints: Arc<dyn Hints>,
    ) -> MongoStore {
        self.try_open(number, options, hints).await.expect("it can be opened")
    }

    /// The same, and it may be refused.
    pub async fn try_open(
        &self,
        number: usize,
        options: Options,
        hints: Arc<dyn Hints>,
    ) -> Result<MongoStore, OpenError> {
        let ports = Ports {
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            uptime: Arc::new(Virtual(tokio::time::Instant::now())),
            hints,
            notices: Arc::new(Nothing),
        };
        let db = Arc::new(self.db.seen_by(number));
        MongoStore::open(db, options, ports).await
    }
}

/// Calm weather, but for what a test does to the commands of an instance.
pub struct But<F>(pub F);

impl<F> Weather for But<F>
where
    F: Fn(usize, &Command) -> Verdict + Send + Sync + 'static,
{
    fn verdict(&self, by: usize, command: &Command, _: Duration) -> Verdict {
        (self.0)(by, command)
    }

    fn way(&self, _: usize) -> (Duration, Duration) {
        // So that commands take time, in which others come between.
        (Duration::ZERO, Duration::from_millis(1))
    }

    fn step(&self) -> Duration {
        Duration::ZERO
    }

    fn replication(&self) -> Duration {
        Duration::ZERO
    }
}

/// Runs `work` in virtual time on one thread.
pub fn run(work: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(work);
}

pub fn member(id: &str) -> MemberId {
    MemberId::new("member", id).unwrap()
}

pub fn inbox(id: &str) -> TimelineId {
    TimelineId::Inbox(member(id))
}

pub fn direct_timeline(one: &str, other: &str) -> TimelineId {
    ConversationId::direct(member(one), member(other)).into()
}

pub fn group_timeline(id: &str) -> TimelineId {
    ConversationId::Group(GroupId::new("group", id).unwrap()).into()
}

pub fn direct(id: u128, from: &str, to: &str) -> Outgoing {
    let body = Body::new(format!("{{\"id\":{id}}}"), 100).unwrap();
    Outgoing::direct(MessageId(id), member(from), member(to), body, None)
}

pub fn group<T: AsRef<[u8]>>(id: u128, name: &str, to: impl IntoIterator<Item = T>) -> Outgoing {
    let body = Body::new(format!("{{\"id\":{id}}}"), 100).unwrap();
    let members = Members::new("members", to, usize::MAX).unwrap();
    Outgoing::group(MessageId(id), GroupId::new("group", name).unwrap(), members, body, None)
}

pub fn keyed(key: &str, send: Outgoing) -> Outgoing {
    Outgoing { key: Some(IdempotencyKey::new(key).unwrap()), ..send }
}

pub async fn read(store: &MongoStore, timeline: &TimelineId) -> Page {
    let read = Read {
        timeline: timeline.clone(),
        after: Seq::ZERO,
        until: Seq::MAX,
        direction: Direction::Forward,
        entries_max: 1_000,
        bytes_max: usize::MAX,
    };
    store.read(read).await.expect("it can be read")
}

/// The messages of a timeline, in order.
pub async fn ids(store: &MongoStore, timeline: &TimelineId) -> Vec<u128> {
    read(store, timeline).await.entries.iter().map(|entry| entry.message.id.0).collect()
}
