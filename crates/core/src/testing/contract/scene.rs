//! A scene: one subject, its clock, the store while it is open, and all that was sent to it.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;

use super::subject::Subject;
use super::verify::Ledger;
use crate::clock::{CountingEntropy, ManualClock, UnixMillis};
use crate::error::{Error, Result};
use crate::fanout::{Members, Outgoing};
use crate::id::{ConversationId, GroupId, IdempotencyKey, MemberId, MessageId, TimelineId};
use crate::message::Body;
use crate::page::{Direction, Entry, Read};
use crate::seq::Seq;
use crate::store::{Receipt, Store};

/// When every scene begins: 2023-11-14 22:13:20 UTC.
const BEGIN: UnixMillis = UnixMillis(1_700_000_000_000);

/// Work of a case that runs beside other work.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How a store ends before it is opened again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Closed, as on a stop in order.
    Clean,
    /// Dropped, as on a kill.
    Abrupt,
}

/// A subject with its store open, and a ledger of what it acknowledged.
pub struct Scene<'a> {
    subject: &'a dyn Subject,
    runtime: Runtime,
    /// The clock of the store.
    pub clock: Arc<ManualClock>,
    entropy: Arc<CountingEntropy>,
    store: Option<Arc<dyn Store>>,
    ledger: Arc<Mutex<Ledger>>,
}

impl<'a> Scene<'a> {
    /// Opens the subject for the first time.
    pub fn new(subject: &'a dyn Subject) -> Scene<'a> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(4)
            .enable_all()
            .build()
            .expect("the machine can start four threads");
        let mut scene = Scene {
            subject,
            runtime,
            clock: Arc::new(ManualClock::new(BEGIN)),
            entropy: Arc::default(),
            store: None,
            ledger: Arc::default(),
        };
        scene.open();
        scene
    }

    fn open(&mut self) {
        let _entered = self.runtime.enter();
        self.store = Some(self.subject.open(self.clock.clone(), self.entropy.clone()));
    }

    /// A handle to the store, which the case drops before the next restart.
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(self.store.as_ref().expect("a scene's store is open between restarts"))
    }

    /// A handle for tasks that send: they record what is acknowledged.
    pub fn sender(&self) -> Sender {
        Sender { store: self.store(), ledger: Arc::clone(&self.ledger) }
    }

    /// How long to wait for what must come.
    pub fn patience(&self) -> Duration {
        self.subject.patience()
    }

    /// Runs `work` to its end.
    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Runs all of `work` at the same time, on several threads, and returns in their order.
    pub fn all<T: Send + 'static>(
        &self,
        work: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
    ) -> Vec<T> {
        let tasks: Vec<_> = work.into_iter().map(|work| self.runtime.spawn(work)).collect();
        let finish = async {
            let mut done = Vec::new();
            for task in tasks {
                match task.await {
                    Ok(value) => done.push(value),
                    Err(failed) => std::panic::resume_unwind(failed.into_panic()),
                }
            }
            done
        };
        self.runtime.block_on(finish)
    }

    /// Sends one message and records it.
    pub fn send(&self, send: Outgoing) -> Result<Receipt> {
        self.run(self.sender().send(send))
    }

    /// Sends one message that must be taken.
    #[track_caller]
    pub fn sent(&self, send: Outgoing) -> Receipt {
        self.send(send).expect("the store takes this send")
    }

    /// Trims a timeline; what is gone is still known to the ledger.
    pub fn trim(&self, timeline: &TimelineId, up_to: u64) -> crate::page::Bounds {
        self.verify();
        let trimmed = self.run(self.store().trim(timeline.clone(), Seq::new(up_to)));
        let bounds = trimmed.expect("a timeline can be trimmed");
        self.locked().trimmed(timeline, bounds);
        bounds
    }

    /// Takes over the first entries of timelines that a case trimmed on its own.
    pub fn adopt_trims(&self, timelines: &[TimelineId]) {
        let bounds = self.run(self.store().bounds(timelines.to_vec()));
        for (timeline, bounds) in timelines.iter().zip(bounds.expect("bounds can be read")) {
            self.locked().trimmed(timeline, bounds);
        }
    }

    /// Ends the store, opens it again and verifies everything.
    pub fn restart(&mut self, end: End) {
        let store = self.store.take().expect("a scene's store is open between restarts");
        assert_eq!(Arc::strong_count(&store), 1, "a case dropped its handles before a restart");
        let entered = self.runtime.enter();
        match end {
            End::Clean => {
                let closed = self.runtime.block_on(store.close());
                closed.expect("an idle store closes");
                drop(store);
            }
            End::Abrupt => self.subject.crash(store),
        }
        drop(entered);
        self.open();
        self.verify();
    }

    /// Reads every timeline that anything was sent to, and holds it against the ledger.
    #[track_caller]
    pub fn verify(&self) {
        self.run(self.locked().verify(self.store().as_ref()));
    }

    fn locked(&self) -> MutexGuard<'_, Ledger> {
        locked(&self.ledger)
    }
}

/// Sends to the scene's store from any task.
#[derive(Clone)]
pub struct Sender {
    /// The store.
    pub store: Arc<dyn Store>,
    ledger: Arc<Mutex<Ledger>>,
}

impl Sender {
    /// Sends one message and records what came of it. If the future is dropped, the message may
    /// be stored or not.
    pub async fn send(&self, send: Outgoing) -> Result<Receipt> {
        locked(&self.ledger).begun(&send);
        let result = self.store.append(send.clone()).await;
        match &result {
            Ok(receipt) => locked(&self.ledger).acknowledged(&send, receipt),
            Err(Error::OutcomeUnknown { .. }) => {}
            Err(_) => locked(&self.ledger).refused(&send),
        }
        result
    }

    /// Records what a reader has seen.
    pub fn observe(&self, timeline: &TimelineId, entries: Vec<Entry>) {
        locked(&self.ledger).observed(timeline, entries);
    }
}

/// A panic elsewhere fails the case with its own words; this lock adds none.
fn locked(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An id no other message of the run has.
fn message_id() -> MessageId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    MessageId(u128::from(NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// A member.
pub fn member(id: &str) -> MemberId {
    MemberId::new("member", id).expect("a case uses valid ids")
}

/// A group's conversation.
pub fn group_of(id: &str) -> ConversationId {
    ConversationId::Group(GroupId::new("group", id).expect("a case uses valid ids"))
}

/// The timeline of the conversation of two members.
pub fn direct_timeline(one: &str, other: &str) -> TimelineId {
    ConversationId::direct(member(one), member(other)).into()
}

/// The timeline of a group's conversation.
pub fn group_timeline(id: &str) -> TimelineId {
    group_of(id).into()
}

/// A member's inbox.
pub fn inbox(id: &str) -> TimelineId {
    TimelineId::Inbox(member(id))
}

fn body(text: &str) -> Body {
    Body::new(text, usize::MAX).expect("a case uses valid bodies")
}

/// A message of one member to another.
pub fn direct(from: &str, to: &str, text: &str) -> Outgoing {
    Outgoing::direct(message_id(), member(from), member(to), body(text), None)
}

/// A message to everybody listed.
pub fn group<T: AsRef<[u8]>>(id: &str, to: impl IntoIterator<Item = T>, text: &str) -> Outgoing {
    let members = Members::new("members", to, usize::MAX).expect("a case uses valid members");
    let group = GroupId::new("group", id).expect("a case uses valid ids");
    Outgoing::group(message_id(), group, members, body(text), None)
}

/// The same send under an idempotency key.
pub fn keyed(key: &str, send: Outgoing) -> Outgoing {
    Outgoing { key: Some(IdempotencyKey::new(key).expect("a case uses valid keys")), ..send }
}

/// A read of a whole timeline from its start, in pages as large as the service's.
pub fn whole(timeline: &TimelineId) -> Read {
    Read {
        timeline: timeline.clone(),
        after: Seq::ZERO,
        until: Seq::MAX,
        direction: Direction::Forward,
        entries_max: crate::limits::PAGE_ENTRIES_MAX,
        bytes_max: crate::limits::PAGE_BYTES_MAX,
    }
}
