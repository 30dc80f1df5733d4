//! Documents that nobody can understand: what they stand for is set aside, the rest goes on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{DateTime, RawDocumentBuf, doc};
use seqline_core::seq::Seq;
use seqline_core::store::Store as _;

use super::scenes::{But, Scene, direct, ids, inbox, run};
use crate::aside::Work;
use crate::db::simulated::{Calm, Command, Simulated, Verdict};
use crate::db::{Collection, Update};
use crate::options::Options;
use crate::store::MongoStore;

fn raw(document: &mongodb::bson::Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).unwrap()
}

fn aside(store: &MongoStore, work: Work) -> usize {
    store.shared.aside.count(work)
}

// One pending document without a position stopped the resumer for all conversations, and one whose
// recipients are no texts kept whatever was trimmed from being deleted.
#[test]
fn a_delivery_that_nobody_can_understand_keeps_no_other_from_being_finished() {
    run(async {
        static DELIVERS: AtomicBool = AtomicBool::new(false);
        let weather = But(|by, command: &Command| match command {
            Command::Insert(Collection::Inboxes, _) if by == 0 => Verdict::Never,
            Command::Update(Update::Lease { .. }) if !DELIVERS.load(Ordering::SeqCst) => {
                Verdict::Never
            }
            _ => Verdict::Done,
        });
        let scene = Scene::new(Simulated::new(weather));
        let (pend, id) = (DateTime::from_millis(1_600_000_000_000), ObjectId::new);
        scene.db.put(
            Collection::History,
            [
                doc! { "_id": id(), "id": "seq:x:y", "seq": "one", "pend": pend },
                doc! { "_id": id(), "id": "seq:x:z", "seq": 1, "pend": pend, "rcpt": [7] },
            ]
            .map(|document| raw(&document)),
        );
        let short = Options {
            operation_time: Duration::from_secs(2),
            command_time: Duration::from_secs(1),
            resume_after: Duration::ZERO,
            ..Options::default()
        };
        let dead = scene.open(0, short.clone()).await;
        dead.append(direct(1, "a", "b")).await.unwrap_err();
        drop(dead);
        let alive = scene.open(1, short).await;
        scene.clock.advance(10_000);
        DELIVERS.store(true, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(ids(&alive, &inbox("b")).await, [1]);
        assert_eq!(aside(&alive, Work::Deliver), 2);
    });
}

#[test]
fn a_floor_above_a_document_that_nobody_can_understand_keeps_no_other_from_being_deleted_below() {
    run(async {
        let scene = Scene::new(Simulated::new(Calm));
        let store = scene.open(0, Options::default()).await;
        for id in 1..=2 {
            store.append(direct(id, "a", "b")).await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        // In the order of floors, that of "a" comes first.
        let message = scene.db.all(Collection::History).into_iter().next().unwrap();
        let mut broken = mongodb::bson::Document::try_from(message.as_ref()).unwrap();
        broken.insert("seq", "one");
        scene.db.put(Collection::History, [raw(&broken)]);
        for member in ["a", "b"] {
            store.trim(inbox(member), Seq::new(1)).await.unwrap();
        }
        store.append(direct(3, "c", "d")).await.unwrap();
        store.append(direct(4, "c", "d")).await.unwrap();
        store.trim(inbox("d"), Seq::new(1)).await.unwrap();
        let grace = u64::try_from(Options::default().grace.as_millis()).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        scene.clock.advance(2 * grace);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(aside(&store, Work::Delete), 2);
        assert_eq!(scene.db.all(Collection::Inboxes).len(), 7, "that of d is gone");
    });
}
