//! Stores that break one promise each, made of the reference store: the suite must notice.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use seqline_core::clock::{Clock, Entropy, UnixMillis};
use seqline_core::error::Result;
use seqline_core::fanout::{Digest, Outgoing};
use seqline_core::id::{ConversationId, MessageId, TimelineId};
use seqline_core::message::Message;
use seqline_core::page::{Bounds, Page, Read};
use seqline_core::seq::Seq;
use seqline_core::store::{CheckEvent, CheckSummary, Receipt, Status, Store, StoreFuture};
use seqline_core::testing::contract::{Subject, run_named};
use seqline_core::testing::memory::MemoryStore;
use seqline_core::watch::Watch;

use crate::broken_reads;
use crate::broken_sends;

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    AcksAfterClose,
    BurnsOnConflict,
    ChangesEntriesOnRestart,
    ChangesEpochOnRestart,
    CutsLargeGroups,
    DeafWatch,
    ForgetsKeysOnRestart,
    GlobalKeys,
    HidesNewest,
    HolesUnderLoad,
    IgnoresBytesMax,
    IgnoresConflicts,
    IgnoresDirection,
    IgnoresUntil,
    KeepsKeysForEver,
    LatestReserved,
    LooksAlike,
    LosesAnInbox,
    LosesNewestOnRestart,
    Miscounts,
    NeverMore,
    RacyKeys,
    ReceiptOfSender,
    ReformatsBodies,
    Repeats,
    ReversesBounds,
    StoresHalves,
    SwapsInInbox,
    TakesAfterClose,
    TimesStepBack,
    TrimForgottenOnRestart,
    TrimLowersFloor,
    TrimSilent,
    TrimTakesAll,
    TruncatesLargeBodies,
}

/// A reference store with a fault.
#[derive(Clone)]
pub struct Broken {
    pub inner: MemoryStore,
    pub fault: Fault,
    pub notes: Arc<Notes>,
    pub clock: Arc<dyn Clock>,
}

/// First answers, by scope and key.
pub type Keys = HashMap<(Option<ConversationId>, Vec<u8>), (Digest, Receipt)>;

/// What a fault remembers, also over restarts.
#[derive(Default)]
pub struct Notes {
    pub opened: AtomicU64,
    pub closed: AtomicBool,
    pub calls: AtomicU64,
    pub in_flight: AtomicU64,
    pub keys: Mutex<Keys>,
    pub times: Mutex<HashMap<MessageId, UnixMillis>>,
    pub messages: Mutex<HashMap<MessageId, Message>>,
    pub conversations: Mutex<HashMap<MessageId, ConversationId>>,
    pub trims: Mutex<HashMap<TimelineId, Seq>>,
}

impl Store for Broken {
    fn append(&self, send: Outgoing) -> StoreFuture<Receipt> {
        Box::pin(broken_sends::append(self.clone(), send))
    }

    fn read(&self, read: Read) -> StoreFuture<Page> {
        Box::pin(broken_reads::read(self.clone(), read))
    }

    fn bounds(&self, timelines: Vec<TimelineId>) -> StoreFuture<Vec<Bounds>> {
        let store = self.clone();
        Box::pin(async move {
            let real = timelines.iter().map(|id| broken_reads::real(store.fault, id)).collect();
            let mut bounds = store.inner.bounds(real).await?;
            for (timeline, bounds) in timelines.iter().zip(&mut bounds) {
                *bounds = broken_reads::shown(&store, timeline, *bounds);
            }
            if store.fault == Fault::ReversesBounds {
                bounds.reverse();
            }
            Ok(bounds)
        })
    }

    fn trim(&self, timeline: TimelineId, up_to: Seq) -> StoreFuture<Bounds> {
        let store = self.clone();
        Box::pin(async move {
            let hiding = [
                Fault::TrimTakesAll,
                Fault::TrimLowersFloor,
                Fault::TrimForgottenOnRestart,
                Fault::TrimSilent,
            ];
            if !hiding.contains(&store.fault) {
                return store.inner.trim(timeline, up_to).await;
            }
            let bounds = store.inner.bounds(vec![timeline.clone()]).await?[0];
            let floor = match store.fault {
                Fault::TrimTakesAll => up_to,
                _ => up_to.min(bounds.latest.previous()),
            };
            let mut trims = store.notes.trims.lock().unwrap();
            let before = trims.insert(timeline.clone(), floor);
            if store.fault != Fault::TrimLowersFloor {
                trims.insert(timeline.clone(), floor.max(before.unwrap_or_default()));
            }
            drop(trims);
            Ok(broken_reads::shown(&store, &timeline, bounds))
        })
    }

    fn watch(&self, timeline: &TimelineId) -> Watch {
        match self.fault {
            Fault::DeafWatch => seqline_core::watch::Watchers::new().watch(b"nothing grows here"),
            fault => self.inner.watch(&broken_reads::real(fault, timeline)),
        }
    }

    fn check(&self, report: &mut dyn FnMut(CheckEvent)) -> Result<CheckSummary> {
        let mut summary = self.inner.check(report)?;
        summary.messages += u64::from(self.fault == Fault::Miscounts);
        Ok(summary)
    }

    fn status(&self) -> Status {
        self.inner.status()
    }

    fn close(&self) -> StoreFuture<()> {
        if self.fault == Fault::TakesAfterClose {
            return Box::pin(async { Ok(()) });
        }
        self.notes.closed.store(true, Ordering::SeqCst);
        self.inner.close()
    }
}

/// Where a broken store keeps what it does keep.
struct Place {
    fault: Fault,
    last: Mutex<Option<MemoryStore>>,
    notes: Arc<Notes>,
}

impl Subject for Place {
    fn open(&self, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Arc<dyn Store> {
        let mut last = self.last.lock().unwrap();
        let inner = match last.take() {
            Some(last) => last.reopen(clock.clone()),
            None => MemoryStore::new(clock.clone(), entropy.as_ref(), self.idempotency_window()),
        };
        *last = Some(inner.clone());
        self.notes.opened.fetch_add(1, Ordering::SeqCst);
        self.notes.closed.store(false, Ordering::SeqCst);
        if self.fault == Fault::TrimForgottenOnRestart {
            self.notes.trims.lock().unwrap().clear();
        }
        Arc::new(Broken { inner, fault: self.fault, notes: self.notes.clone(), clock })
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(200)
    }
}

fn place(fault: Fault) -> Place {
    Place { fault, last: Mutex::default(), notes: Arc::default() }
}

fn words_of(work: impl FnOnce()) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(work)).err()?;
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
}

/// What the case called `name` says of a store with `fault`; `None` if it says nothing.
pub fn complaint(fault: Fault, name: &str) -> Option<String> {
    words_of(|| run_named(name, &place(fault)))
}

/// What the model says of a store with `fault`; `None` if it says nothing.
pub fn complaint_of_the_model(fault: Fault) -> Option<String> {
    words_of(|| seqline_core::testing::model::run(300, || place(fault)))
}
