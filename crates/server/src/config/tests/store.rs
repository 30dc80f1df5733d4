//! Which store the settings choose, and settings of the stores that do not go together.

use std::time::Duration;

use super::{load, load_text};
use crate::config::{Config, StoreKind, WriteConcern};

/// The file that go-timeline itself has.
const GO_TIMELINE: &str = include_str!("../../../../../tests/fixtures/config/go-timeline.yaml");

#[test]
fn go_timelines_own_file_chooses_mongo_and_says_all_that_it_needs() {
    let config = load_text(GO_TIMELINE).unwrap();
    assert_eq!(config.data.store_kind(), StoreKind::Mongo);
    assert_eq!(config.warnings(), Vec::<String>::new());
    let (mongo, redis) = (&config.data.mongo, &config.data.redis);
    assert_eq!(mongo.source.0, "mongodb://127.0.0.1:27017");
    assert_eq!(mongo.chat_database, "chat");
    assert_eq!(mongo.sync_chat_collection, "chat_sync");
    assert_eq!(mongo.history_chat_collection, "chat_history");
    assert_eq!((redis.addr.as_str(), redis.db), ("127.0.0.1:6379", 1));
    assert_eq!(redis.read_timeout, Duration::from_millis(200));
    assert_eq!(mongo.write_concern, WriteConcern::Majority);
    assert_eq!(mongo.operation_timeout, Duration::from_secs(60));
    assert_eq!(mongo.hint_age_max, Duration::from_secs(600));
    assert_eq!(mongo.delete_grace, Duration::from_secs(86_400));
}

#[test]
fn a_file_as_go_timeline_ships_it_chooses_mongo_too() {
    // Without the keys that have defaults there, and with options in the URI.
    let text = "server:\n  http: {addr: 0.0.0.0:8000, timeout: 10s}\n  \
                grpc: {addr: 0.0.0.0:9000, timeout: 1s}\n\
                data:\n  mongo:\n    \
                source: mongodb://root:pw@db:27017/?readPreference=primary&ssl=false\n    \
                chat_database: im\n  \
                redis: {addr: tl_redis:6379, db: 1, password: pw, read_timeout: 0.2s}\n\
                registry:\n  etcd:\n    endpoints: [ localhost:2379 ]\n    \
                register_server_name: go-timeline\n    register_end_point: \"\"\n";
    let config = load_text(text).unwrap();
    assert_eq!(config.data.store_kind(), StoreKind::Mongo);
    assert_eq!(config.data.mongo.chat_database, "im");
    assert!(config.data.mongo.source.0.ends_with("readPreference=primary&ssl=false"));
    assert_eq!(config.registry.etcd.endpoints, ["localhost:2379"]);
    assert_eq!(config.warnings(), Vec::<String>::new());
}

#[test]
fn what_is_set_chooses_the_store_and_the_setting_overrules_it() {
    let source = "mongo: {source: 'mongodb://db'}";
    for (text, kind) in [
        ("{}".to_owned(), StoreKind::Embedded),
        ("data: {dir: elsewhere}".to_owned(), StoreKind::Embedded),
        // Redis alone keeps nothing.
        ("data: {redis: {addr: 'r:1'}}".to_owned(), StoreKind::Embedded),
        ("data: {store: embedded}".to_owned(), StoreKind::Embedded),
        (format!("data: {{{source}}}"), StoreKind::Mongo),
        (format!("data: {{store: auto, {source}}}"), StoreKind::Mongo),
        (format!("data: {{store: mongo, {source}}}"), StoreKind::Mongo),
        (format!("data: {{store: embedded, {source}}}"), StoreKind::Embedded),
        (format!("data: {{store: embedded, dir: d, {source}}}"), StoreKind::Embedded),
        (format!("data: {{store: mongo, dir: d, {source}}}"), StoreKind::Mongo),
        // The printed file names the default directory, which says nothing.
        (format!("data: {{dir: ./seqline-data, {source}}}"), StoreKind::Mongo),
    ] {
        assert_eq!(load_text(&text).unwrap().data.store_kind(), kind, "{text}");
    }
}

#[test]
fn what_the_chosen_store_does_not_use_is_named() {
    let text = "data: {store: mongo, dir: d, memory_bytes: 1GiB, idempotency_window: 1d, \
                mongo: {source: m}, redis: {addr: 'r:1'}}";
    let unused = |store: &str, keys: &str| {
        vec![format!("the {store} store does not use these settings: {keys}")]
    };
    let warnings = load_text(text).unwrap().warnings();
    assert_eq!(warnings, unused("mongo", "data.dir, data.memory_bytes"));
    let text = text.replace("store: mongo", "store: embedded");
    let warnings = load_text(&text).unwrap().warnings();
    assert_eq!(warnings, unused("embedded", "data.mongo.source, data.redis.addr"));
    assert_eq!(Config::default().warnings(), Vec::<String>::new());
}

#[test]
fn a_write_concern_that_breaks_promises_is_warned_of() {
    for concern in ["majority_memory", "primary"] {
        let text = format!("data: {{mongo: {{source: m, write_concern: {concern}}}}}");
        let warnings = load_text(&text).unwrap().warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("data.mongo.write_concern is not majority"), "{warnings:?}");
    }
    let text = "data: {mongo: {source: m, write_concern: majority}}";
    assert_eq!(load_text(text).unwrap().warnings(), Vec::<String>::new());
}

#[test]
fn a_choice_that_could_mean_either_store_or_none_is_refused() {
    let either = &["data.mongo.source and data.dir (d) are both set", "data.store"][..];
    for (text, expected) in [
        ("data: {dir: d, mongo: {source: m}}", either),
        ("data: {store: mongo}", &["data.store is mongo, and data.mongo.source does not say"]),
        (
            "data: {redis: {addr: localhost}}",
            &["allowed: HOST:PORT, redis://HOST:PORT, rediss://HOST:PORT, or nothing"],
        ),
        ("data: {store: redis}", &["allowed: auto, embedded, mongo"]),
        ("data: {mongo: {chat_database: ''}}", &["data.mongo.chat_database is empty"]),
        (
            "data: {mongo: {sync_chat_collection: x, history_chat_collection: x}}",
            &["are both \"x\"", "a collection each"],
        ),
    ] {
        let refused = load_text(text).expect_err(text);
        for part in expected {
            assert!(refused.contains(part), "{text:?}: {part:?} is not in {refused}");
        }
    }
    let flag = vec![("data.dir", "--data", "d".to_owned())];
    let variables = vec![("SEQLINE__DATA__MONGO__SOURCE".into(), "m".into())];
    let sources = crate::config::Sources { path: None, variables, flags: flag };
    let refused = Config::load(sources).unwrap_err().to_string();
    assert!(refused.contains("both set"), "{refused}");
}

#[test]
fn a_grace_within_which_a_slow_server_may_still_write_is_refused_with_the_numbers() {
    let times = |grace: &str| {
        let text = "operation_timeout: 30s, hint_age_max: 90s";
        load_text(&format!("data: {{mongo: {{{text}, delete_grace: {grace}}}}}"))
    };
    let refused = times("270s").unwrap_err();
    for part in
        ["delete_grace is 4m 30s", "operation_timeout 30s", "hint_age_max 1m 30s", "= 4m 30s"]
    {
        assert!(refused.contains(part), "{part:?} is not in {refused}");
    }
    assert!(times("271s").is_ok());
    assert!(load(None, &[("SEQLINE__DATA__MONGO__HINT_AGE_MAX", "12h")]).is_err());
}
