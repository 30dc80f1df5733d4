//! Databases that go-timeline wrote: everything in them is read where it stands, and continued.

use std::sync::Arc;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Document, RawDocumentBuf, doc};
use seqline_core::page::{Bounds, Direction, Read};
use seqline_core::seq::Seq;
use seqline_core::store::Store as _;

use super::scenes::{Scene, direct, direct_timeline, group, group_timeline, inbox, read, run};
use crate::db::simulated::{Calm, Simulated};
use crate::db::{Collection, IndexError};
use crate::hints::Nothing;
use crate::options::Options;
use crate::store::{MongoStore, OpenError};

/// An entry as go-timeline stores it, in the order of Go's maps, which is none.
fn entry(id: &str, seq: impl Into<Bson>, message: impl Into<Option<Document>>) -> RawDocumentBuf {
    let mut entry = doc! { "_id": ObjectId::new(), "id": id, "seq": seq.into() };
    entry.extend(message.into().map(|message| ("message".to_owned(), Bson::Document(message))));
    raw(&entry)
}

fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).unwrap()
}

fn text(text: &str) -> Document {
    doc! { "text": text, "n": 1.0 }
}

async fn open(inboxes: Vec<RawDocumentBuf>, history: Vec<RawDocumentBuf>) -> MongoStore {
    let scene = Scene::new(Simulated::new(Calm));
    scene.db.put(Collection::Inboxes, inboxes);
    scene.db.put(Collection::History, history);
    scene.open(0, Options::default()).await
}

async fn texts(store: &MongoStore, timeline: &seqline_core::id::TimelineId) -> Vec<(u64, String)> {
    let page = read(store, timeline).await;
    page.entries.iter().map(|e| (e.seq.get(), e.message.body.as_str().to_owned())).collect()
}

fn numbered(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
    expected.iter().map(|(seq, text)| (*seq, (*text).to_owned())).collect()
}

#[test]
fn every_timeline_goes_on_where_it_stood() {
    run(async {
        // What go-timeline left half done: the group has a message more than the inbox of "b", and
        // "c" has one that no conversation has.
        let store = open(
            vec![
                entry("a", 1_i64, text("one")),
                entry("a", 2_i64, text("two")),
                entry("b", 1_i64, text("one")),
                entry("c", 1_i64, text("alone")),
            ],
            vec![
                entry("seq:group:room", 1_i64, text("one")),
                entry("seq:group:room", 2_i64, text("two")),
                entry("seq:a:b", 1_i64, text("direct")),
            ],
        )
        .await;
        let receipt = store.append(group(9, "room", ["a", "b", "c"])).await.unwrap();
        assert_eq!(receipt.conversation_seq, Seq::new(3));
        let receipt = store.append(direct(10, "b", "a")).await.unwrap();
        assert_eq!((receipt.conversation_seq, receipt.receiver_seq), (Seq::new(2), Seq::new(4)));
        let (one, two) = (r#"{"n":1,"text":"one"}"#, r#"{"n":1,"text":"two"}"#);
        let (new, reply) = (r#"{"id":9}"#, r#"{"id":10}"#);
        for (timeline, expected) in [
            (inbox("a"), numbered(&[(1, one), (2, two), (3, new), (4, reply)])),
            (inbox("b"), numbered(&[(1, one), (2, new), (3, reply)])),
            (inbox("c"), numbered(&[(1, r#"{"n":1,"text":"alone"}"#), (2, new)])),
            (group_timeline("room"), numbered(&[(1, one), (2, two), (3, new)])),
            (direct_timeline("a", "b"), numbered(&[(1, r#"{"n":1,"text":"direct"}"#), (2, reply)])),
        ] {
            assert_eq!(texts(&store, &timeline).await, expected, "{timeline}");
        }
    });
}

#[test]
fn a_page_carries_on_behind_a_number_that_go_timeline_burnt() {
    run(async {
        let group = "seq:group:room";
        let at = |seq: i64| entry(group, seq, doc! { "n": seq });
        let store = open(vec![], vec![at(1), at(2), at(5), at(6), at(9)]).await;
        let page = |after, until, direction, entries_max| {
            let (after, until) = (Seq::new(after), Seq::new(until));
            let timeline = group_timeline("room");
            let bytes_max = usize::MAX;
            store.read(Read { timeline, after, until, direction, entries_max, bytes_max })
        };
        let seqs = |page: &seqline_core::page::Page| -> Vec<u64> {
            page.entries.iter().map(|entry| entry.seq.get()).collect()
        };
        let all = u64::MAX;
        for (after, until, direction, count, expected, more) in [
            (0, all, Direction::Forward, 100, vec![1, 2, 5, 6, 9], false),
            (2, all, Direction::Forward, 1, vec![5], true),
            // A cursor on a burnt number.
            (3, all, Direction::Forward, 2, vec![5, 6], true),
            (6, 8, Direction::Forward, 10, vec![], false),
            (0, all, Direction::Backward, 3, vec![9, 6, 5], true),
            (0, 4, Direction::Backward, 3, vec![2, 1], false),
            (9, all, Direction::Forward, 10, vec![], false),
        ] {
            let page = page(after, until, direction, count).await.unwrap();
            assert_eq!((seqs(&page), page.more), (expected, more), "after {after} to {until}");
            let bounds = Bounds { first: Seq::FIRST, latest: Seq::new(9) };
            assert_eq!(page.bounds, bounds, "after {after} to {until}");
        }
    });
}

#[test]
fn whatever_stands_in_message_and_seq_is_served() {
    run(async {
        let odd = |seq: i64, message: Bson| {
            raw(&doc! { "_id": ObjectId::new(), "id": "a", "seq": seq, "message": message })
        };
        let nested = doc! { "at": DateTime::from_millis(0), "d": [doc! { "y": 1_i64, "x": 2 }] };
        let other_id = raw(&doc! { "_id": "by hand", "id": "a", "seq": 9, "message": {} });
        let store = open(
            vec![
                entry("a", 1_i32, None),
                entry("a", 2_i64, text("<&>")),
                entry("a", 3.0, doc! {}),
                odd(4, Bson::Null),
                odd(5, "text".into()),
                odd(6, 7.0.into()),
                odd(7, vec![Bson::Boolean(true), Bson::Null].into()),
                odd(8, nested.into()),
                other_id,
                // No position: nobody ever sees it, and nothing is counted from it.
                entry("a", "10", text("no position")),
                entry("a", 2.5, text("no position")),
                entry("a", 9.5, text("no position")),
                entry("a", i64::MAX, text("no position")),
                entry("a", 1e30, text("no position")),
                entry("a", f64::NAN, text("no position")),
                entry("a", -1_i64, text("no position")),
            ],
            vec![],
        )
        .await;
        let expected = numbered(&[
            (1, "{}"),
            (2, r#"{"n":1,"text":"\u003c\u0026\u003e"}"#),
            (3, "{}"),
            (4, "{}"),
            (5, "\"text\""),
            (6, "7"),
            (7, "[true,null]"),
            (8, r#"{"at":"1970-01-01T00:00:00Z","d":[{"x":2,"y":1}]}"#),
            (9, "{}"),
        ]);
        assert_eq!(texts(&store, &inbox("a")).await, expected);
        let receipt = store.append(direct(1, "b", "a")).await.unwrap();
        assert_eq!(receipt.receiver_seq, Seq::new(10));
    });
}

#[test]
fn names_that_several_conversations_share_are_shown_to_no_pair() {
    run(async {
        let store = open(
            vec![],
            vec![
                entry("seq:a:b:c", 1_i64, text("whose?")),
                entry("seq:group:x", 1_i64, text("the group's")),
            ],
        )
        .await;
        assert_eq!(texts(&store, &direct_timeline("a:b", "c")).await, []);
        assert_eq!(texts(&store, &direct_timeline("a", "b:c")).await, []);
        assert_eq!(texts(&store, &direct_timeline("group", "x")).await, []);
        let expected = numbered(&[(1, r#"{"n":1,"text":"the group's"}"#)]);
        assert_eq!(texts(&store, &group_timeline("x")).await, expected);
        // A pair of its own, beside what is nobody's.
        let receipt = store.append(direct(1, "a", "b:c")).await.unwrap();
        assert_eq!(receipt.conversation_seq, Seq::FIRST);
    });
}

#[test]
fn entries_that_share_a_position_forbid_the_start() {
    run(async {
        let scene = Scene::new(Simulated::new(Calm));
        let twice = [entry("a", 1_i64, text("one")), entry("a", 1.0, text("other"))];
        scene.db.put(Collection::Inboxes, twice);
        let refused = scene.try_open(0, Options::default(), Arc::new(Nothing)).await.map(|_| ());
        let duplicates = |e: &OpenError| matches!(e, OpenError::Index(IndexError::Duplicates(_)));
        assert!(refused.as_ref().is_err_and(duplicates), "{refused:?}");
    });
}
