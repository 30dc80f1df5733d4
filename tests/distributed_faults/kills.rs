//! `kill -9` at random instants, of one of three instances or of two, while callers are spread over
//! all of them and followers read.
//!
//! `SEQLINE_KILLS` says how often (24 if it is not set), `SEQLINE_SEED` repeats the instants.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::cluster;
use super::followers::Followers;
use super::in_process::{idle, open, settle};
use crate::crash::ledger::{Attempt, Cast, Findings, Ledger};
use crate::crash::load::{self, Counters};
use crate::crash::{self, Instants, setting};
use crate::support::Server;
use crate::support::mongo::Mongo;
use crate::support::redis::Redis;

/// Kills per database: the server of the tests gets slow with many documents.
const ROUND: u64 = 12;
const INSTANCES: usize = 3;
/// Callers per instance.
const WORKERS: usize = 4;
/// Most acknowledgements between two kills.
const ACKNOWLEDGED_MAX: u64 = 60;
/// So often two die together.
const BOTH_EVERY: u64 = 4;

#[test]
fn kill_9_at_any_instant_under_load_loses_repeats_and_reorders_nothing() {
    let kills = setting("SEQLINE_KILLS", 2 * ROUND);
    let mut instants = Instants::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (mongo, redis) = (Mongo::in_memory(), Redis::start());
    let (mut done, mut acknowledged, mut seen) = (0, 0, 0);
    while done < kills {
        let database = format!("kills_{done}");
        let mut round = Round::start(&mongo, &redis, &database);
        runtime.block_on(async {
            let goal = (done + ROUND).min(kills);
            let followers = Followers::start(&[round.servers[0].grpc], &cast());
            (0..INSTANCES).for_each(|instance| round.send_through(instance));
            while done < goal {
                done += round.kill(&mut instants).await;
            }
            seen += round.end(followers, done).await;
            acknowledged += round.ledger.acknowledged();
        });
    }
    println!(
        "{done} kills, {acknowledged} acknowledged, {}, {seen} entries followed",
        Findings::default()
    );
    assert!(acknowledged > 0 && seen > 0);
}

/// Servers on one database, and the callers of each.
struct Round<'a> {
    uri: String,
    database: String,
    /// What the others know is a newcomer's first knowledge.
    redis: &'a Redis,
    /// The first is never killed, and followed.
    servers: Vec<Server>,
    callers: Vec<JoinSet<Vec<Attempt>>>,
    counters: Arc<Counters>,
    ledger: Ledger,
    next_worker: usize,
    turn: u64,
}

impl Round<'_> {
    fn start<'a>(mongo: &Mongo, redis: &'a Redis, database: &str) -> Round<'a> {
        let start = |_| cluster::start_beside(&mongo.uri(), database, redis);
        let servers = (0..INSTANCES).map(start).collect();
        Round {
            redis,
            uri: mongo.uri(),
            database: database.to_owned(),
            servers,
            callers: (0..INSTANCES).map(|_| JoinSet::new()).collect(),
            counters: Arc::new(Counters::of(cast())),
            ledger: Ledger::of(cast()),
            next_worker: 0,
            turn: 0,
        }
    }

    /// New callers for an instance.
    fn send_through(&mut self, instance: usize) {
        let workers = self.next_worker..self.next_worker + WORKERS;
        self.next_worker = workers.end;
        let address = self.servers[instance].grpc;
        self.callers[instance] = load::start_workers(address, &self.counters, workers);
    }

    /// Kills one or two instances at some instant, and starts them again: how many.
    async fn kill(&mut self, instants: &mut Instants) -> u64 {
        self.turn += 1;
        let victims: Vec<usize> = match self.turn {
            turn if turn % BOTH_EVERY == 0 => vec![1, 2],
            turn => vec![1 + turn as usize % 2],
        };
        let goal = self.counters.acknowledged() + instants.below(ACKNOWLEDGED_MAX) as usize;
        self.counters.reach(goal).await;
        tokio::time::sleep(Duration::from_micros(instants.below(10_000))).await;
        victims.iter().for_each(|victim| self.servers[*victim].kill());
        for victim in &victims {
            self.settle_callers(*victim).await;
            self.servers[*victim] = cluster::start_beside(&self.uri, &self.database, self.redis);
            self.send_through(*victim);
        }
        victims.len() as u64
    }

    /// Takes down what the callers of a dead instance have done.
    async fn settle_callers(&mut self, instance: usize) {
        while let Some(attempts) = self.callers[instance].join_next().await {
            self.ledger.record(attempts.expect("no send was refused"));
        }
    }

    /// Lets the callers end, and judges everything: how many entries were followed.
    async fn end(&mut self, followers: Followers, kills: u64) -> usize {
        self.counters.finish();
        for instance in 0..INSTANCES {
            self.settle_callers(instance).await;
        }
        settle(&open(idle(self.uri.clone(), &self.database)).await).await;
        crash::verify(&self.servers[0], &mut self.ledger, kills).await;
        followers.end(&self.ledger).await
    }
}

/// Four pairs and two groups that overlap.
fn cast() -> Cast {
    let groups = [vec![0, 1, 2, 3, 4], vec![2, 3, 4, 5, 6, 7]];
    Cast::new(&[[0, 1], [0, 2], [1, 5], [6, 7]], &groups)
}
