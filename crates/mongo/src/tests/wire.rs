//! The driver on a real MongoDB, or whatever speaks its wire protocol: all that the suite of the
//! whole program does in part.
//!
//! `SEQLINE_MONGO_URI=mongodb://… cargo test -p seqline-mongo wire -- --ignored` makes databases
//! called `seqline_test_…` there and leaves them.

use std::sync::atomic::{AtomicUsize, Ordering};

use mongodb::bson::{Document, doc};
use seqline_core::testing::contract;

use crate::db::driver::MongoDb;
use crate::db::{Db as _, IndexError};
use crate::options::Options;
use crate::testing::Instances;

/// A new database of the MongoDB at `SEQLINE_MONGO_URI`.
fn database() -> Options {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let uri = std::env::var("SEQLINE_MONGO_URI").expect("the address of a MongoDB");
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let database = format!("seqline_test_{}_{number}", std::process::id());
    Options { uri, database, ..Options::default() }
}

fn instances(count: usize) -> Instances {
    Instances::on(database(), count)
}

#[test]
#[ignore = "needs a MongoDB at SEQLINE_MONGO_URI"]
fn one_instance_keeps_every_promise() {
    contract::run(|| instances(1));
}

#[test]
#[ignore = "needs a MongoDB at SEQLINE_MONGO_URI"]
fn three_instances_keep_every_promise() {
    contract::run(|| instances(3));
}

#[tokio::test]
#[ignore = "needs a MongoDB at SEQLINE_MONGO_URI"]
async fn documents_that_share_a_position_are_named() {
    let options = database();
    let client = mongodb::Client::with_uri_str(&options.uri).await.unwrap();
    let collection = client.database(&options.database).collection::<Document>(&options.inboxes);
    for seq in [1_i64, 2, 2, 3] {
        collection.insert_one(doc! { "id": "ann", "seq": seq }).await.unwrap();
    }
    let refused = MongoDb::connect(&options).await.unwrap().prepare().await;
    let Err(IndexError::Duplicates(text)) = refused else {
        panic!("duplicates forbid the index, but: {refused:?}");
    };
    assert!(text.contains("chat_sync") && text.contains("\"ann\" at 2"), "{text}");
}
