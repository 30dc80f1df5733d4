//! What an instance asks of the database: for a majority always, never without a time limit, and no
//! more often than it must.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use mongodb::bson::{Document, doc};
use seqline_core::seq::Seq;
use seqline_core::store::Store as _;
use seqline_mongo::Options;

use super::in_process::{conversation, idle, inbox, leave_half, open, page, send, settle};
use crate::crash::ledger::{Attempt, Cast, Outcome};
use crate::support::mongo::Mongo;
use crate::support::mongo_proxy::{Fault, MongoProxy, When, gate};

const DATABASE: &str = "commands";
const DIRECT: usize = 0;
const GROUP: usize = 1;

/// A pair, and a group with more members than a reply of MongoDB has documents by itself.
fn cast() -> Cast {
    Cast::new(&[[0, 1]], &[(0..500).collect()])
}

fn attempt(id: usize, conversation: usize) -> Attempt {
    let recipients = cast().of(conversation).clone();
    let to = (conversation == DIRECT).then(|| recipients[1]);
    let (keyed, outcome) = (conversation == DIRECT, Outcome::Unknown);
    Attempt { id, worker: 0, conversation, recipients, to, keyed, outcome }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_to_a_large_group_takes_no_more_commands_than_one_to_a_small_one() {
    let mongo = Mongo::in_memory();
    let proxy = MongoProxy::start(mongo.address());
    let first = open(idle(proxy.uri(), DATABASE)).await;
    send(&first, &attempt(0, GROUP)).await.unwrap();
    first.close().await.unwrap();
    let cold = open(idle(proxy.uri(), DATABASE)).await;
    // The tails of the conversation and of all inboxes, then the two inserts.
    for (id, commands) in [(1, 4), (2, 2)] {
        proxy.reset_counts();
        send(&cold, &attempt(id, GROUP)).await.unwrap();
        assert_eq!(proxy.data_count(), commands, "{:?}", proxy.counts());
    }
    // The next instance also looks which members have the last entry.
    let seen = Seen::of(&proxy);
    let other = open(idle(proxy.uri(), DATABASE)).await;
    send(&other, &attempt(3, GROUP)).await.unwrap();
    let commands = seen.commands();
    let many: Vec<i64> = commands.iter().filter_map(first_reply).collect();
    assert!(many.len() >= 2 && many.iter().all(|first| *first >= 500), "{many:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sends_to_many_conversations_that_wait_at_once_go_in_few_commands() {
    const CONVERSATIONS: usize = 50;
    let mongo = Mongo::in_memory();
    let proxy = MongoProxy::start(mongo.address());
    // So that none is given up and tried again meanwhile.
    let command_time = Options::default().operation_time;
    let store = open(Options { command_time, ..idle(proxy.uri(), DATABASE) }).await;
    let (slow, held) = gate();
    let inserts = When::command("insert").on("chat_history");
    proxy.rule(inserts, Fault::HoldBefore(slow));
    let pairs: Vec<[usize; 2]> = (0..CONVERSATIONS).map(|n| [2 * n, 2 * n + 1]).collect();
    let cast = Cast::new(&pairs, &[]);
    let sends: Vec<Attempt> = (0..CONVERSATIONS)
        .map(|id| {
            let recipients = cast.of(id).clone();
            let (to, outcome) = (Some(recipients[1]), Outcome::Unknown);
            Attempt { id, worker: id, conversation: id, recipients, to, keyed: false, outcome }
        })
        .collect();
    let held = async {
        let reached = tokio::time::timeout(Duration::from_secs(15), held.reached());
        reached.await.expect("the first comes at once");
        drop(held);
    };
    let sends = join_all(sends.iter().map(|attempt| send(&store, attempt)));
    let (receipts, ()) = futures_util::future::join(sends, held).await;
    assert!(receipts.iter().all(Result::is_ok), "{receipts:?}");
    for collection in ["chat_history", "chat_sync"] {
        let commands = proxy.count("insert", collection);
        assert!((1..=CONVERSATIONS as u64 / 4).contains(&commands), "{:?}", proxy.counts());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_many_inboxes_are_under_way_at_once() {
    const INBOXES: usize = 50;
    let mongo = Mongo::in_memory();
    let proxy = MongoProxy::start(mongo.address());
    // So that none is given up and tried again meanwhile.
    let command_time = Options::default().operation_time;
    let store = open(Options { command_time, ..idle(proxy.uri(), DATABASE) }).await;
    let (slow, held) = gate();
    proxy.rule(When::command("find").on("seqline_floor"), Fault::HoldBefore(slow));
    let held = async {
        // All of them have come to the database before any is answered.
        for _ in 0..INBOXES {
            let reached = tokio::time::timeout(Duration::from_secs(15), held.reached());
            reached.await.expect("no page waits for another");
        }
        drop(held);
    };
    let inboxes: Vec<_> = (0..INBOXES).map(inbox).collect();
    let pages = join_all(inboxes.iter().map(|inbox| page(&store, inbox, 0)));
    let (pages, ()) = futures_util::future::join(pages, held).await;
    assert!(pages.iter().all(|page| page.entries.is_empty()));
}

/// All commands about documents that came through a proxy.
struct Seen(Arc<Mutex<Vec<Document>>>);

impl Seen {
    fn of(proxy: &MongoProxy) -> Seen {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let all = seen.clone();
        let watch = When::data().matching(move |command| {
            all.lock().unwrap().push(command.document());
            false
        });
        proxy.rule(watch, Fault::DropBefore);
        Seen(seen)
    }

    fn commands(&self) -> Vec<Document> {
        self.0.lock().unwrap().clone()
    }
}

/// How many documents a read of many inboxes wants in the first reply. Who does not say so gets 101
/// from MongoDB, whereas the server of the tests gives all.
fn first_reply(command: &Document) -> Option<i64> {
    let size = match command.get_document("filter") {
        Ok(filter) if filter.contains_key("_id") => command.get("batchSize"),
        Ok(_) => return None,
        Err(_) => command.get_document("cursor").ok()?.get("batchSize"),
    };
    Some(size.and_then(|size| size.as_i64().or(size.as_i32().map(i64::from))).unwrap_or(101))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_asks_for_a_majority_and_has_a_time_limit() {
    let mongo = Mongo::in_memory();
    let proxy = MongoProxy::start(mongo.address());
    leave_half(&proxy, DATABASE, &attempt(0, GROUP), 1).await;
    let store = open(idle(proxy.uri(), DATABASE)).await;
    let seen = Seen::of(&proxy);
    for attempt in [attempt(1, DIRECT), attempt(2, GROUP), attempt(1, DIRECT)] {
        send(&store, &attempt).await.unwrap();
    }
    settle(&store).await;
    let timeline = conversation(&cast(), GROUP);
    store.trim(timeline.clone(), Seq::FIRST).await.unwrap();
    store.bounds((0..20).map(inbox).chain([timeline.clone()]).collect()).await.unwrap();
    store.close().await.unwrap();
    let seen = seen.commands();
    let named = |name: &str| seen.iter().filter(|command| command.contains_key(name)).count();
    assert!(named("find") > 5 && named("aggregate") > 0, "{seen:?}");
    assert!(named("insert") > 1 && named("update") > 1, "{seen:?}");
    for command in seen.iter().filter(|command| !command.contains_key("getMore")) {
        let reads = command.contains_key("find") || command.contains_key("aggregate");
        let concern = |name: &str| command.get_document(name).cloned().unwrap_or_default();
        if reads {
            assert_eq!(concern("readConcern"), doc! { "level": "majority" }, "{command}");
        } else {
            let concern = concern("writeConcern");
            let (w, j) = (concern.get_str("w").ok(), concern.get_bool("j").ok());
            assert_eq!((w, j), (Some("majority"), Some(true)), "{command}");
        }
        assert!(command.contains_key("maxTimeMS"), "{command}");
        assert!(!command.contains_key("$readPreference"), "on the primary: {command}");
    }
}
