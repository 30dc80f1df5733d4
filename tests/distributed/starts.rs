//! Starts that MongoDB forbids, and what they say.

use std::process::Command;

use mongodb::bson::{Document, doc};

use crate::support::mongo::Mongo;
use crate::support::process::SEQLINE;

/// What a server with this address of MongoDB says when it refuses to start.
#[track_caller]
fn refused(source: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(SEQLINE);
    command.args(["serve", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]);
    command.current_dir(dir.path()).env("SEQLINE__DATA__MONGO__SOURCE", source);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn documents_that_share_a_position_are_named_with_their_collection_and_timeline() {
    let mongo = Mongo::in_memory();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = mongodb::Client::with_uri_str(mongo.uri()).await.unwrap();
        let inboxes = client.database("im").collection::<Document>("chat_sync");
        let entries = [1_i64, 2, 2, 3].map(|seq| doc! { "id": "ann", "seq": seq });
        inboxes.insert_many(entries).await.unwrap();
    });
    let text = refused(&mongo.uri());
    for part in ["chat_sync", "\"ann\" at 2", "seqline check --mongo"] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
fn a_user_that_mongodb_refuses_is_told_at_once_and_without_the_password() {
    let mongo = Mongo::in_memory();
    let source = mongo.uri().replace("mongodb://", "mongodb://ann:hunter2@");
    let text = refused(&source);
    assert!(text.contains("refuses this server") && text.contains("user and password"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}
