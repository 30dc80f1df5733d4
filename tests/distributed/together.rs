//! What one server takes, every other has: with Redis, without it, and when it is lost.

use std::sync::Arc;

use seqline_core::clock::Clock as _;
use seqline_core::id::{Epoch, MemberId, TimelineId};
use seqline_core::page::{Direction, Page, Read};
use seqline_core::seq::Seq;
use seqline_core::store::Store;
use seqline_mongo::hints::{Hint, Hints as _, Notices as _};
use seqline_mongo::redis::{Redis as Beside, Settings};
use seqline_server::config::{Config, Sources};
use seqline_server::open_store::{self, Opened};
use seqline_server::system::{SystemClock, SystemEntropy};
use tokio::runtime::Handle;

use super::{PATIENCE, send, settings, start, texts, until};
use crate::support::etcd::Certificates;
use crate::support::mongo::Mongo;
use crate::support::redis::Redis;
use crate::support::{Server, http};

#[test]
fn what_is_sent_through_one_server_is_read_through_another_in_one_order() {
    let (mongo, redis) = (Mongo::in_memory(), Redis::start());
    for redis in [None, Some(&redis)] {
        let settings = settings(&mongo, redis);
        let (a, b) = (start(&settings, &[]), start(&settings, &[]));
        let to = if redis.is_some() { "ben" } else { "cid" };
        let sent: Vec<String> = (0..20).map(|n| format!("{n}")).collect();
        for (n, text) in sent.iter().enumerate() {
            let through = if n % 2 == 0 { &a } else { &b };
            assert_eq!(send(through, "ann", to, text), (n + 1).to_string());
        }
        assert_eq!(texts(&a, to), sent);
        assert_eq!(texts(&b, to), sent);
    }
    // A third one later finds everything.
    let late = start(&settings(&mongo, None), &[]);
    assert_eq!(texts(&late, "ann").len(), 40);
}

#[test]
fn redis_that_is_down_or_lost_stops_neither_the_start_nor_sends() {
    let (mongo, mut redis) = (Mongo::in_memory(), Redis::start());
    let settings = settings(&mongo, Some(&redis));
    redis.kill();
    let server = start(&settings, &[]);
    assert_eq!(send(&server, "ann", "ben", "without"), "1");
    redis.restart();
    until(|| server.log().contains("Redis answers"));
    assert_eq!(send(&server, "ann", "ben", "with"), "2");
    redis.kill();
    assert_eq!(send(&server, "ann", "ben", "lost"), "3");
    assert_eq!(texts(&server, "ben"), ["without", "with", "lost"]);
}

#[test]
fn a_redis_that_says_too_much_leaves_no_hole_and_burns_no_number() {
    let (mongo, redis) = (Mongo::in_memory(), Redis::start());
    let settings = settings(&mongo, Some(&redis));
    let told = start(&settings, &[]);
    until(|| told.log().contains("Redis answers"));
    let opened = opened(&settings);
    let ben = TimelineId::Inbox(MemberId::new("member", "ben").unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    // What a copy of the database with the same name and epoch would tell, and one of another.
    runtime.block_on(async {
        let epoch = page(&opened.store, &ben).await.epoch;
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        let beside = Settings { deadline: PATIENCE, ..Settings::at(redis.address().to_string()) };
        let beside = Beside::start(&beside, "im.chat_sync", clock, entropy, Handle::current());
        let beside = beside.unwrap();
        beside.answers().wait_for(|answers| *answers).await.unwrap();
        let members = || vec!["ann".into(), "ben".into()];
        for (epoch, seq) in [(epoch, 1_000), (Epoch(epoch.0 ^ 1), 2_000)] {
            let lie = Hint { seq: Seq::new(seq), at: SystemClock.now() };
            beside.put(epoch, members().into_iter().map(|member| (member, lie)).collect());
            let lied = |tails: Vec<Option<Hint>>| {
                tails.iter().all(|hint| hint.is_some_and(|hint| hint.seq == Seq::new(seq)))
            };
            tokio::time::timeout(PATIENCE, async {
                while !lied(beside.tails(epoch, members()).await) {
                    tokio::task::yield_now().await;
                }
            })
            .await
            .expect("Redis has them");
        }
    });
    let cold = start(&settings, &[]);
    until(|| cold.log().contains("Redis answers"));
    let sent: Vec<String> = (1..=12).map(|n| n.to_string()).collect();
    for (n, text) in sent.iter().enumerate() {
        let through = if n % 2 == 0 { &cold } else { &told };
        assert_eq!(send(through, "ann", "ben", text), *text);
    }
    assert_eq!(texts(&told, "ben"), sent);
    assert_eq!(texts(&cold, "ann"), sent);
    assert!(super::away::metric(&told, "seqline_mongo_tails_total{why=\"hint\"}") > 0.0);
    runtime.block_on(opened.store.close()).unwrap();
}

#[test]
fn the_file_of_go_timeline_starts_a_server_on_mongodb() {
    let (mongo, redis) = (Mongo::in_memory(), Redis::start());
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/config/");
    let file = std::fs::read_to_string(format!("{folder}go-timeline.yaml")).unwrap();
    // Only the addresses are this test's; there is no etcd, and it goes without.
    let nobody = format!("127.0.0.1:{}", crate::support::daemon::free_port());
    let file = file
        .replace("127.0.0.1:27017", &mongo.address().to_string())
        .replace("127.0.0.1:6379", &redis.address().to_string())
        .replace("127.0.0.1:2379", &nobody);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.timeline.yaml");
    std::fs::write(&path, file).unwrap();
    let server = Server::start_shared(&[], &["-conf", path.to_str().unwrap()]);
    assert_eq!(send(&server, "ann", "ben", "hello"), "1");
    let log = server.log();
    assert!(log.contains("the store is open") && log.contains("database=\"chat\""), "{log}");
    assert_eq!(http::get(server.http, "/readyz").status, 200);
}

/// The store that a server with these settings would open, for whoever waits on it.
fn opened(settings: &[(&'static str, String)]) -> Opened {
    let name = |key: &str| format!("SEQLINE__{}", key.replace('.', "__").to_uppercase());
    let variables = settings.iter().map(|(key, value)| (name(key).into(), value.into())).collect();
    let sources = Sources { path: None, variables, flags: Vec::new() };
    open_store::open(&Config::load(sources).unwrap().data).unwrap()
}

async fn page(store: &Arc<dyn Store>, timeline: &TimelineId) -> Page {
    let read = Read {
        timeline: timeline.clone(),
        after: Seq::ZERO,
        until: Seq::MAX,
        direction: Direction::Forward,
        entries_max: 100,
        bytes_max: usize::MAX,
    };
    store.read(read).await.unwrap()
}

#[test]
fn who_waits_at_one_instance_is_woken_by_a_send_through_another() {
    let (mongo, redis) = (Mongo::in_memory(), Redis::start());
    for redis in [Some(&redis), None] {
        let settings = settings(&mongo, redis);
        let server = start(&settings, &[]);
        let opened = opened(&settings);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let ben = TimelineId::Inbox(MemberId::new("member", "ben").unwrap());
        runtime.block_on(async {
            let before = page(&opened.store, &ben).await.entries.len();
            let sender = std::thread::spawn(move || {
                send(&server, "ann", "ben", "wake up");
                server
            });
            let woken = async {
                loop {
                    let watch = opened.store.watch(&ben);
                    if page(&opened.store, &ben).await.entries.len() > before {
                        return;
                    }
                    watch.grown().await;
                }
            };
            tokio::time::timeout(PATIENCE, woken).await.expect("it is woken");
            drop(sender.join().unwrap());
            opened.store.close().await.unwrap();
        });
    }
}

#[test]
fn a_notice_through_redis_wakes_before_anybody_looks() {
    let (mongo, redis) = (Mongo::in_memory(), Redis::start());
    let opened = opened(&settings(&mongo, Some(&redis)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let ben = TimelineId::Inbox(MemberId::new("member", "ben").unwrap());
        // The first look wakes once, as nothing was known; later ones do not, as nothing grows.
        opened.store.watch(&ben).grown().await;
        let watch = opened.store.watch(&ben);
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        let settings = Settings { deadline: PATIENCE, ..Settings::at(redis.address().to_string()) };
        let other = Beside::start(&settings, "im.chat_sync", clock, entropy, Handle::current());
        let other = other.unwrap();
        other.answers().wait_for(|answers| *answers).await.unwrap();
        other.publish(vec![ben]);
        tokio::time::timeout(PATIENCE, watch.grown()).await.expect("it is woken");
        opened.store.close().await.unwrap();
    });
}

#[test]
fn a_user_of_redis_access_control_list_logs_in() {
    const LIST: &[&str] =
        &["--user", "ann", "on", ">open-sesame", "~*", "&*", "+@all", "--user", "default", "off"];
    let (mongo, redis) = (Mongo::in_memory(), Redis::start_with(LIST));
    let settings = settings(&mongo, Some(&redis));
    let login = |password| {
        start(&settings, &[("data.redis.username", "ann"), ("data.redis.password", password)])
    };
    let (right, wrong) = (login("open-sesame"), login("hunter2"));
    until(|| right.log().contains("Redis answers"));
    until(|| wrong.log().contains("Redis does not answer"));
    assert_eq!(send(&right, "ann", "ben", "one"), "1");
    assert_eq!(send(&wrong, "ann", "ben", "two"), "2");
    for log in [right.log(), wrong.log()] {
        assert!(!log.contains("open-sesame") && !log.contains("hunter2"), "{log}");
    }
}

#[test]
fn redis_may_speak_tls() {
    let certificates = Certificates::new();
    let (mongo, redis) = (Mongo::in_memory(), Redis::start_tls(&certificates));
    let address = format!("rediss://{}", redis.address());
    let connect = |more: &[(&str, &str)]| {
        let settings = [&[("data.redis.addr", address.as_str())], more].concat();
        start(&super::settings(&mongo, None), &settings)
    };
    // The system's authorities are those of this file.
    let trusting = connect(&[("SSL_CERT_FILE", certificates.path("ca.pem").as_str())]);
    until(|| trusting.log().contains("Redis answers"));
    let doubting = connect(&[]);
    until(|| doubting.log().contains("Redis does not answer"));
    assert_eq!(send(&doubting, "ann", "ben", "one"), "1");
    assert_eq!(send(&trusting, "ann", "ben", "two"), "2");
}
