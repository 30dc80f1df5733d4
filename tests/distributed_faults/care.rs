//! What instances do on their own: finishing what a dead one left, deleting what was trimmed long
//! ago. Both lose commands as sends do.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use mongodb::bson::{Document, doc};
use mongodb::{Client, Database};
use seqline_api::timeline::v1::SyncMessageRequest;
use seqline_core::clock::{ManualClock, UnixMillis};
use seqline_core::seq::Seq;
use seqline_core::store::Store as _;
use seqline_mongo::Options;

use super::cluster;
use super::in_process::{conversation, idle, inbox, leave_half, open_at, read_on, send};
use crate::crash::ledger::{Attempt, Cast, Findings, Ledger, Outcome};
use crate::crash::load;
use crate::support::mongo::Mongo;
use crate::support::mongo_proxy::{Fault, MongoProxy, When};

/// What every wait takes at most, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again and again until it is so: for what another task or process does at its own time.
async fn eventually(mut so: impl AsyncFnMut() -> bool) {
    let asked = tokio::time::timeout(PATIENCE, async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    asked.await.expect("it never became so");
}

fn attempt(id: usize, cast: &Cast, conversation: usize) -> Attempt {
    let recipients = cast.of(conversation).clone();
    let to = cast.is_direct(conversation).then(|| recipients[1]);
    let outcome = Outcome::Unknown;
    Attempt { id, worker: 0, conversation, recipients, to, keyed: false, outcome }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_finishes_on_its_own_what_a_dead_one_left() {
    let mongo = Mongo::in_memory();
    let proxy = MongoProxy::start(mongo.address());
    let cast = Cast::new(&[], &[(0..30).collect()]);
    let mut ledger = Ledger::of(cast.clone());
    // It waits for as long as three operations may take.
    let settings = [("data.mongo.operation_timeout", "1s")];
    let server = cluster::start_with(&mongo.uri(), "care", &settings);
    for (id, inboxes) in [(0, 11), (1, 0)] {
        let attempt = attempt(id, &cast, 0);
        ledger.record(vec![attempt.clone()]);
        leave_half(&proxy, "care", &attempt, inboxes).await;
    }
    let mut client = load::connect(server.grpc).await.unwrap();
    eventually(async || {
        let member = load::member(29);
        let request = SyncMessageRequest { member, last_read: 0, count: 0 };
        client.get_sync_message(request).await.unwrap().into_inner().latest_seq == 2
    })
    .await;
    load::read_on(&mut client, &mut ledger).await;
    assert_eq!(ledger.findings(), Findings::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_that_loses_any_command_deletes_what_may_go_and_nothing_else() {
    let mongo = Mongo::in_memory();
    let commands = purge(&mongo, "purge".to_owned(), None).await;
    let faults = [Fault::DropBefore, Fault::DropAfter];
    let purges = faults.iter().enumerate().flat_map(|(kind, fault)| {
        let mongo = &mongo;
        (1..=commands)
            .map(move |n| purge(mongo, format!("purge_{kind}_{n}"), Some((n, fault.clone()))))
    });
    let purges = join_all(purges).await.len();
    println!("{purges} purges that lost a command, nothing deleted that had to stay");
}

/// Trims and purges one conversation and one inbox: how many commands that took.
async fn purge(mongo: &Mongo, database: String, fault: Option<(u64, Fault)>) -> u64 {
    let proxy = MongoProxy::start(mongo.address());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let clock = Arc::new(ManualClock::new(UnixMillis(now)));
    let cast = Cast::new(&[[0, 1]], &[]);
    let mut ledger = Ledger::of(cast.clone());
    let store = open_at(idle(mongo.uri(), &database), clock.clone()).await;
    for id in 0..5 {
        let attempt = attempt(id, &cast, 0);
        send(&store, &attempt).await.unwrap();
        ledger.record(vec![attempt]);
    }
    read_on(&store, &mut ledger).await;
    store.trim(inbox(1), Seq::new(3)).await.unwrap();
    store.trim(conversation(&cast, 0), Seq::new(2)).await.unwrap();
    store.close().await.unwrap();
    // So old that everything trimmed may go.
    clock.advance(2 * u64::try_from(Options::default().grace.as_millis()).unwrap());

    let quick = Duration::from_millis(20);
    let options = Options { care_interval: quick, ..idle(proxy.uri(), &database) };
    let purger = open_at(options, clock.clone()).await;
    if let Some((n, fault)) = fault {
        proxy.rule(When::data().nth(n), fault);
    }
    proxy.reset_counts();
    let past = Client::with_uri_str(mongo.uri()).await.unwrap().database(&database);
    let open = doc! { "open": { "$exists": true } };
    eventually(async || count(&past, "seqline_floor", open.clone()).await == 0).await;
    let commands = proxy.data_count();
    drop(purger);

    assert_eq!(count(&past, "seqline_floor", doc! {}).await, 2);
    for (collection, id, left) in
        [("chat_sync", "member-0", 5), ("chat_sync", "member-1", 2), ("chat_history", "", 3)]
    {
        let of = if id.is_empty() {
            doc! {}
        } else {
            doc! { "id": id }
        };
        assert_eq!(count(&past, collection, of).await, left, "{database}: {collection} {id}");
    }
    let store = open_at(idle(mongo.uri(), &database), clock).await;
    let receipt = send(&store, &attempt(5, &cast, 0)).await.unwrap();
    assert_eq!((receipt.conversation_seq, receipt.receiver_seq), (Seq::new(6), Seq::new(6)));
    commands
}

async fn count(database: &Database, collection: &str, of: Document) -> u64 {
    database.collection::<Document>(collection).count_documents(of).await.unwrap()
}
