//! Several instances at once, nobody killed: callers of all of them send into the same
//! conversations, and followers on each watch numbers, order and positions live.
//!
//! `SEQLINE_TOGETHER_SECONDS` says how long (4 if it is not set).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::cluster;
use super::followers::Followers;
use crate::crash::ledger::{Cast, Findings, Ledger};
use crate::crash::load::{self, Counters};
use crate::crash::{self, setting};
use crate::support::Server;
use crate::support::mongo::Mongo;

#[test]
fn two_instances_send_into_one_conversation_and_followers_of_both_see_one_order() {
    attack(2, 4, || Cast::new(&[[0, 1]], &[]));
}

#[test]
fn callers_spread_over_three_instances_see_one_store() {
    attack(3, 4, || Cast::new(&[[0, 1], [2, 3]], &[vec![0, 1, 2, 3], vec![1, 2, 4, 5, 6]]));
}

/// Most acknowledged sends into one database: the server of the tests reads whole collections.
const SENDS_MAX: usize = 3_000;

fn attack(instances: usize, callers: usize, cast: impl Fn() -> Cast) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mongo = Mongo::in_memory();
    let end =
        std::time::Instant::now() + Duration::from_secs(setting("SEQLINE_TOGETHER_SECONDS", 4));
    let (mut acknowledged, mut seen, mut databases) = (0, 0, 0);
    while std::time::Instant::now() < end {
        databases += 1;
        let database = format!("together_{databases}");
        let servers: Vec<Server> =
            (0..instances).map(|_| cluster::start(&mongo.uri(), &database)).collect();
        let addresses: Vec<SocketAddr> = servers.iter().map(|server| server.grpc).collect();
        let (mut ledger, counters) = (Ledger::of(cast()), Arc::new(Counters::of(cast())));
        runtime.block_on(async {
            let followers = Followers::start(&addresses, &cast());
            let mut running: Vec<_> = addresses
                .iter()
                .enumerate()
                .map(|(at, address)| {
                    let workers = at * callers..(at + 1) * callers;
                    load::start_workers(*address, &counters, workers)
                })
                .collect();
            let enough = counters.reach(SENDS_MAX);
            let _ = tokio::time::timeout_at(end.into(), enough).await;
            counters.finish();
            for workers in &mut running {
                while let Some(attempts) = workers.join_next().await {
                    let attempts = attempts.expect("no send was refused");
                    assert!(attempts.iter().all(|a| a.outcome != crash::ledger::Outcome::Unknown));
                    ledger.record(attempts);
                }
            }
            crash::verify(&servers[0], &mut ledger, 0).await;
            seen += followers.end(&ledger).await;
            acknowledged += ledger.acknowledged();
        });
    }
    println!(
        "{instances} instances, {databases} databases, {acknowledged} acknowledged, {}, \
         {seen} entries followed",
        Findings::default()
    );
    assert!(acknowledged > 0 && seen > 0);
}
