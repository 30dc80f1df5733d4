//! Entries that are lost from the database: no page steps over them, and a view that is only old
//! is told from that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, RawDocumentBuf, doc};
use seqline_core::error::{Error, Result};
use seqline_core::page::{Direction, Page, Read};
use seqline_core::seq::Seq;
use seqline_core::store::Store as _;

use super::scenes::{But, Scene, direct, ids, inbox, run};
use crate::db::simulated::{Calm, Command, Simulated, Verdict, Weather};
use crate::db::{Collection, Db as _, Entries, Query};
use crate::documents;
use crate::options::Options;
use crate::store::MongoStore;

async fn page(store: &MongoStore, after: u64, direction: Direction) -> Result<Page> {
    let (after, until) = (Seq::new(after), Seq::MAX);
    let (entries_max, bytes_max) = (100, usize::MAX);
    let timeline = inbox("b");
    store.read(Read { timeline, after, until, direction, entries_max, bytes_max }).await
}

fn seqs(page: &Page) -> (Vec<u64>, bool) {
    (page.entries.iter().map(|entry| entry.seq.get()).collect(), page.more)
}

/// Somebody deletes an entry of the inbox "b".
async fn lose(scene: &Scene, seq: u64) {
    let all = scene.db.all(Collection::Inboxes);
    let is = |d: &&RawDocumentBuf| {
        documents::string(d, documents::TIMELINE) == Some("b")
            && documents::position(d) == Some(seq)
    };
    let id = Bson::try_from(documents::field(all.iter().find(is).unwrap(), documents::ID).unwrap());
    let (of, id, ids) = (Collection::Inboxes, "b".to_owned(), vec![id.unwrap()]);
    let entries = Entries { of, id, up_to: u64::MAX, ids };
    scene.db.delete(entries, Duration::from_secs(1)).await.unwrap();
}

fn put(scene: &Scene, into: Collection, document: &mongodb::bson::Document) {
    scene.db.put(into, [RawDocumentBuf::try_from(document).unwrap()]);
}

// Pages carried on behind any hole that was still there when looked at again.
#[test]
fn no_page_steps_over_an_entry_of_seqlines_that_is_lost() {
    run(async {
        let scene = Scene::new(Simulated::new(Calm));
        let store = scene.open(0, Options::default()).await;
        for id in 1..=6 {
            store.append(direct(id, "a", "b")).await.unwrap();
        }
        lose(&scene, 3).await;
        let (forward, backward) = (Direction::Forward, Direction::Backward);
        let before = page(&store, 0, forward).await.unwrap();
        assert_eq!(seqs(&before), (vec![1, 2], true));
        let refused = page(&store, 2, forward).await;
        assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
        assert_eq!(seqs(&page(&store, 3, forward).await.unwrap()), (vec![4, 5, 6], false));
        assert_eq!(seqs(&page(&store, 0, backward).await.unwrap()), (vec![6, 5, 4], true));
        // What the check says to do where something is below.
        let empty = doc! { "_id": ObjectId::new(), "id": "b", "seq": 3_i64 };
        put(&scene, Collection::Inboxes, &empty);
        let whole = page(&store, 0, forward).await.unwrap();
        assert_eq!(seqs(&whole), ((1..=6).collect(), false));
        assert_eq!(whole.entries[2].message.body.as_str(), "{}");

        lose(&scene, 1).await;
        page(&store, 0, forward).await.unwrap_err();
        assert!(seqs(&page(&store, 0, backward).await.unwrap()).1, "not to the start");
        // And where nothing is.
        put(&scene, Collection::Floors, &doc! { "_id": "inbox:b", "floor": 1_i64 });
        assert_eq!(seqs(&page(&store, 0, forward).await.unwrap()), ((2..=6).collect(), false));
        assert_eq!(store.append(direct(7, "a", "b")).await.unwrap().receiver_seq, Seq::new(7));
    });
}

/// A replica set whose floors are read from before they were raised, for some time.
#[derive(Clone, Default)]
struct OldFloors(Arc<(AtomicBool, AtomicUsize)>);

impl Weather for OldFloors {
    fn verdict(&self, _: usize, _: &Command, _: Duration) -> Verdict {
        Verdict::Done
    }

    fn way(&self, by: usize) -> (Duration, Duration) {
        But(|_, _: &Command| Verdict::Done).way(by)
    }

    fn step(&self) -> Duration {
        Duration::ZERO
    }

    fn replication(&self) -> Duration {
        Duration::ZERO
    }

    fn ages(&self) -> bool {
        !self.0.0.load(Ordering::SeqCst)
    }

    fn is_old(&self, query: &Query) -> bool {
        let floors = matches!(query, Query::Ids { of: Collection::Floors, .. });
        let left = |left: usize| left.checked_sub(1);
        floors && self.0.1.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left).is_ok()
    }
}

#[test]
fn a_floor_of_before_makes_a_page_wait_for_the_one_of_now() {
    run(async {
        let weather = OldFloors::default();
        let scene = Scene::new(Simulated::new(weather.clone()));
        let store = scene.open(0, Options::default()).await;
        for id in 1..=3 {
            store.append(direct(id, "a", "b")).await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        weather.0.0.store(true, Ordering::SeqCst);
        store.trim(inbox("b"), Seq::new(2)).await.unwrap();
        scene.clock.advance(2 * u64::try_from(Options::default().grace.as_millis()).unwrap());
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(scene.db.all(Collection::Inboxes).len(), 4, "two of b's three are deleted");
        for old in [1, 2, 5] {
            weather.0.1.store(old, Ordering::SeqCst);
            assert_eq!(ids(&store, &inbox("b")).await, [3], "after {old} old answers");
        }
        weather.0.1.store(usize::MAX, Ordering::SeqCst);
        page(&store, 0, Direction::Forward).await.unwrap_err();
    });
}
