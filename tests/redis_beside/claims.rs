//! Claims: an inbox is one instance's turn at a time, for a moment, and only for who asks.

use std::time::Instant;

use redis::AsyncCommands as _;
use seqline_core::id::{Epoch, Text};
use seqline_mongo::hints::{CLAIM_TIME, Claim, Hints as _};

use super::{EPOCH, Instance, eventually, past};
use crate::support::redis::Redis;

fn texts(members: &[&str]) -> Vec<Text> {
    members.iter().map(|member| Text::from(*member)).collect()
}

async fn claim(instance: &Instance, members: &[&str]) -> Vec<Claim> {
    instance.beside.claim(EPOCH, texts(members)).await
}

/// Which of them it may add to.
async fn ours(instance: &Instance, members: &[&str]) -> Vec<bool> {
    claim(instance, members).await.into_iter().map(|claim| claim.ours).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_instance_has_another_gets_once_it_is_given_back_with_the_tail_of_then() {
    let redis = Redis::start();
    let (one, other) = (Instance::start(&redis).await, Instance::start(&redis).await);
    assert_eq!(ours(&one, &["ann", "ben"]).await, [true, true]);
    assert_eq!(ours(&other, &["ben", "cid"]).await, [false, true]);
    let elsewhere = other.beside.claim(Epoch(0x1235), texts(&["ben"])).await;
    assert!(elsewhere[0].ours, "of another epoch");
    let hint = one.hint(8);
    one.beside.put(EPOCH, vec![(Text::from("ben"), hint)]);
    one.beside.release(EPOCH, texts(&["ben"]));
    eventually(async || match claim(&other, &["ben"]).await[0] {
        Claim { ours: true, hint: found } => {
            assert_eq!(found, Some(hint), "told before it is given back");
            true
        }
        Claim { ours: false, .. } => false,
    })
    .await;
    assert_eq!(other.tail("ben").await, Some(hint), "a claim is no tail");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_of_an_instance_that_died_ends_by_itself() {
    let redis = Redis::start();
    let (one, other) = (Instance::start(&redis).await, Instance::start(&redis).await);
    let claimed = Instant::now();
    assert_eq!(ours(&one, &["ann"]).await, [true]);
    drop(one);
    let mut past = past(&redis).await;
    let keys: Vec<String> = past.keys("seqline:chat:*").await.unwrap();
    assert_eq!(keys, ["seqline:chat:0000000000001234!ann"]);
    eventually(async || ours(&other, &["ann"]).await == [true]).await;
    assert!(claimed.elapsed() >= CLAIM_TIME);
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_are_many_in_their_order_and_all_are_ours_without_redis() {
    let mut redis = Redis::start();
    let (one, other) = (Instance::start(&redis).await, Instance::start(&redis).await);
    let names: Vec<String> = (0..2_500).map(|n| format!("member {n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let third: Vec<&str> = names.iter().copied().step_by(3).collect();
    // A claim as others of a database that is shared may leave it, which does not end.
    let mut past = past(&redis).await;
    for name in &third {
        let _: () = past.set(format!("seqline:chat:0000000000001234!{name}"), "").await.unwrap();
    }
    let expected: Vec<bool> = (0..2_500).map(|n| n % 3 != 0).collect();
    assert_eq!(ours(&one, &names).await, expected);
    redis.kill();
    assert_eq!(ours(&other, &names).await, [true; 2_500]);
    other.answers(false).await;
    other.beside.release(EPOCH, texts(&names));
    assert_eq!(ours(&other, &["member 0"]).await, [true]);
}
