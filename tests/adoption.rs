//! Databases that go-timeline wrote, on a server that speaks MongoDB's wire protocol: the real
//! program verifies them, says how to mend them, and copies them.

use std::io::Write as _;
use std::process::{Command, Stdio};

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::{Client, Database};
use serde_json::{Value, json};

use crate::support::Server;
use crate::support::command::{Ran, seqline};
use crate::support::http::{get, post_json};
use crate::support::mongo::Mongo;
use crate::support::redis::Redis;

/// An entry as go-timeline stores it: the order of names is that of a Go map, which is none.
fn entry(id: &str, seq: i64, message: Document) -> Document {
    doc! { "_id": ObjectId::new(), "id": id, "seq": seq, "message": message }
}

fn text(text: &str) -> Document {
    doc! { "text": text, "n": 1.0 }
}

async fn database(mongo: &Mongo) -> Database {
    Client::with_uri_str(mongo.uri()).await.unwrap().database("im")
}

async fn put(database: &Database, collection: &str, documents: Vec<Document>) {
    let collection = database.collection::<Document>(collection);
    collection.insert_many(documents).await.unwrap();
}

/// A chat with everything that go-timeline leaves behind: a burnt number, an empty message, a send
/// that ended half-way, types of other programs. Without any index, as it makes none.
pub async fn chat(mongo: &Mongo) -> Database {
    let database = database(mongo).await;
    let empty = doc! { "_id": ObjectId::new(), "id": "ann", "seq": 2_i64 };
    let other = doc! { "_id": ObjectId::new(), "id": "ann", "seq": 5, "message": "by a script" };
    let nested = doc! { "at": DateTime::from_millis(0), "list": [{ "b": 1, "a": 2_i64 }] };
    let inboxes = vec![
        entry("ann", 1, text("hello <ben>")),
        empty,
        entry("ann", 4, nested),
        other,
        entry("ben", 1, text("hello <ben>")),
    ];
    put(&database, "chat_sync", inboxes).await;
    let history = vec![
        entry("seq:ann:ben", 1, text("hello <ben>")),
        entry("seq:group:room", 2, text("to the room")),
        entry("seq:group:room", 3, text("only here")),
    ];
    put(&database, "chat_history", history).await;
    database
}

fn run(command: &[&str], mongo: &Mongo, rest: &[&str]) -> Ran {
    let uri = mongo.uri();
    let args = command.iter().copied().chain([uri.as_str()]).chain(rest.iter().copied());
    seqline(&args.collect::<Vec<_>>())
}

fn check(mongo: &Mongo, rest: &[&str]) -> Ran {
    run(&["check", "--mongo"], mongo, rest)
}

/// What a page has: seqs and messages.
fn entries(page: &Value) -> Vec<(String, String)> {
    let entries = page["entrySet"].as_array().unwrap_or_else(|| panic!("{page}")).iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    entries.map(|entry| (text(&entry["sequence"]), text(&entry["message"]))).collect()
}

fn numbered(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(seq, text)| ((*seq).to_owned(), (*text).to_owned())).collect()
}

/// The chat as every client sees it, whoever serves it.
#[track_caller]
fn holds_the_chat(server: &Server) {
    let hello = r#"{"n":1,"text":"hello \u003cben\u003e"}"#;
    let nested = r#"{"at":"1970-01-01T00:00:00Z","list":[{"a":2,"b":1}]}"#;
    for (path, expected) in [
        (
            "sync?member=ann",
            numbered(&[("1", hello), ("2", "{}"), ("4", nested), ("5", r#""by a script""#)]),
        ),
        // A cursor on the burnt number.
        ("sync?member=ann&last_read=3&count=1", numbered(&[("4", nested)])),
        ("sync?member=ben", numbered(&[("1", hello)])),
        ("history/single/ben/ann", numbered(&[("1", hello)])),
        (
            "history/group/room",
            numbered(&[
                ("2", r#"{"n":1,"text":"to the room"}"#),
                ("3", r#"{"n":1,"text":"only here"}"#),
            ]),
        ),
    ] {
        let page = get(server.http, &format!("/timeline/{path}")).json();
        assert_eq!(entries(&page), expected, "{path}");
    }
    let ann = get(server.http, "/timeline/sync?member=ann").json();
    assert_eq!((&ann["latestSeq"], &ann["entrySetLastSeq"]), (&json!("5"), &json!("5")));
    // What comes next stands behind it.
    let message = json!({ "from": "ann", "to": "ben", "message": "{\"new\": 1}" });
    let sent = post_json(server.http, "/timeline/send", &message);
    assert_eq!(sent.json()["sequence"], "2");
    let page = get(server.http, "/timeline/sync?member=ann&lastRead=5").json();
    assert_eq!(entries(&page), numbered(&[("6", "{\"new\": 1}")]));
    let page = get(server.http, "/timeline/history/single/ann/ben?last_read=1").json();
    assert_eq!(entries(&page), numbered(&[("2", "{\"new\": 1}")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_go_timelines_is_copied_number_by_number_and_goes_on() {
    let mongo = Mongo::in_memory();
    let database = chat(&mongo).await;
    let checked = check(&mongo, &[]).ok();
    assert!(checked.stdout.contains("hole: chat_sync \"ann\" at 3: "), "{}", checked.stdout);
    let counts = "4 timelines, 5 inbox entries, 3 messages, 0 problems";
    assert!(checked.stdout.contains(counts), "{}", checked.stdout);
    let lines = check(&mongo, &["--json"]).ok().json_lines();
    assert_eq!(lines[0]["kind"], "hole");
    assert_eq!(lines.last().unwrap()["found"]["hole"], 2);

    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let dir = data.to_str().unwrap();
    let import = |rest: &[&str]| {
        run(&["import", "--from-mongo"], &mongo, &[&["--data", dir], rest].concat())
    };
    // What nobody can read is not left out silently.
    put(&database, "chat_history", vec![entry("seq:a:b:c", 1, text("whose?"))]).await;
    let refused = import(&[]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("--leave-out-unassigned"), "{refused:?}");
    assert!(!data.exists(), "nothing was begun");

    let copied = import(&["--leave-out-unassigned", "--json"]).ok();
    let copied = copied.json_lines().pop().unwrap();
    let counts = (&copied["timelines"], &copied["inboxEntries"], &copied["messages"]);
    assert_eq!(counts, (&json!(4), &json!(5), &json!(3)));
    let sound = seqline(&["check", dir]).ok();
    assert!(sound.stdout.contains("5 inbox entries, 3 messages, 0 problems"), "{sound:?}");
    let again = import(&["--leave-out-unassigned"]);
    assert_eq!(again.code, 3, "{again:?}");
    assert!(again.stderr.contains("not empty"), "{again:?}");

    let mut server = Server::start_on(&data, &[] as &[&str]);
    holds_the_chat(&server);
    assert!(server.stop().success());
    seqline(&["check", dir]).ok();
    let names = database.list_collection_names().await.unwrap();
    assert!(names.iter().all(|name| name.starts_with("chat_")), "{names:?}");
    let indexes = database.collection::<Document>("chat_sync").list_index_names().await.unwrap();
    assert!(indexes.len() <= 1, "nothing was made in the database: {indexes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_takes_a_database_of_go_timelines_over_as_it_stands() {
    let mongo = Mongo::in_memory();
    chat(&mongo).await;
    let uri = mongo.uri();
    let mut server = Server::start_shared(&[("data.mongo.source", uri.as_str())], &[]);
    holds_the_chat(&server);
    // In use, and verified all the same.
    let checked = check(&mongo, &[]).ok();
    let counts = "4 timelines, 7 inbox entries, 4 messages, 0 problems";
    assert!(checked.stdout.contains(counts), "{}", checked.stdout);
    assert!(server.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_are_named_with_what_mends_them() {
    let mongo = Mongo::in_memory();
    let database = database(&mongo).await;
    let (first, second) = (entry("ann", 1, text("one")), entry("ann", 1, text("other")));
    let younger = second.get_object_id("_id").unwrap();
    put(&database, "chat_sync", vec![second, first, entry("ann", 2, text("two"))]).await;
    let refused = check(&mongo, &[]);
    assert_eq!(refused.code, 1, "{refused:?}");
    let mend = format!(
        "  db.getCollection(\"chat_sync\").updateOne({{_id: ObjectId(\"{}\")}}, {{$set: {{seq: \
         NumberLong(\"3\")}}}})",
        younger.to_hex()
    );
    assert!(refused.stdout.contains(&mend), "{}", refused.stdout);
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let import = ["--data", data.to_str().unwrap()];
    let import = || run(&["import", "--from-mongo"], &mongo, &import);
    assert_eq!(import().code, 1);

    let set = doc! { "$set": { "seq": Bson::Int64(3) } };
    let entries = database.collection::<Document>("chat_sync");
    entries.update_one(doc! { "_id": younger }, set).await.unwrap();
    check(&mongo, &[]).ok();
    import().ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn go_timelines_counters_are_raised_to_what_stands_in_the_database() {
    let mongo = Mongo::in_memory();
    let database = database(&mongo).await;
    // A member called like the conversation shares its counter.
    let inboxes = vec![entry("ann", 7, text("x")), entry("seq:ann:ben", 2, text("x"))];
    put(&database, "chat_sync", inboxes).await;
    put(&database, "chat_history", vec![entry("seq:ann:ben", 5, text("x"))]).await;
    let redis = Redis::start();
    redis_cli(&redis, &["SET", "ann", "9"], "");
    // As the guide on the way back has it.
    let commands = check(&mongo, &["--redis-counters"]).ok().stdout;
    let piped = redis_cli(&redis, &["-n", "0", "--pipe"], &commands);
    assert!(piped.contains("errors: 0"), "{piped}");
    for (counter, value) in [("ann", "9\n"), ("seq:ann:ben", "5\n")] {
        assert_eq!(redis_cli(&redis, &["GET", counter], ""), value, "{counter}");
    }
}

/// Runs `redis-cli`, which comes with the server.
fn redis_cli(redis: &Redis, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new("redis-cli");
    command.args(["-u", &redis.url()]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    String::from_utf8(ended.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_without_a_position_are_in_nobodys_way() {
    // Their inboxes took no entry any more, and the server said that MongoDB did not answer.
    let mongo = Mongo::in_memory();
    let database = database(&mongo).await;
    let odd: [Bson; 5] = [2.5.into(), 1.5.into(), "9".into(), i64::MAX.into(), 1e30.into()];
    let members: Vec<String> = (0..20).map(|n| format!("member {n}")).collect();
    let mut documents = Vec::new();
    for member in &members {
        documents.push(entry(member, 1, text("one")));
        documents.push(entry(member, 2, text("two")));
        documents.extend(odd.iter().map(|seq| doc! { "id": member, "seq": seq.clone() }));
    }
    put(&database, "chat_sync", documents).await;
    tokio::task::spawn_blocking(move || {
        let server = Server::start_shared(&[("data.mongo.source", mongo.uri().as_str())], &[]);
        // Few and many tails are asked for in different ways.
        let to = json!({"groupName": "g", "groupMembers": &members, "message": "{\"n\":3}"});
        assert_eq!(post_json(server.http, "/timeline/sendGroup", &to).status, 200);
        let direct = json!({"from": "member 0", "to": "member 1", "message": "{\"n\":4}"});
        assert_eq!(post_json(server.http, "/timeline/send", &direct).json()["sequence"], "4");
        for query in ["count=100", "last_read=1&count=1", "last_read=2&count=1"] {
            let page = get(server.http, &format!("/timeline/sync?member=member%201&{query}"));
            let seqs = entries(&page.json()).into_iter().map(|(seq, _)| seq);
            let seqs: Vec<String> = seqs.collect();
            let expected: &[&str] = match query {
                "count=100" => &["1", "2", "3", "4"],
                "last_read=1&count=1" => &["2"],
                _ => &["3"],
            };
            assert_eq!(seqs, expected, "{query}");
        }
        let checked = check(&mongo, &[]);
        assert_eq!(checked.code, 1, "{checked:?}");
        assert!(checked.stdout.contains("has no position"), "{checked:?}");
        assert!(checked.stdout.contains("NumberLong(\"5\")"), "{checked:?}");
    })
    .await
    .unwrap();
}

#[test]
fn a_database_that_is_not_there_or_empty_is_told_from_one_without_problems() {
    let mongo = Mongo::in_memory();
    let empty = check(&mongo, &["--database", "other"]);
    assert_eq!(empty.code, 3, "{empty:?}");
    assert!(empty.stderr.contains("other.chat_sync"), "{empty:?}");
    let port = crate::support::daemon::free_port();
    let uri = format!("mongodb://127.0.0.1:{port}");
    let gone = seqline(&["check", "--mongo", &uri]);
    assert_eq!(gone.code, 3, "{gone:?}");
    let both = seqline(&["check", "dir", "--mongo", &uri]);
    assert_eq!(both.code, 2, "{both:?}");
    assert_eq!(seqline(&["check"]).code, 2);
}

#[test]
fn a_directory_that_has_something_is_refused_before_the_database_is_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("notes"), "mine").unwrap();
    // Where no database is, so that whoever asks it says that instead.
    let uri = format!("mongodb://127.0.0.1:{}", crate::support::daemon::free_port());
    let dir = dir.path().to_str().unwrap();
    let ran = seqline(&["import", "--from-mongo", &uri, "--data", dir]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stderr.contains("is not empty"), "{ran:?}");
}
