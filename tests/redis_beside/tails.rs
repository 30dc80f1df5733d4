//! Hints of tails: found, dated, named, and harmless whatever becomes of Redis.

use std::time::{Duration, Instant};

use redis::AsyncCommands as _;
use seqline_core::id::{Epoch, Text};
use seqline_mongo::hints::Hints as _;
use seqline_mongo::redis::Settings;

use super::{EPOCH, Instance, eventually, past, settings};
use crate::support::redis::Redis;

const ANN_KEY: &str = "seqline:chat:0000000000001234:ann";

#[tokio::test(flavor = "multi_thread")]
async fn what_one_instance_knows_another_finds_by_database_and_epoch() {
    let redis = Redis::start();
    let (one, other) = (Instance::start(&redis).await, Instance::start(&redis).await);
    let (ann, bob) = (one.hint(41), one.hint(0));
    one.put("ann", ann).await;
    one.put("bob", bob).await;
    let found = other.tails(EPOCH, &["bob", "nobody", "ann", "bob"]).await;
    assert_eq!(found, [Some(bob), None, Some(ann), Some(bob)]);

    assert_eq!(other.tails(Epoch(0x1235), &["ann"]).await, [None]);
    let elsewhere = Instance::start_with(&settings(&redis), "chat2").await;
    assert_eq!(elsewhere.tail("ann").await, None);

    let mut past = past(&redis).await;
    let life: u64 = past.pttl(ANN_KEY).await.unwrap();
    let most = u64::try_from(Settings::HINT_AGE_MAX.as_millis()).unwrap();
    assert!((most - 60_000..=most).contains(&life), "{life} ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_group_is_asked_for_in_its_order() {
    let redis = Redis::start();
    let one = Instance::start(&redis).await;
    let names: Vec<String> = (0..2_500).map(|n| format!("member {n}")).collect();
    let known = (0..2_500).filter(|n| n % 3 != 0);
    let tails = known.map(|n| (Text::from(names[n].clone()), one.hint(n as u64))).collect();
    one.beside.put(EPOCH, tails);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let expected: Vec<_> = (0..2_500).map(|n| (n % 3 != 0).then(|| one.hint(n as u64))).collect();
    eventually(async || one.tails(EPOCH, &names).await == expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hint_is_too_old_after_its_time_by_the_clock_and_gone_from_redis() {
    let redis = Redis::start();
    let age_max = Duration::from_secs(2);
    let short = Settings { hint_age_max: age_max, ..settings(&redis) };
    let one = Instance::start_with(&short, "chat").await;
    let keeps = Instance::start(&redis).await;
    let hint = one.hint(7);
    // The clock stands still, so the hint does not age for this instance, but it does for Redis.
    one.put("ann", hint).await;
    let mut past = past(&redis).await;
    eventually(async || !past.exists::<_, bool>(ANN_KEY).await.unwrap()).await;
    assert_eq!(one.tail("ann").await, None);

    keeps.put("ann", hint).await;
    one.clock.advance(1_999);
    assert_eq!(one.tail("ann").await, Some(hint));
    one.clock.advance(1);
    assert_eq!(one.tail("ann").await, None, "too old, although Redis has it for minutes");
    assert_eq!(keeps.tail("ann").await, Some(hint));
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_lie_are_no_hints_and_an_old_one_is_only_too_low() {
    let redis = Redis::start();
    let one = Instance::start(&redis).await;
    let mut past = past(&redis).await;
    let low = one.hint(10);
    one.put("ann", low).await;
    one.put("bob", one.hint(3)).await;
    let old: String = past.get(ANN_KEY).await.unwrap();
    let high = one.hint(20);
    one.put("ann", high).await;
    let good: String = past.get(ANN_KEY).await.unwrap();

    let raised = good.replacen("20", "21", 1);
    let of_bob: String = past.get("seqline:chat:0000000000001234:bob").await.unwrap();
    let cut = &good[..good.len() - 1];
    let lies = ["", "garbage", "21", "9223372036854775807", &raised, &of_bob, cut, "\u{0}\u{0}"];
    for lie in lies {
        let _: () = past.set(ANN_KEY, lie).await.unwrap();
        let found = one.tails(EPOCH, &["ann", "bob"]).await;
        assert_eq!((found[0], found[1].is_some()), (None, true), "{lie:?}");
    }
    let _: () = past.del(ANN_KEY).await.unwrap();
    let _: () = past.rpush(ANN_KEY, "a list").await.unwrap();
    assert_eq!(one.tail("ann").await, None);
    let _: () = past.del(ANN_KEY).await.unwrap();
    let _: () = past.set(ANN_KEY, &old).await.unwrap();
    assert_eq!(one.tail("ann").await, Some(low), "true once, and dated");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_redis_knows_nothing_until_it_is_told_again() {
    let redis = Redis::start();
    let one = Instance::start(&redis).await;
    one.put("ann", one.hint(1)).await;
    let mut past = past(&redis).await;
    let _: () = redis::cmd("FLUSHALL").query_async(&mut past).await.unwrap();
    assert_eq!(one.tail("ann").await, None);
    one.put("ann", one.hint(2)).await;
    assert!(*one.beside.answers().borrow());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_redis_costs_nothing_and_is_used_again_when_it_is_back() {
    let mut redis = Redis::start();
    let one = Instance::start(&redis).await;
    one.put("ann", one.hint(1)).await;
    redis.kill();
    assert_eq!(one.tail("ann").await, None);
    one.answers(false).await;
    costs_nothing(&one).await;
    redis.restart();
    one.answers(true).await;
    assert_eq!(one.tail("ann").await, None, "it has forgotten everything");
    one.put("ann", one.hint(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_was_never_there_costs_nothing() {
    let mut redis = Redis::start();
    redis.kill();
    let one = Instance::begin(&settings(&redis), "chat");
    costs_nothing(&one).await;
    redis.restart();
    one.answers(true).await;
    one.put("ann", one.hint(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_redis_costs_one_deadline_and_then_nothing() {
    let redis = Redis::start();
    let deadline = Duration::from_millis(300);
    let short = Settings { deadline, ..settings(&redis) };
    let one = Instance::start_with(&short, "chat").await;
    redis.pause();
    // Those under way at the same time wait together.
    let began = Instant::now();
    let calls = (0..50).map(|_| one.tail("ann"));
    let found = futures_util::future::join_all(calls).await;
    assert!(found.iter().all(Option::is_none));
    assert!(began.elapsed() < 3 * deadline, "{:?}", began.elapsed());
    one.answers(false).await;
    costs_nothing(&one).await;
    // Nor later: it accepts connections all the time.
    let mut answers = one.beside.answers();
    let again = tokio::time::timeout(4 * deadline, answers.changed()).await;
    assert!(again.is_err(), "a paused Redis was taken for one that answers");
    costs_nothing(&one).await;
    redis.resume();
    one.answers(true).await;
    one.put("ann", one.hint(2)).await;
}

/// Many calls take far less than one deadline together.
async fn costs_nothing(instance: &Instance) {
    let began = Instant::now();
    for n in 0..1_000 {
        instance.beside.put(EPOCH, vec![(Text::from("ann"), instance.hint(n))]);
        assert_eq!(instance.tail("ann").await, None);
    }
    // One of them waiting for a deadline, in any of these tests, would take as long.
    assert!(began.elapsed() < Duration::from_millis(250), "{:?}", began.elapsed());
}
