//! Notices of growth: heard by the others, and made up for where they may have been missed.

use std::time::Duration;

use seqline_core::id::{MemberId, TimelineId};
use seqline_mongo::hints::Notices as _;
use seqline_mongo::redis::{Grown, Listening, Settings};
use tokio::sync::mpsc;

use super::{Instance, PATIENCE, settings, until};
use crate::support::redis::Redis;

/// An instance that writes down what it hears.
struct Listener {
    instance: Instance,
    heard: mpsc::UnboundedReceiver<Grown>,
    _listening: Listening,
}

impl Listener {
    /// Listens, and has heard that it must look at everything once.
    async fn start(settings: &Settings, database: &str) -> Listener {
        let instance = Instance::start_with(settings, database).await;
        let (hear, heard) = mpsc::unbounded_channel();
        let listening = instance.beside.listen(move |grown| hear.send(grown).unwrap());
        let mut listener = Listener { instance, heard, _listening: listening };
        listener.listens(true).await;
        assert_eq!(listener.hears().await, Grown::All);
        listener
    }

    async fn hears(&mut self) -> Grown {
        let heard = tokio::time::timeout(PATIENCE, self.heard.recv()).await;
        heard.expect("nothing was heard").unwrap()
    }

    /// Hears of this timeline, and of nothing else before.
    async fn hears_only(&mut self, timeline: &TimelineId) {
        assert_eq!(self.hears().await, Grown::Timelines(vec![timeline.clone()]));
    }

    async fn listens(&self, listens: bool) {
        until(&mut self.instance.beside.listens(), listens).await;
    }
}

fn inbox(member: &str) -> TimelineId {
    TimelineId::Inbox(MemberId::new("member", member).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_others_of_the_same_database_hear_what_has_grown() {
    let redis = Redis::start();
    let settings = settings(&redis);
    let mut one = Listener::start(&settings, "chat").await;
    let mut other = Listener::start(&settings, "chat").await;
    let mut elsewhere = Listener::start(&settings, "chat2").await;

    let many: Vec<_> = (0..20_000).map(|n| inbox(&format!("member {n}"))).collect();
    one.instance.beside.publish(many.clone());
    let mut heard = Vec::new();
    while heard.len() < many.len() {
        match other.hears().await {
            Grown::Timelines(timelines) => heard.extend(timelines),
            Grown::All => panic!("nothing was missed"),
        }
    }
    let sorted = |mut timelines: Vec<TimelineId>| {
        timelines.sort();
        timelines
    };
    assert_eq!(sorted(heard), sorted(many));

    // What each hears next shows that it heard nothing of its own, or of elsewhere, before.
    other.instance.beside.publish(vec![inbox("back")]);
    one.hears_only(&inbox("back")).await;
    let sender = Instance::start_with(&settings, "chat2").await;
    sender.beside.publish(vec![inbox("there")]);
    elsewhere.hears_only(&inbox("there")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_had_to_connect_again_looks_at_everything() {
    let mut redis = Redis::start();
    let settings = settings(&redis);
    let mut listener = Listener::start(&settings, "chat").await;
    let sender = Instance::start_with(&settings, "chat").await;
    for life in 0..3 {
        redis.kill();
        listener.listens(false).await;
        // Otherwise its first words fail, which is another test.
        sender.answers(false).await;
        redis.restart();
        listener.listens(true).await;
        assert_eq!(listener.hears().await, Grown::All);
        sender.answers(true).await;
        sender.beside.publish(vec![inbox(&format!("ann {life}"))]);
        listener.hears_only(&inbox(&format!("ann {life}"))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_redis_is_noticed_in_silence_and_made_up_for() {
    let redis = Redis::start();
    let mut listener = Listener::start(&settings(&redis), "chat").await;
    redis.pause();
    listener.listens(false).await;
    redis.resume();
    listener.listens(true).await;
    assert_eq!(listener.hears().await, Grown::All);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_instance_could_not_say_makes_the_others_look_at_everything() {
    let redis = Redis::start();
    let mut listener = Listener::start(&settings(&redis), "chat").await;
    let short = Settings { deadline: Duration::from_millis(100), ..settings(&redis) };
    let sender = Instance::start_with(&short, "chat").await;
    // Too short for the listener to notice: its connection stays.
    redis.pause();
    sender.beside.publish(vec![inbox("ann")]);
    sender.answers(false).await;
    sender.beside.publish(vec![inbox("bob")]);
    redis.resume();
    while let Grown::Timelines(timelines) = listener.hears().await {
        // Whether Redis still takes what nobody waits for any more is its own affair.
        assert_eq!(timelines, [inbox("ann")]);
    }
    assert!(*listener.instance.beside.listens().borrow());
    sender.beside.publish(vec![inbox("cid")]);
    listener.hears_only(&inbox("cid")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_can_wait_makes_the_others_look_at_everything() {
    let redis = Redis::start();
    let mut listener = Listener::start(&settings(&redis), "chat").await;
    let sender = Instance::start_with(&settings(&redis), "chat").await;
    sender.beside.publish((0..200_000).map(|n| inbox(&format!("member {n}"))).collect());
    assert_eq!(listener.hears().await, Grown::All);
}
