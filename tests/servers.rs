//! The servers that other tests start: each does for real what those tests take for granted.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mongodb::bson::{Document, doc};
use mongodb::error::{ErrorKind, WriteFailure};
use mongodb::{Client, IndexModel};
use tokio::sync::watch;

use crate::support::etcd::Etcd;
use crate::support::mongo::Mongo;
use crate::support::redis::Redis;

/// A driver's client that gives up soon when no server is there.
async fn client(mongo: &Mongo) -> Client {
    let uri = format!("{}&serverSelectionTimeoutMS=30000", mongo.uri());
    Client::with_uri_str(uri).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_number_is_refused_with_the_code_11000() {
    let mongo = Mongo::in_memory();
    let entries = client(&mongo).await.database("t").collection::<Document>("chat_sync");
    let unique = mongodb::options::IndexOptions::builder().unique(true).build();
    let index = IndexModel::builder().keys(doc! {"id": 1, "seq": 1}).options(unique).build();
    entries.create_index(index).await.unwrap();
    entries.insert_one(doc! {"id": "a", "seq": 1_i64}).await.unwrap();
    let error = entries.insert_one(doc! {"id": "a", "seq": 1_i64}).await.unwrap_err();
    let ErrorKind::Write(WriteFailure::WriteError(error)) = *error.kind else {
        panic!("another error than that of a write: {error}");
    };
    assert_eq!(error.code, 11000);
    entries.insert_one(doc! {"id": "b", "seq": 1_i64}).await.unwrap();
    assert_eq!(entries.count_documents(doc! {}).await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_durable_mongo_acknowledged_is_there_after_a_kill() {
    let mut mongo = Mongo::durable();
    let entries = client(&mongo).await.database("t").collection::<Document>("entries");
    let mut acknowledged_before = 0;
    for life in 1..=3 {
        let (sender, mut acknowledged) = watch::channel(acknowledged_before);
        let writing = entries.clone();
        let writer = tokio::spawn(async move {
            // Until the server is killed: the driver may retry once, and then fails as well.
            for n in acknowledged_before + 1.. {
                let one = writing.insert_one(doc! {"_id": n});
                match tokio::time::timeout(Duration::from_millis(500), one).await {
                    Ok(Ok(_)) => sender.send_replace(n),
                    _ => return n,
                };
            }
            unreachable!("the server is killed before the numbers end")
        });
        acknowledged.wait_for(|n| *n >= acknowledged_before + 100).await.unwrap();
        mongo.kill();
        let unknown = writer.await.unwrap();
        mongo.restart();

        let newest = entries.find_one(doc! {}).sort(doc! {"_id": -1}).await.unwrap().unwrap();
        let newest = newest.get_i32("_id").unwrap();
        assert!((unknown - 1..=unknown).contains(&newest), "life {life}: {newest} of {unknown}");
        let count = entries.count_documents(doc! {}).await.unwrap();
        assert_eq!(count, u64::try_from(newest).unwrap(), "life {life}");
        acknowledged_before = newest;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mongo_in_memory_is_empty_after_a_kill_and_a_paused_one_answers_later() {
    let mut mongo = Mongo::in_memory();
    let address = mongo.address();
    let entries = client(&mongo).await.database("t").collection::<Document>("entries");
    entries.insert_one(doc! {"_id": 1}).await.unwrap();

    mongo.pause();
    let counting = entries.clone();
    let mut answer = tokio::spawn(async move { counting.count_documents(doc! {}).await });
    let early = tokio::time::timeout(Duration::from_millis(300), &mut answer).await;
    assert!(early.is_err(), "a paused server answered");
    mongo.resume();
    assert_eq!(answer.await.unwrap().unwrap(), 1);

    mongo.kill();
    mongo.restart();
    assert_eq!(mongo.address(), address);
    assert_eq!(entries.count_documents(doc! {}).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_pauses_goes_on_and_has_forgotten_everything_after_a_kill() {
    let mut redis = Redis::start();
    let client = redis::Client::open(redis.url()).unwrap();
    let config =
        redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_millis(300)));
    let connect = || client.get_multiplexed_async_connection_with_config(&config);
    let get = || redis::cmd("GET").arg("key").to_owned();

    let mut connection = connect().await.unwrap();
    let set = redis::cmd("SET").arg("key").arg("value").to_owned();
    set.exec_async(&mut connection).await.unwrap();
    redis.pause();
    let paused: redis::RedisResult<String> = get().query_async(&mut connection).await;
    assert!(paused.unwrap_err().is_timeout());
    redis.resume();
    let value: String = get().query_async(&mut connection).await.unwrap();
    assert_eq!(value, "value");

    redis.kill();
    assert!(connect().await.is_err(), "a killed server accepted a connection");
    redis.restart();
    let mut connection = connect().await.unwrap();
    let value: Option<String> = get().query_async(&mut connection).await.unwrap();
    assert_eq!(value, None);
}

#[test]
fn what_etcd_acknowledged_is_there_after_a_kill() {
    let mut etcd = Etcd::start();
    let key = BASE64.encode("/microservices/seqline/1");
    let put = serde_json::json!({"key": key, "value": BASE64.encode("here")});
    etcd.call("/v3/kv/put", &put);
    etcd.kill();
    etcd.restart();
    let found = etcd.call("/v3/kv/range", &serde_json::json!({"key": key}));
    assert_eq!(found["kvs"][0]["value"], BASE64.encode("here"), "{found}");
}
