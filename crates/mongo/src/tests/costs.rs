//! What sends cost, counted by the code that makes them: the tables of `docs/scaling.md` that are
//! marked as counted or simulated are what these tests find.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mongodb::bson::RawDocumentBuf;
use seqline_core::fanout::Outgoing;
use seqline_core::message::Body;
use seqline_core::store::Store as _;
use tokio::time::Instant;

use super::scenes::{Scene, Shared, direct, group, run};
use crate::db::simulated::{Command, Simulated, Steady, Verdict, Weather};
use crate::db::{Collection, Query};
use crate::hints::{Hints, Nothing};
use crate::options::Options;
use crate::store::MongoStore;

/// One round trip.
const ONE: Duration = Duration::from_millis(10);

/// What was sent to the database.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    reads: usize,
    inserts: usize,
    updates: usize,
    documents: usize,
    bytes: usize,
}

/// Good weather in which commands on entries are counted.
#[derive(Clone, Default)]
struct Counting(Arc<Mutex<Cost>>);

impl Counting {
    /// What was counted since the last call.
    fn take(&self) -> Cost {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Weather for Counting {
    fn verdict(&self, _: usize, command: &Command, _: Duration) -> Verdict {
        let mut cost = self.0.lock().unwrap();
        match command {
            Command::Insert(Collection::Inboxes | Collection::History, documents) => {
                cost.inserts += 1;
                cost.documents += documents.len();
                cost.bytes += documents.iter().map(|d| d.as_bytes().len()).sum::<usize>();
            }
            Command::Update(_) => cost.updates += 1,
            // The one that looks for unfinished entries is not a send's.
            Command::Find(Query::Pending { .. }) => {}
            Command::Find(_) | Command::Tails(..) => cost.reads += 1,
            _ => {}
        }
        Verdict::Done
    }

    fn way(&self, by: usize) -> (Duration, Duration) {
        Steady(ONE).way(by)
    }

    fn step(&self) -> Duration {
        Steady(ONE).step()
    }

    fn replication(&self) -> Duration {
        Steady(ONE).replication()
    }
}

/// A body of 200 bytes, in the form in which a document gives it back.
fn body() -> Body {
    let text = format!("{{\"text\":\"{}\"}}", "x".repeat(189));
    assert_eq!(text.len(), 200);
    Body::new(text, 200).unwrap()
}

/// Ids of ten bytes.
fn members(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("user{n:06}")).collect()
}

fn sizes(documents: &[RawDocumentBuf]) -> usize {
    documents.iter().map(|document| document.as_bytes().len()).max().unwrap()
}

#[track_caller]
fn is_on_the_page(rows: &[String]) {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/scaling.md");
    let page = std::fs::read_to_string(page).unwrap();
    for row in rows {
        assert!(page.contains(row), "docs/scaling.md lacks a row of\n{}", rows.join("\n"));
    }
}

#[test]
fn the_page_says_what_one_send_writes() {
    run(async {
        let mut rows = Vec::new();
        for size in [2, 50, 500, 1_000] {
            let weather = Counting::default();
            let scene = Scene::new(Simulated::new(weather.clone()));
            let store = scene.open(0, Options::default()).await;
            let all = members(size);
            let send = |id| {
                let send = match size {
                    2 => direct(id, &all[0], &all[1]),
                    _ => group(id, "group-0001", &all),
                };
                store.append(Outgoing { body: body(), ..send })
            };
            weather.take();
            send(1).await.unwrap();
            let cold = weather.take();
            let pending = sizes(&scene.db.all(Collection::History));
            let inbox = sizes(&scene.db.all(Collection::Inboxes));
            tokio::time::sleep(4 * Options::default().mark_interval).await;
            assert_eq!(weather.take().updates, 1, "the mark of all sends of that time");
            let whole = sizes(&scene.db.all(Collection::History));
            send(2).await.unwrap();
            let warm = weather.take();
            assert_eq!((warm.reads, warm.updates), (0, 0));
            assert_eq!((warm.documents, cold.documents), (size + 1, size + 1));
            let what = if size == 2 { "direct".to_owned() } else { format!("group of {size}") };
            rows.push(format!(
                "| {what} | {} / {} | {} | {} | {pending} / {whole} | {inbox} |",
                cold.reads + cold.inserts,
                warm.inserts,
                warm.documents,
                warm.bytes,
            ));
        }
        is_on_the_page(&rows);
    });
}

async fn open(scene: &Scene, instances: usize, hints: Arc<dyn Hints>) -> Vec<MongoStore> {
    let open =
        (0..instances).map(|number| scene.open_beside(number, Options::default(), hints.clone()));
    futures_util::future::join_all(open).await
}

/// How many round trips these sends take together, all made at once.
async fn round_trips(stores: &[MongoStore], sends: Vec<Outgoing>) -> u128 {
    let begin = Instant::now();
    let all = sends.into_iter().zip(stores.iter().cycle()).map(|(send, store)| store.append(send));
    futures_util::future::try_join_all(all).await.unwrap();
    begin.elapsed().as_millis() / ONE.as_millis()
}

#[test]
fn the_page_says_how_many_round_trips_fifty_sends_at_once_take() {
    const SENDS: u128 = 50;
    run(async {
        let mut rows = Vec::new();
        for size in [2, 16, 50, 500] {
            let scene = Scene::new(Simulated::new(Steady(ONE)));
            let store = scene.open(0, Options::default()).await;
            let all = members(size);
            store.append(group(1, "hot", &all)).await.unwrap();
            let sends = (2..2 + SENDS).map(|id| group(id, "hot", &all)).collect();
            let taken = round_trips(&[store], sends).await;
            rows.push(format!("| one group of {size}, one instance | {taken} |"));
        }
        for instances in [1, 2] {
            let scene = Scene::new(Simulated::new(Steady(ONE)));
            let stores = open(&scene, instances, Arc::new(Nothing)).await;
            stores[0].append(direct(1, "warm", "bob")).await.unwrap();
            let from: Vec<String> = (0..=SENDS).map(|n| format!("ann {n}")).collect();
            let sends = (2..2 + SENDS).map(|id| direct(id, &from[id as usize - 2], "bob"));
            let taken = round_trips(&stores, sends.collect()).await;
            rows.push(format!("| one inbox, {SENDS} senders, instances: {instances} | {taken} |"));
        }
        is_on_the_page(&rows);
    });
}

#[test]
fn the_page_says_what_servers_cost_each_other_that_write_to_the_same_inboxes_at_once() {
    const SENDS: u128 = 200;
    run(async {
        let mut rows = Vec::new();
        for (instances, hints) in [(1, true), (2, false), (2, true), (4, true)] {
            let weather = Counting::default();
            let scene = Scene::new(Simulated::new(weather.clone()));
            let told: Arc<dyn Hints> =
                if hints { Arc::new(Shared::default()) } else { Arc::new(Nothing) };
            let stores = open(&scene, instances, told).await;
            let all = members(100);
            // Each with half of the members, always others.
            let some = |id: u128| {
                let is_in = |at: &usize| (at * (id as usize + 7) % 101).is_multiple_of(2);
                (0..all.len()).filter(is_in).map(|at| all[at].clone()).collect::<Vec<_>>()
            };
            let sends = (1..=SENDS).map(|id| group(id, &format!("group {id}"), some(id)));
            let sends: Vec<Outgoing> = sends.collect();
            let entries: usize = sends.iter().map(|send| 1 + send.recipients.len()).sum();
            weather.take();
            let taken = round_trips(&stores, sends).await;
            let cost = weather.take();
            let commands = (cost.reads + cost.inserts) as f64 / SENDS as f64;
            let tried = cost.documents as f64 / entries as f64;
            let with = if hints { "with Redis" } else { "without" };
            rows.push(format!("| {instances} | {with} | {taken} | {commands:.1} | {tried:.1} |"));
        }
        is_on_the_page(&rows);
    });
}

#[test]
fn the_page_says_what_several_instances_cost_each_other() {
    const SENDS: u128 = 48;
    run(async {
        let mut rows = Vec::new();
        for (instances, hints) in [(1, false), (2, false), (4, false), (2, true), (4, true)] {
            let scene = Scene::new(Simulated::new(Steady(ONE)));
            let told: Arc<dyn Hints> =
                if hints { Arc::new(Shared::default()) } else { Arc::new(Nothing) };
            let stores = open(&scene, instances, told).await;
            let all = members(50);
            let mut taken = 0;
            // Each group always through the same instance, the members of all being the same.
            for id in 1..=2 * SENDS {
                let group = group(id, &format!("group {}", id % 4), &all);
                let store = &stores[id as usize % instances..][..1];
                let one = round_trips(store, vec![group]).await;
                taken += if id > SENDS { one } else { 0 };
            }
            let each = taken as f64 / SENDS as f64;
            let with = if hints { "with Redis" } else { "without" };
            rows.push(format!("| {instances} | {with} | {each:.1} |"));
        }
        is_on_the_page(&rows);
    });
}
