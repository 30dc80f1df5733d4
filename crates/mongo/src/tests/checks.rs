//! What a check finds in databases of go-timeline's and of Seqline's, and what it says to do.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use seqline_core::id::TimelineId;
use seqline_core::seq::Seq;
use seqline_core::store::{CheckEvent, Store as _};

use super::scenes::{But, Scene, direct, direct_timeline, group, inbox, run};
use crate::check::{Event, Finding, Kind, Totals};
use crate::db::simulated::{Calm, Command, Simulated, Verdict};
use crate::db::{Collection, Db as _, Entries};
use crate::options::Options;
use crate::source::{Item, Source};

fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).unwrap()
}

/// An entry of go-timeline's; its `_id` tells an age.
fn entry(age: u8, id: &str, seq: impl Into<Bson>, text: &str) -> RawDocumentBuf {
    let object = ObjectId::from_bytes([age, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, age]);
    let message = doc! { "text": text };
    raw(&doc! { "_id": object, "id": id, "seq": seq.into(), "message": message })
}

fn object_id(age: u8) -> String {
    format!("ObjectId(\"{age:02x}00000000000000000000{age:02x}\")")
}

async fn check(db: &Simulated) -> (Totals, Vec<Finding>) {
    let source = Source::new(std::sync::Arc::new(db.clone()), &Options::default());
    let mut findings = Vec::new();
    let mut take = |event| {
        if let Event::Finding(finding) = event {
            findings.push(finding);
        }
    };
    let totals = source.check(&mut take).await.unwrap();
    (totals, findings)
}

/// Kinds, timelines and positions of what was found.
async fn found(db: &Simulated) -> Vec<(Kind, String, Option<u64>, Option<u64>)> {
    let (totals, findings) = check(db).await;
    for kind in Kind::ALL {
        let count = findings.iter().filter(|finding| finding.kind == kind).count();
        assert_eq!(totals.of(kind), count as u64, "{kind:?}");
    }
    findings.into_iter().map(|f| (f.kind, f.timeline, f.seq, f.last)).collect()
}

#[test]
fn what_go_timeline_left_is_named_and_told_from_problems() {
    run(async {
        let db = Simulated::new(Calm);
        db.put(
            Collection::History,
            [
                entry(1, "seq:group:room", 1_i64, "one"),
                entry(2, "seq:group:room", 4_i64, "four"),
                entry(3, "seq:a:b:c", 1_i64, "whose?"),
                entry(4, "seq:a:b:c", 2_i64, "whose?"),
            ],
        );
        let no_name = raw(&doc! { "_id": ObjectId::new(), "seq": 1_i64, "message": { "n": 1 } });
        db.put(
            Collection::Inboxes,
            [
                no_name,
                entry(1, "a", 1.0, "one"),
                entry(2, "a", 2_i32, "two"),
                entry(5, "a", "3", "no position"),
                entry(3, "b", 7_i64, "seven"),
            ],
        );
        let name = |name: &str| name.to_owned();
        let expected = [
            (Kind::Unassigned, name("seq:a:b:c"), None, None),
            (Kind::Hole, name("seq:group:room"), Some(2), Some(3)),
            (Kind::Unassigned, name(""), None, None),
            (Kind::Unreadable, name("a"), None, None),
            (Kind::Hole, name("b"), Some(1), Some(6)),
        ];
        let mut found = found(&db).await;
        found
            .sort_by_key(|(kind, id, ..)| expected.iter().position(|e| e.0 == *kind && e.1 == *id));
        assert_eq!(found, expected);
        let (totals, _) = check(&db).await;
        assert_eq!((totals.timelines, totals.messages, totals.inbox_entries), (3, 2, 3));
        assert_eq!(totals.problems(), 1, "only what cannot be read");
    });
}

#[test]
fn of_documents_that_share_a_position_the_older_stays_and_the_other_is_not_lost() {
    run(async {
        let db = Simulated::new(Calm);
        let entries = [
            entry(9, "a", 1_i64, "later one"),
            entry(1, "a", 1_i64, "one"),
            entry(2, "a", 2_i64, "two"),
            entry(8, "a", 2.0, "later two"),
            entry(7, "a", 3_i64, "three"),
            entry(3, "a", 3_i64, "three"),
        ];
        db.put(Collection::Inboxes, entries);
        let (totals, findings) = check(&db).await;
        assert_eq!((totals.of(Kind::Duplicate), totals.problems()), (3, 3));
        let mends: Vec<&str> = findings.iter().map(|f| f.mend.as_deref().unwrap()).collect();
        let moved = |age, seq: u64| {
            format!(
                "db.getCollection(\"chat_sync\").updateOne({{_id: {}}}, {{$set: {{seq: \
                 NumberLong(\"{seq}\")}}}})",
                object_id(age)
            )
        };
        let removed =
            format!("db.getCollection(\"chat_sync\").deleteOne({{_id: {}}})", object_id(7));
        assert_eq!(mends, [moved(9, 4), moved(8, 5), removed]);
        for (finding, (kept, seq)) in findings.iter().zip([(1, 1), (2, 2), (3, 3)]) {
            assert_eq!(finding.seq, Some(seq));
            assert!(finding.detail.starts_with(&object_id(kept)), "{finding}");
        }
    });
}

#[test]
fn an_unfinished_delivery_is_told_with_how_many_lack_it_and_is_no_problem() {
    run(async {
        let scene = Scene::new(Simulated::new(But(|by, command: &Command| match command {
            Command::Insert(Collection::Inboxes, _) if by == 9 => Verdict::Never,
            _ => Verdict::Done,
        })));
        let never = Options {
            resume_after: std::time::Duration::from_secs(1_000_000),
            operation_time: std::time::Duration::from_secs(2),
            command_time: std::time::Duration::from_secs(1),
            ..Options::default()
        };
        let store = scene.open(0, never.clone()).await;
        store.append(group(1, "g", ["a", "b"])).await.unwrap();
        let dead = scene.open(9, never).await;
        dead.append(group(2, "g", ["a", "b", "c"])).await.unwrap_err();
        let (totals, findings) = check(&scene.db).await;
        assert_eq!((totals.of(Kind::Undelivered), totals.problems()), (1, 0), "{findings:?}");
        assert_eq!(findings[0].detail, "3 of 3 lack it");
    });
}

#[test]
fn what_is_missing_of_seqlines_own_is_a_problem() {
    run(async {
        let scene = Scene::new(Simulated::new(Calm));
        let store = scene.open(0, Options::default()).await;
        for id in 1..=4 {
            store.append(direct(id, "a", "b")).await.unwrap();
        }
        store.trim(direct_timeline("a", "b"), Seq::new(1)).await.unwrap();
        store.close().await.unwrap();
        let remove = |of, timeline: &str, seq: i64| {
            let all = scene.db.all(of);
            let is = |d: &&RawDocumentBuf| {
                d.get_str("id").unwrap() == timeline && d.get_i64("seq").unwrap() == seq
            };
            let id = all.iter().find(is).unwrap().get("_id").unwrap().unwrap();
            let id = Bson::try_from(id).unwrap();
            let within = std::time::Duration::from_secs(1);
            let (id, ids) = (timeline.to_owned(), vec![id]);
            let entries = Entries { of, id, up_to: u64::MAX, ids };
            let db = scene.db.clone();
            async move { db.delete(entries, within).await.unwrap() }
        };
        // Below the floor nothing is missed.
        remove(Collection::History, "seq:a:b", 1).await;
        assert_eq!(found(&scene.db).await, []);
        remove(Collection::History, "seq:a:b", 3).await;
        remove(Collection::Inboxes, "a", 2).await;
        let name = |name: &str| name.to_owned();
        let expected = [
            (Kind::Missing, name("seq:a:b"), Some(3), Some(3)),
            (Kind::Missing, name("a"), Some(2), Some(2)),
            (Kind::Orphan, name("a"), Some(3), Some(3)),
            (Kind::Orphan, name("b"), Some(3), Some(3)),
        ];
        assert_eq!(found(&scene.db).await, expected);
        remove(Collection::Inboxes, "b", 1).await;
        let (_, findings) = check(&scene.db).await;
        let mends: Vec<&str> = findings.iter().filter_map(|f| f.mend.as_deref()).collect();
        let empty = |n: u64, of: &str, id: &str| {
            format!(
                "for (let n = {n}; n <= {n}; n++) db.getCollection({of:?}).insertOne({{id: {id:?}, \
                 seq: NumberLong(String(n))}})"
            )
        };
        let expected = [
            empty(3, "chat_history", "seq:a:b"),
            empty(2, "chat_sync", "a"),
            "db.seqline_floor.updateOne({_id: \"inbox:b\"}, {$max: {floor: NumberLong(\"1\")}}, \
             {upsert: true})"
                .to_owned(),
        ];
        assert_eq!(mends, expected);
    });
}

#[test]
fn a_document_without_a_position_is_named_with_the_command_that_gives_it_one() {
    run(async {
        let db = Simulated::new(Calm);
        let seqs: [Bson; 4] = [1.into(), 1.5.into(), "2".into(), i64::MAX.into()];
        let entries = seqs.into_iter().zip(1..).map(|(seq, age)| entry(age, "a", seq, "text"));
        db.put(Collection::Inboxes, entries);
        let (totals, findings) = check(&db).await;
        assert_eq!((totals.of(Kind::Unreadable), totals.inbox_entries), (3, 1));
        let mut mends: Vec<&str> = findings.iter().map(|f| f.mend.as_deref().unwrap()).collect();
        mends.sort_unstable();
        for (mend, age) in mends.iter().zip(2..) {
            assert!(mend.contains(&object_id(age)), "{mend}");
        }
        let places: std::collections::BTreeSet<_> =
            mends.iter().map(|mend| mend.rsplit_once("NumberLong").unwrap().1).collect();
        assert!(places.into_iter().eq([r#"("2")}})"#, r#"("3")}})"#, r#"("4")}})"#]));
    });
}

#[test]
fn a_live_store_is_sound_and_says_so_by_the_port_too() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
    let scene = Scene::new(Simulated::new(Calm));
    let store = runtime.block_on(async {
        scene.db.put(Collection::Inboxes, [entry(1, "b", 3_i64, "go-timeline's")]);
        let store = scene.open(0, Options::default()).await;
        store.append(direct(1, "a", "b")).await.unwrap();
        store
    });
    let mut problems = Vec::new();
    let summary = store
        .check(&mut |event| {
            if let CheckEvent::Problem { place, detail } = event {
                problems.push(format!("{place}: {detail}"));
            }
        })
        .unwrap();
    assert_eq!((summary.problems, summary.inbox_entries, summary.messages), (0, 3, 1));
    assert_eq!(problems, [""; 0]);
}

#[test]
fn everything_a_reader_can_ask_for_is_copied_from_where_it_begins() {
    run(async {
        let scene = Scene::new(Simulated::new(Calm));
        let others = [entry(1, "seq:a:b:c", 1_i64, "whose?"), entry(2, "seq:a:b", 3_i64, "old")];
        scene.db.put(Collection::History, others);
        let store = scene.open(0, Options::default()).await;
        for id in 1..=3 {
            store.append(direct(id, "a", "b")).await.unwrap();
        }
        store.trim(inbox("a"), Seq::new(2)).await.unwrap();
        let source = Source::new(std::sync::Arc::new(scene.db.clone()), &Options::default());
        assert_eq!(source.epoch().await.unwrap(), Some(store.epoch()));
        let mut items = source.items();
        let mut found: Vec<(TimelineId, u64, Vec<u64>)> = Vec::new();
        while let Some((page, _)) = items.next().await.unwrap() {
            for item in page {
                match item {
                    Item::Timeline(id, first) => found.push((id, first.get(), Vec::new())),
                    Item::Entry(entry) => found.last_mut().unwrap().2.push(entry.seq.get()),
                }
            }
        }
        let expected = [
            (direct_timeline("a", "b"), 3, vec![3, 4, 5, 6]),
            (inbox("a"), 3, vec![3]),
            (inbox("b"), 1, vec![1, 2, 3]),
        ];
        assert_eq!(found, expected);
    });
}
