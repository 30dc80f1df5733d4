//! The servers behind the store die, are paused, forget, or lie, while everything is written: sends
//! go on, or say that their outcome is unknown, and afterwards all is right.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use redis::AsyncCommands as _;
use seqline_api::timeline::v1::SyncMessageRequest;
use tokio::task::JoinSet;
use tonic::Code;

use super::cluster;
use super::followers::Followers;
use super::in_process::{idle, open, settle};
use crate::crash;
use crate::crash::ledger::{Attempt, Cast, Findings, Ledger, Outcome};
use crate::crash::load::{self, Counters};
use crate::support::Server;
use crate::support::etcd::Etcd;
use crate::support::mongo::Mongo;
use crate::support::redis::Redis;

/// Callers per instance.
const CALLERS: usize = 2;
/// What must be acknowledged between two blows.
const BETWEEN: usize = 60;

/// Three pairs and two groups that overlap.
fn cast() -> Cast {
    Cast::new(&[[0, 1], [1, 2], [3, 4]], &[vec![0, 1, 2, 3], vec![2, 3, 4, 5]])
}

/// Two servers, their callers, and followers of both.
struct Scene {
    uri: String,
    database: &'static str,
    servers: Vec<Server>,
    callers: JoinSet<Vec<Attempt>>,
    followers: Followers,
    counters: Arc<Counters>,
    next_worker: usize,
    ledger: Ledger,
}

impl Scene {
    fn start(uri: String, database: &'static str, settings: &[(&str, &str)]) -> Scene {
        let servers: Vec<Server> =
            (0..2).map(|_| cluster::start_with(&uri, database, settings)).collect();
        let addresses: Vec<SocketAddr> = servers.iter().map(|server| server.grpc).collect();
        let mut scene = Scene {
            uri,
            database,
            callers: JoinSet::new(),
            followers: Followers::start(&addresses, &cast()),
            counters: Arc::new(Counters::of(cast())),
            next_worker: 0,
            ledger: Ledger::of(cast()),
            servers,
        };
        addresses.into_iter().for_each(|address| scene.call(address));
        scene
    }

    /// New callers of a server.
    fn call(&mut self, address: SocketAddr) {
        let workers = self.next_worker..self.next_worker + CALLERS;
        self.next_worker = workers.end;
        let mut callers = load::start_workers(address, &self.counters, workers);
        self.callers.spawn(async move {
            let mut all = Vec::new();
            while let Some(attempts) = callers.join_next().await {
                all.extend(attempts.expect("no send was refused"));
            }
            all
        });
    }

    /// Waits until so many more sends were acknowledged.
    async fn go_on(&self) {
        let goal = self.counters.acknowledged() + BETWEEN;
        let reached = tokio::time::timeout(Duration::from_secs(60), self.counters.reach(goal));
        reached.await.expect("sends go on");
    }

    /// Lets the callers end, and judges everything. Says what happened to `what`.
    async fn end(mut self, what: &str) -> Ledger {
        self.counters.finish();
        while let Some(attempts) = self.callers.join_next().await {
            self.ledger.record(attempts.unwrap());
        }
        settle(&open(idle(self.uri, self.database)).await).await;
        crash::verify(&self.servers[0], &mut self.ledger, 0).await;
        let seen = self.followers.end(&self.ledger).await;
        let (acknowledged, findings) = (self.ledger.acknowledged(), self.ledger.findings());
        println!("{what}: {acknowledged} acknowledged, {findings}, {seen} entries followed");
        assert_eq!(findings, Findings::default());
        self.ledger
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.unwrap().block_on(test);
}

/// No send was refused or left in the dark.
fn all_acknowledged(ledger: &Ledger) {
    assert_eq!(ledger.acknowledged(), ledger.attempts(), "each send was acknowledged");
}

#[test]
fn a_mongo_killed_under_load_loses_nothing_and_sends_go_on_when_it_is_back() {
    run(async {
        let mut mongo = Mongo::durable();
        let scene = Scene::start(mongo.uri(), "outages", &[]);
        for _ in 0..3 {
            scene.go_on().await;
            mongo.kill();
            mongo.restart();
        }
        scene.go_on().await;
        // Longer than a restart takes, and shorter than an operation may.
        mongo.pause();
        tokio::time::sleep(Duration::from_secs(1)).await;
        mongo.resume();
        scene.go_on().await;
        all_acknowledged(&scene.end("3 kills and a pause of MongoDB").await);
    });
}

/// What happens to MongoDB for longer than an operation may take.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outage {
    None,
    Killed,
    /// Afterwards it does what was asked of it meanwhile, though nobody waits any more.
    Paused,
}

#[test]
fn sends_while_mongo_is_away_say_so_in_time_and_are_whole_or_absent_after() {
    const SENDS: usize = 10;
    run(async {
        let mut mongo = Mongo::durable();
        let server =
            cluster::start_with(&mongo.uri(), "short", &[("data.mongo.operation_timeout", "1s")]);
        let (counters, mut ledger) = (Counters::of(cast()), Ledger::of(cast()));
        let mut failures = Vec::new();
        let outages = [Outage::None, Outage::Killed, Outage::Paused, Outage::Paused];
        for (round, outage) in outages.into_iter().chain([Outage::None]).enumerate() {
            match outage {
                Outage::None => {}
                Outage::Killed => mongo.kill(),
                Outage::Paused => mongo.pause(),
            }
            let mut sends = JoinSet::new();
            for caller in 0..SENDS {
                let attempt = counters.plan(round * SENDS + caller);
                let mut client = load::connect(server.grpc).await.unwrap();
                sends.spawn(async move { (load::send(&mut client, &attempt).await, attempt) });
            }
            for (answer, mut attempt) in sends.join_all().await {
                match answer {
                    Ok(place) => attempt.outcome = Outcome::Acknowledged(place),
                    Err(status) => failures.push(status.code()),
                }
                let unknown = attempt.outcome == Outcome::Unknown;
                assert_eq!(unknown, outage != Outage::None, "{outage:?}: {attempt:?}");
                ledger.record(vec![attempt]);
            }
            match outage {
                Outage::None => continue,
                Outage::Killed => mongo.restart(),
                Outage::Paused => mongo.resume(),
            }
            reconnected(&server).await;
        }
        settle(&open(idle(mongo.uri(), "short")).await).await;
        crash::verify(&server, &mut ledger, 0).await;
        let known = |code: &Code| matches!(code, Code::Unavailable | Code::Internal);
        assert_eq!(failures.len(), 3 * SENDS);
        assert!(failures.iter().all(known), "{failures:?}");
        let (acknowledged, findings) = (ledger.acknowledged(), ledger.findings());
        println!("3 outages longer than an operation: {acknowledged} acknowledged, {findings}");
        assert_eq!(findings, Findings::default());
    });
}

/// Waits until the server reaches MongoDB again: its driver looks twice a second.
async fn reconnected(server: &Server) {
    let mut client = load::connect(server.grpc).await.unwrap();
    let nobody = SyncMessageRequest { member: "nobody".to_owned(), last_read: 0, count: 0 };
    let again = async { while client.get_sync_message(nobody.clone()).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(60), again).await.expect("it reaches MongoDB again");
}

#[test]
fn a_redis_that_dies_hangs_forgets_or_lies_low_costs_time_and_nothing_else() {
    run(async {
        let mongo = Mongo::in_memory();
        let mut redis = Redis::start();
        let address = redis.address().to_string();
        let beside = [("data.redis.addr", &address[..])];
        let mut scene = Scene::start(mongo.uri(), "redis", &beside);
        scene.go_on().await;
        // What is true now will be old and low later.
        let old = hints(&redis).await;
        assert!(!old.is_empty(), "hints were written");
        scene.go_on().await;
        redis.kill();
        scene.go_on().await;
        redis.restart();
        scene.go_on().await;
        redis.pause();
        scene.go_on().await;
        redis.resume();
        scene.go_on().await;
        let mut past = past(&redis).await;
        let _: () = redis::cmd("FLUSHALL").query_async(&mut past).await.unwrap();
        scene.go_on().await;
        for _ in 0..3 {
            // An instance that knows nothing but what Redis says, while the others go on.
            for (key, value) in &old {
                let _: () = past.set(key, value).await.unwrap();
            }
            let server = cluster::start_with(&scene.uri, scene.database, &beside);
            scene.call(server.grpc);
            scene.servers.push(server);
            scene.go_on().await;
        }
        all_acknowledged(&scene.end("a Redis killed, paused, emptied and lying low").await);
    });
}

async fn past(redis: &Redis) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(redis.url()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

/// All tails that Redis has.
async fn hints(redis: &Redis) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut past = past(redis).await;
    let keys: Vec<Vec<u8>> = past.keys("seqline:*").await.unwrap();
    let mut hints = Vec::new();
    for key in keys {
        let value: Option<Vec<u8>> = past.get(&key).await.unwrap();
        hints.extend(value.map(|value| (key, value)));
    }
    hints
}

#[test]
fn an_etcd_that_dies_and_is_back_is_not_noticed_by_any_send() {
    run(async {
        let mongo = Mongo::in_memory();
        let mut etcd = Etcd::start();
        let endpoint = etcd.endpoint();
        let registered = [("registry.etcd.endpoints", &endpoint[..])];
        let scene = Scene::start(mongo.uri(), "etcd", &registered);
        scene.go_on().await;
        etcd.kill();
        scene.go_on().await;
        etcd.restart();
        scene.go_on().await;
        etcd.pause();
        scene.go_on().await;
        etcd.resume();
        scene.go_on().await;
        all_acknowledged(&scene.end("an etcd killed and paused").await);
    });
}
