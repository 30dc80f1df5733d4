//! Redis beside the database: what it tells, and that nothing it does costs more than time.
//!
//! `tails` is about hints, `claims` about turns, `notices` about growth. Real servers; the clock
//! stands still.

mod claims;
mod notices;
mod secrets;
mod tails;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use seqline_core::clock::{ManualClock, UnixMillis};
use seqline_core::id::{Epoch, Text};
use seqline_core::seq::Seq;
use seqline_mongo::hints::{Hint, Hints as _};
use seqline_mongo::redis::{Redis as Beside, Settings};
use seqline_server::system::SystemEntropy;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::support::redis::Redis;

/// What every test waits for at most, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(30);

const EPOCH: Epoch = Epoch(0x1234);

/// One instance's side of Redis.
struct Instance {
    beside: Beside,
    clock: Arc<ManualClock>,
}

impl Instance {
    /// With a deadline that a busy machine does not miss, and connected.
    async fn start(redis: &Redis) -> Instance {
        Instance::start_with(&settings(redis), "chat").await
    }

    async fn start_with(settings: &Settings, database: &str) -> Instance {
        let instance = Instance::begin(settings, database);
        instance.answers(true).await;
        instance
    }

    /// Does not wait for Redis.
    fn begin(settings: &Settings, database: &str) -> Instance {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let clock = Arc::new(ManualClock::new(UnixMillis(now.try_into().unwrap())));
        let (entropy, runtime) = (Arc::new(SystemEntropy), Handle::current());
        let beside = Beside::start(settings, database, clock.clone(), entropy, runtime).unwrap();
        Instance { beside, clock }
    }

    /// Waits until Redis is known to answer, or not to.
    async fn answers(&self, answers: bool) {
        until(&mut self.beside.answers(), answers).await;
    }

    /// A tail as this instance knows it now.
    fn hint(&self, seq: u64) -> Hint {
        let at = seqline_core::clock::Clock::now(&*self.clock);
        Hint { seq: Seq::new(seq), at }
    }

    async fn tail(&self, member: &str) -> Option<Hint> {
        self.tails(EPOCH, &[member]).await[0]
    }

    async fn tails(&self, epoch: Epoch, members: &[&str]) -> Vec<Option<Hint>> {
        let members: Vec<Text> = members.iter().map(|m| Text::from(*m)).collect();
        let asked = members.len();
        let tails = self.beside.tails(epoch, members).await;
        assert_eq!(tails.len(), asked);
        tails
    }

    /// Puts a tail and waits until Redis has it.
    async fn put(&self, member: &str, hint: Hint) {
        self.beside.put(EPOCH, vec![(Text::from(member), hint)]);
        eventually(async || self.tail(member).await == Some(hint)).await;
    }
}

fn settings(redis: &Redis) -> Settings {
    Settings { deadline: Duration::from_secs(5), ..Settings::at(redis.address().to_string()) }
}

async fn until(state: &mut watch::Receiver<bool>, expected: bool) {
    let wait = state.wait_for(|now| *now == expected);
    let waited = tokio::time::timeout(PATIENCE, wait).await;
    waited.unwrap_or_else(|_| panic!("it never became {expected}")).unwrap();
}

/// Asks again and again until it is so: for what another process does at its own time.
async fn eventually(mut so: impl AsyncFnMut() -> bool) {
    let asked = tokio::time::timeout(PATIENCE, async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    asked.await.expect("it never became so");
}

/// A client that talks to Redis past the instances.
async fn past(redis: &Redis) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(redis.url()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}
