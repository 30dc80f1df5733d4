//! Round trips before the acknowledgement, counted: every command takes ten milliseconds of
//! virtual time, so the time of a send is what stood one after the other.

use std::sync::Arc;
use std::time::Duration;

use seqline_core::fanout::Outgoing;
use seqline_core::store::Store as _;
use tokio::time::Instant;

use super::scenes::{Scene, Shared, direct, group, run};
use crate::db::simulated::{Simulated, Steady};
use crate::options::Options;
use crate::store::MongoStore;

const ONE: Duration = Duration::from_millis(10);

async fn round_trips(store: &MongoStore, send: Outgoing) -> u32 {
    let begin = Instant::now();
    store.append(send).await.expect("the store takes every send");
    let time = begin.elapsed();
    assert!(time.as_millis().is_multiple_of(ONE.as_millis()));
    (time.as_millis() / ONE.as_millis()) as u32
}

#[test]
fn a_send_takes_three_on_a_cold_instance_and_two_on_a_warm_one_whatever_its_size() {
    run(async {
        let scene = Scene::new(Simulated::new(Steady(ONE)));
        let store = scene.open(0, Options::default()).await;
        assert_eq!(round_trips(&store, direct(1, "a", "b")).await, 3);
        for id in 2..5 {
            assert_eq!(round_trips(&store, direct(id, "b", "a")).await, 2);
        }
        for size in [1, 50, 500, 1_000] {
            let everybody: Vec<String> = (0..size).map(|n| format!("{size} {n}")).collect();
            let name = format!("group of {size}");
            let id = 100 * size as u128;
            assert_eq!(round_trips(&store, group(id, &name, &everybody)).await, 3, "{name}, cold");
            assert_eq!(round_trips(&store, group(id + 1, &name, &everybody)).await, 2, "{name}");
            // A new conversation of members it knows.
            let other = format!("another {name}");
            assert_eq!(round_trips(&store, group(id + 2, &other, &everybody)).await, 3, "{other}");
        }
        // Known tails do not count for ever.
        tokio::time::advance(Options::default().hint_time).await;
        assert_eq!(round_trips(&store, direct(9, "a", "b")).await, 3);
    });
}

#[test]
fn sends_that_queue_up_share_two_round_trips() {
    run(async {
        let scene = Scene::new(Simulated::new(Steady(ONE)));
        let store = scene.open(0, Options::default()).await;
        store.append(direct(1, "a", "b")).await.unwrap();
        let begin = Instant::now();
        let sends = (2..52).map(|id| store.append(direct(id, "a", "b")));
        let receipts = futures_util::future::try_join_all(sends).await.unwrap();
        assert_eq!(begin.elapsed(), 2 * ONE);
        let seqs: Vec<u64> = receipts.iter().map(|r| r.conversation_seq.get()).collect();
        assert!(seqs.into_iter().eq(2..52), "in the order they came");
        assert!(receipts.iter().map(|r| r.receiver_seq.get()).eq(2..52));
    });
}

#[test]
fn another_instance_that_sends_next_takes_one_more_until_the_mark_is_there() {
    run(async {
        let scene = Scene::new(Simulated::new(Steady(ONE)));
        let options = Options { mark_interval: 20 * ONE, ..Options::default() };
        let one = scene.open(0, options.clone()).await;
        let other = scene.open(1, options.clone()).await;
        one.append(direct(1, "a", "b")).await.unwrap();
        // Tails; number; the entry before, which is not marked yet; its deliveries; inboxes.
        assert_eq!(round_trips(&other, direct(2, "a", "b")).await, 5);
        tokio::time::sleep(2 * options.mark_interval).await;
        let third = scene.open(2, options).await;
        assert_eq!(round_trips(&third, direct(3, "a", "b")).await, 3);
    });
}

#[test]
fn instances_that_share_hints_do_not_take_each_others_positions() {
    run(async {
        let scene = Scene::new(Simulated::new(Steady(ONE)));
        let hints = Arc::new(Shared::default());
        let one = scene.open_beside(0, Options::default(), hints.clone()).await;
        let other = scene.open_beside(1, Options::default(), hints).await;
        let members: Vec<String> = (0..50).map(|n| format!("member {n}")).collect();
        one.append(group(1, "red", &members)).await.unwrap();
        other.append(group(2, "blue", &members)).await.unwrap();
        for id in 1..5 {
            assert_eq!(round_trips(&one, group(10 * id, "red", &members)).await, 2);
            assert_eq!(round_trips(&other, group(10 * id + 1, "blue", &members)).await, 2);
        }
    });
}
