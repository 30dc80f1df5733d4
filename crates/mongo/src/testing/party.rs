//! Instances for tests: stores on one simulated database, and what joins them.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use seqline_core::clock::{Clock, Entropy};
use seqline_core::id::TimelineId;

use crate::db::Db;
use crate::hints::{Hints, Nothing, Notices};
use crate::options::Options;
use crate::shared::Ports;
use crate::store::MongoStore;
use crate::uptime::SystemUptime;

/// Tells all instances that are open what has grown, at once.
#[derive(Default)]
pub struct Party(Mutex<Vec<Weak<MongoStore>>>);

impl Party {
    pub fn join(&self, store: &Arc<MongoStore>) {
        self.0.lock().unwrap().push(Arc::downgrade(store));
    }
}

impl Notices for Party {
    fn publish(&self, timelines: Vec<TimelineId>) {
        self.0.lock().unwrap().retain(|store| store.strong_count() > 0);
        for store in self.0.lock().unwrap().iter().filter_map(Weak::upgrade) {
            timelines.iter().for_each(|timeline| store.grown(timeline));
        }
    }
}

/// Ports of an instance without hints.
pub fn ports(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>, notices: Arc<dyn Notices>) -> Ports {
    let hints: Arc<dyn Hints> = Arc::new(Nothing);
    Ports { clock, entropy, uptime: Arc::new(SystemUptime), hints, notices }
}

/// Settings for tests in real time.
pub fn quick() -> Options {
    Options {
        mark_interval: Duration::from_millis(5),
        care_interval: Duration::from_millis(100),
        ..Options::default()
    }
}

/// Opens an instance, and finishes what others left.
pub async fn open(db: Arc<dyn Db>, ports: Ports) -> Arc<MongoStore> {
    let store = MongoStore::open(db, quick(), ports).await.expect("it can be opened");
    while store.resume(Duration::ZERO).await.expect("what was left can be finished") > 0 {}
    Arc::new(store)
}
