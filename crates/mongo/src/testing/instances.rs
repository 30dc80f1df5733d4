//! The store as a subject of the contract suite: one instance, or several that share the calls.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use seqline_core::clock::{Clock, Entropy};
use seqline_core::error::Result;
use seqline_core::fanout::Outgoing;
use seqline_core::id::TimelineId;
use seqline_core::page::{Bounds, Page, Read};
use seqline_core::seq::Seq;
use seqline_core::store::{CheckEvent, CheckSummary, Receipt, Status, Store, StoreFuture};
use seqline_core::testing::contract::Subject;
use seqline_core::watch::Watch;
use tokio::runtime::Handle;

use super::line::Line;
use super::party::{self, Party};
use crate::db::Db;
use crate::db::driver::MongoDb;
use crate::db::simulated::{Calm, Simulated};
use crate::options::Options;
use crate::store::MongoStore;

/// Where the database is.
enum Place {
    Memory(Simulated),
    Wire(Box<Options>),
}

impl Place {
    fn connect(&self) -> Arc<dyn Db> {
        match self {
            Place::Memory(db) => Arc::new(db.clone()),
            Place::Wire(options) => {
                let db = Handle::current().block_on(MongoDb::connect(options));
                Arc::new(db.expect("a good address"))
            }
        }
    }
}

/// A database, and as many instances on it as each open makes.
pub struct Instances {
    db: Place,
    count: usize,
    lines: Mutex<Vec<Arc<Line>>>,
}

impl Instances {
    /// On a simulated database, without trouble.
    pub fn simulated(count: usize) -> Instances {
        Instances { db: Place::Memory(Simulated::new(Calm)), count, lines: Mutex::default() }
    }

    /// On a database that speaks MongoDB's protocol; it must be empty.
    pub fn on(options: Options, count: usize) -> Instances {
        Instances { db: Place::Wire(Box::new(options)), count, lines: Mutex::default() }
    }
}

impl Subject for Instances {
    fn open(&self, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Arc<dyn Store> {
        let party = Arc::new(Party::default());
        let mut stores = Vec::new();
        let db = self.db.connect();
        for _ in 0..self.count {
            let line = Arc::new(Line::new(Arc::clone(&db)));
            self.lines.lock().unwrap().push(Arc::clone(&line));
            let ports = party::ports(clock.clone(), entropy.clone(), party.clone());
            let store = Handle::current().block_on(party::open(line, ports));
            party.join(&store);
            stores.push(store);
        }
        Arc::new(Spread { stores, turn: AtomicUsize::new(0) })
    }

    fn crash(&self, store: Arc<dyn Store>) {
        let lines = std::mem::take(&mut *self.lines.lock().unwrap());
        lines.iter().for_each(|line| line.cut());
        drop(store);
        for line in lines {
            Handle::current().block_on(line.idle());
        }
    }
}

/// Spreads calls over instances, one after the other.
struct Spread {
    stores: Vec<Arc<MongoStore>>,
    turn: AtomicUsize,
}

impl Spread {
    fn next(&self) -> &MongoStore {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        &self.stores[turn % self.stores.len()]
    }
}

impl Store for Spread {
    fn append(&self, send: Outgoing) -> StoreFuture<Receipt> {
        self.next().append(send)
    }

    fn read(&self, read: Read) -> StoreFuture<Page> {
        self.next().read(read)
    }

    fn bounds(&self, timelines: Vec<TimelineId>) -> StoreFuture<Vec<Bounds>> {
        self.next().bounds(timelines)
    }

    fn trim(&self, timeline: TimelineId, up_to: Seq) -> StoreFuture<Bounds> {
        self.next().trim(timeline, up_to)
    }

    fn watch(&self, timeline: &TimelineId) -> Watch {
        self.next().watch(timeline)
    }

    fn check(&self, report: &mut dyn FnMut(CheckEvent)) -> Result<CheckSummary> {
        self.next().check(report)
    }

    fn status(&self) -> Status {
        let refused = self.stores.iter().map(|store| store.status());
        refused.max_by_key(|status| status.refuses_sends.is_some()).expect("an instance")
    }

    fn close(&self) -> StoreFuture<()> {
        let closes: Vec<_> = self.stores.iter().map(|store| store.close()).collect();
        Box::pin(async move { futures_util::future::try_join_all(closes).await.map(|_| ()) })
    }
}
