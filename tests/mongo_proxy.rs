//! The proxy between a driver and the MongoDB-wire server: each fault does what its name says, as
//! the official driver sees it.
//!
//! `frames` is about bytes without a server.

mod frames;

use std::collections::BTreeMap;
use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::{Client, Collection};

use crate::support::mongo::Mongo;
use crate::support::mongo_proxy::{
    Fault, MongoProxy, When, gate, not_primary, write_concern_error,
};

/// A server, a proxy before it, and one collection seen through the proxy and past it.
struct Bench {
    mongo: Mongo,
    proxy: MongoProxy,
    through: Collection<Document>,
    past: Collection<Document>,
}

impl Bench {
    async fn start() -> Bench {
        let mongo = Mongo::in_memory();
        let proxy = MongoProxy::start(mongo.address());
        let through = collection(&proxy.uri()).await;
        let past = collection(&mongo.uri()).await;
        Bench { mongo, proxy, through, past }
    }

    /// The `_id`s that are stored, in the order in which they came.
    async fn stored(&self) -> Vec<i32> {
        let mut cursor = self.past.find(doc! {}).await.unwrap();
        let mut ids = Vec::new();
        while cursor.advance().await.unwrap() {
            ids.push(cursor.current().get_i32("_id").unwrap());
        }
        ids
    }
}

async fn collection(uri: &str) -> Collection<Document> {
    Client::with_uri_str(uri).await.unwrap().database("t").collection("entries")
}

fn documents(ids: impl IntoIterator<Item = i32>) -> Vec<Document> {
    ids.into_iter().map(|id| doc! {"_id": id}).collect()
}

/// The code of a command that failed as a whole.
#[track_caller]
fn command_code(error: &Error) -> i32 {
    match &*error.kind {
        ErrorKind::Command(error) => error.code,
        other => panic!("another error than that of a command: {other:?}"),
    }
}

/// Index and code of each document that was not inserted.
#[track_caller]
fn write_errors(error: &Error) -> Vec<(usize, i32)> {
    let ErrorKind::InsertMany(error) = &*error.kind else {
        panic!("another error than that of an insert of many: {error:?}");
    };
    error.write_errors.iter().flatten().map(|e| (e.index, e.code)).collect()
}

/// Whether the outcome is unknown, because the connection ended.
#[track_caller]
fn assert_no_reply(error: &Error) {
    assert!(matches!(&*error.kind, ErrorKind::Io(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn round_trips_are_counted_by_name_and_collection() {
    let bench = Bench::start().await;
    bench.through.insert_many(documents(1..=1_000)).await.unwrap();
    let mut cursor = bench.through.find(doc! {}).batch_size(400).await.unwrap();
    let mut found = 0;
    while cursor.advance().await.unwrap() {
        found += 1;
    }
    assert_eq!(found, 1_000);
    bench.through.update_many(doc! {}, doc! {"$set": {"whole": true}}).await.unwrap();
    bench.through.delete_many(doc! {}).await.unwrap();

    let entries = |(name, collection)| (collection == "entries").then_some(name);
    let counts = bench.proxy.counts();
    let counts: BTreeMap<_, _> =
        counts.into_iter().filter_map(|(k, n)| Some((entries(k)?, n))).collect();
    let expected = [("insert", 1), ("find", 1), ("getMore", 2), ("update", 1), ("delete", 1)];
    let expected = expected.into_iter().map(|(name, n)| (name.to_owned(), n)).collect();
    assert_eq!(counts, expected);
    bench.proxy.reset_counts();
    assert_eq!(bench.proxy.count("insert", "entries"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chosen_command_is_dropped_before_or_after_it_is_executed() {
    let bench = Bench::start().await;
    let before = When::command("insert").on("entries").nth(2);
    let before = bench.proxy.rule(before, Fault::DropBefore);
    let after = When::command("insert").matching(|c| c.documents("documents").len() == 3).nth(1);
    let after = bench.proxy.rule(after, Fault::DropAfter);

    bench.through.insert_one(doc! {"_id": 1}).await.unwrap();
    assert_no_reply(&bench.through.insert_one(doc! {"_id": 2}).await.unwrap_err());
    bench.through.insert_one(doc! {"_id": 3}).await.unwrap();
    assert_no_reply(&bench.through.insert_many(documents(4..=6)).await.unwrap_err());
    bench.through.insert_many(documents(7..=9)).await.unwrap();
    assert_eq!(bench.stored().await, [1, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!((before.hits(), after.hits()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_command_is_executed_long_after_its_driver_gave_it_up() {
    let bench = Bench::start().await;
    let (late, held) = gate();
    bench.proxy.rule(When::command("insert").nth(1), Fault::Late(late));
    assert_no_reply(&bench.through.insert_one(doc! {"_id": 1}).await.unwrap_err());
    held.reached().await;
    bench.through.insert_one(doc! {"_id": 2}).await.unwrap();
    assert_eq!(bench.stored().await, [2]);
    held.release();
    held.through().await;
    assert_eq!(bench.stored().await, [2, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_held_before_it_is_executed_or_before_its_reply() {
    let bench = Bench::start().await;
    let (before, held_before) = gate();
    let (after, held_after) = gate();
    bench.proxy.rule(When::command("insert").nth(1), Fault::HoldBefore(before));
    bench.proxy.rule(When::command("insert").nth(2), Fault::HoldAfter(after));
    let insert = |id| {
        let through = bench.through.clone();
        tokio::spawn(async move { through.insert_one(doc! {"_id": id}).await })
    };

    let first = insert(1);
    held_before.reached().await;
    assert_eq!(bench.stored().await, [0; 0]);
    let second = insert(2);
    held_after.reached().await;
    assert_eq!(bench.stored().await, [2]);
    assert!(!first.is_finished() && !second.is_finished());
    held_after.release();
    second.await.unwrap().unwrap();
    held_before.release();
    first.await.unwrap().unwrap();
    assert_eq!(bench.stored().await, [2, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_command_takes_so_much_longer() {
    let bench = Bench::start().await;
    let delay = Duration::from_millis(200);
    let rule = bench.proxy.rule(When::command("insert"), Fault::DelayBefore(delay));
    let began = std::time::Instant::now();
    bench.through.insert_one(doc! {"_id": 1}).await.unwrap();
    assert!(began.elapsed() >= delay, "{:?}", began.elapsed());
    assert_eq!(rule.hits(), 1);
    bench.proxy.clear();
    bench.through.insert_one(doc! {"_id": 2}).await.unwrap();
    assert_eq!(rule.hits(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_answers_for_the_server_and_another_goes_with_its_reply() {
    let bench = Bench::start().await;
    bench.proxy.rule(When::command("insert").nth(1), Fault::Answer(not_primary()));
    bench.proxy.rule(When::command("insert").nth(2), Fault::AddToReply(write_concern_error()));

    let error = bench.through.insert_one(doc! {"_id": 1}).await.unwrap_err();
    assert_eq!(command_code(&error), 10107);
    assert_eq!(bench.stored().await, [0; 0]);
    let error = bench.through.insert_one(doc! {"_id": 2}).await.unwrap_err();
    let ErrorKind::Write(WriteFailure::WriteConcernError(error)) = *error.kind else {
        panic!("another error than that of a write concern: {error:?}");
    };
    assert_eq!(error.code, 64);
    assert_eq!(bench.stored().await, [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_in_parts_answers_as_the_whole_one_does() {
    let bench = Bench::start().await;
    bench.past.insert_many(documents([11, 13])).await.unwrap();
    let whole = Fault::Split(Duration::ZERO);
    let rule = bench.proxy.rule(When::command("insert"), whole);

    let unordered = bench.through.insert_many(documents(10..15)).ordered(false).await;
    assert_eq!(write_errors(&unordered.unwrap_err()), [(1, 11000), (3, 11000)]);
    assert_eq!(bench.stored().await, [11, 13, 10, 12, 14]);
    let ordered = bench.through.insert_many(documents(9..15).into_iter().rev()).await;
    assert_eq!(write_errors(&ordered.unwrap_err()), [(0, 11000)]);
    let ordered = bench.through.insert_many(documents([20, 21, 10, 22])).await;
    assert_eq!(write_errors(&ordered.unwrap_err()), [(2, 11000)]);
    assert_eq!(bench.stored().await, [11, 13, 10, 12, 14, 20, 21]);
    let all = bench.through.insert_many(documents(30..33)).await.unwrap();
    assert_eq!(all.inserted_ids.len(), 3);
    assert_eq!(rule.hits(), 4);
    assert_eq!(bench.proxy.count("insert", "entries"), 4, "what the driver sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn others_write_between_the_parts_of_an_insert() {
    let bench = Bench::start().await;
    let (middle, held) = gate();
    bench.proxy.rule(When::command("insert").nth(1), Fault::SplitAt(2, middle));
    let through = bench.through.clone();
    let many = tokio::spawn(async move { through.insert_many(documents([1, 2, 3, 4])).await });
    held.reached().await;
    assert_eq!(bench.stored().await, [1, 2]);
    bench.past.insert_one(doc! {"_id": 4}).await.unwrap();
    held.release();
    assert_eq!(write_errors(&many.await.unwrap().unwrap_err()), [(3, 11000)]);
    assert_eq!(bench.stored().await, [1, 2, 4, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_that_is_cut_leaves_its_first_documents() {
    let bench = Bench::start().await;
    bench.proxy.rule(When::command("insert").nth(1), Fault::Cut(2));
    assert_no_reply(&bench.through.insert_many(documents(1..=5)).await.unwrap_err());
    assert_eq!(bench.stored().await, [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parted_network_ends_what_is_under_way_and_comes_back() {
    let mut bench = Bench::start().await;
    let (after, held) = gate();
    bench.proxy.rule(When::command("insert").nth(1), Fault::HoldAfter(after));
    let through = bench.through.clone();
    let waiting = tokio::spawn(async move { through.insert_one(doc! {"_id": 1}).await });
    held.reached().await;
    bench.proxy.part_network();
    assert_no_reply(&waiting.await.unwrap().unwrap_err());
    let impatient = format!("{}&serverSelectionTimeoutMS=300", bench.proxy.uri());
    let impatient = collection(&impatient).await;
    impatient.insert_one(doc! {"_id": 2}).await.unwrap_err();
    bench.proxy.join_network();
    bench.through.insert_one(doc! {"_id": 3}).await.unwrap();
    assert_eq!(bench.stored().await, [1, 3]);

    // A server that was killed and is back is found through the same proxy.
    bench.mongo.kill();
    bench.mongo.restart();
    bench.through.find_one(doc! {}).await.unwrap();
}
