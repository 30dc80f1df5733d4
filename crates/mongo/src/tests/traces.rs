//! Traces: single stories in which a store without one of the rules breaks a promise.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mongodb::bson::doc;
use mongodb::bson::raw::RawDocumentBuf;
use seqline_core::clock::{Clock as _, UnixMillis};
use seqline_core::error::Error;
use seqline_core::id::{Epoch, Text};
use seqline_core::seq::Seq;
use seqline_core::store::Store as _;

use super::scenes::{But, Scene, direct, direct_timeline, group, ids, inbox, keyed, read, run};
use crate::db::simulated::{Calm, Command, Simulated, Verdict};
use crate::db::{Collection, Update};
use crate::hints::{Claim, ClaimFuture, Hint, HintFuture, Hints, Nothing};
use crate::options::Options;

fn is_insert(command: &Command, wanted: Collection) -> bool {
    matches!(command, Command::Insert(into, _) if *into == wanted)
}

/// Nothing is resumed by itself.
fn alone() -> Options {
    Options {
        resume_after: Duration::from_secs(365 * 24 * 60 * 60),
        mark_interval: Duration::from_secs(3_600),
        operation_time: Duration::from_secs(2),
        command_time: Duration::from_secs(1),
        ..Options::default()
    }
}

#[test]
fn whoever_sends_next_delivers_first_what_a_dead_instance_left() {
    run(async {
        // Instance 0 gets as far as the conversation.
        let weather = But(|by, command: &Command| match command {
            Command::Insert(Collection::Inboxes, _) if by == 0 => Verdict::Never,
            _ => Verdict::Done,
        });
        let scene = Scene::new(Simulated::new(weather));
        let dead = scene.open(0, alone()).await;
        let alive = scene.open(1, alone()).await;
        for id in 1..=3 {
            let unknown = dead.append(group(id, "g", ["a", "b"])).await;
            assert!(matches!(unknown, Err(Error::OutcomeUnknown { .. })), "{unknown:?}");
        }
        assert_eq!(ids(&alive, &inbox("a")).await, [0; 0]);
        // Others than the recipients of the earlier ones.
        let receipt = alive.append(group(4, "g", ["b", "c"])).await.unwrap();
        assert_eq!(receipt.conversation_seq, Seq::new(4));
        assert_eq!(ids(&alive, &inbox("a")).await, [1, 2, 3]);
        assert_eq!(ids(&alive, &inbox("b")).await, [1, 2, 3, 4]);
        assert_eq!(ids(&alive, &inbox("c")).await, [4]);
    });
}

#[test]
fn a_late_insert_of_a_send_that_was_tried_again_changes_nothing() {
    run(async {
        static INSERTS: AtomicUsize = AtomicUsize::new(0);
        let weather = But(|_, command: &Command| {
            let first = is_insert(command, Collection::History)
                && INSERTS.fetch_add(1, Ordering::SeqCst) == 0;
            if first { Verdict::Late(Duration::from_millis(500)) } else { Verdict::Done }
        });
        let scene = Scene::new(Simulated::new(weather));
        let store = scene.open(0, alone()).await;
        let receipt = store.append(direct(1, "a", "b")).await.unwrap();
        assert_eq!((receipt.conversation_seq, receipt.repeat), (Seq::FIRST, false));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(store.append(direct(2, "a", "b")).await.unwrap().conversation_seq, Seq::new(2));
        assert_eq!(ids(&store, &direct_timeline("a", "b")).await, [1, 2]);
        assert_eq!(ids(&store, &inbox("b")).await, [1, 2]);
    });
}

#[test]
fn a_lost_reply_is_looked_up_and_no_repeat() {
    run(async {
        static INSERTS: AtomicUsize = AtomicUsize::new(0);
        let weather = But(|_, command: &Command| {
            let insert = matches!(command, Command::Insert(..));
            let unheard = insert && INSERTS.fetch_add(1, Ordering::SeqCst) % 2 == 1;
            if unheard { Verdict::Unheard } else { Verdict::Done }
        });
        let scene = Scene::new(Simulated::new(weather));
        let store = scene.open(0, alone()).await;
        for n in 1..=6 {
            let receipt = store.append(keyed(&format!("{n}"), direct(n, "a", "b"))).await.unwrap();
            assert_eq!(u128::from(receipt.conversation_seq.get()), n);
            assert_eq!(u128::from(receipt.receiver_seq.get()), n);
            assert!(!receipt.repeat);
        }
        assert_eq!(ids(&store, &inbox("a")).await, [1, 2, 3, 4, 5, 6]);
    });
}

#[test]
fn a_mark_that_was_lost_keeps_an_entry_from_being_deleted_and_delivered_again() {
    run(async {
        static MARKS_ARE_LOST: AtomicUsize = AtomicUsize::new(1);
        let weather = But(|_, command: &Command| {
            let mark = matches!(command, Command::Update(Update::MarkWhole { .. }));
            let lost = mark && MARKS_ARE_LOST.load(Ordering::SeqCst) == 1;
            if lost { Verdict::Never } else { Verdict::Done }
        });
        let scene = Scene::new(Simulated::new(weather));
        let store = scene.open(0, alone()).await;
        for id in 1..=3 {
            store.append(direct(id, "a", "b")).await.unwrap();
        }
        assert_eq!(store.trim(inbox("b"), Seq::new(2)).await.unwrap().first, Seq::new(3));
        drop(store);
        // Long after, everything trimmed would be old enough.
        let grace = u64::try_from(Options::default().grace.as_millis()).unwrap();
        scene.clock.advance(2 * grace);
        let other = scene.open(1, alone()).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(scene.db.all(Collection::Inboxes).len(), 6, "none of these is surely whole");
        MARKS_ARE_LOST.store(0, Ordering::SeqCst);
        while other.resume(Duration::ZERO).await.unwrap() > 0 {}
        assert_eq!(ids(&other, &inbox("b")).await, [3]);
        // Whole now, but not for long.
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(scene.db.all(Collection::Inboxes).len(), 6);
        scene.clock.advance(2 * grace);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(scene.db.all(Collection::Inboxes).len(), 4, "the two below the floor are gone");
        assert_eq!(other.append(direct(4, "a", "b")).await.unwrap().receiver_seq, Seq::new(4));
    });
}

/// Remembers what an instance tells of tails, and knows nothing.
#[derive(Default)]
struct Told(Mutex<Vec<(Text, Hint)>>);

impl Hints for Told {
    fn tails(&self, epoch: Epoch, members: Vec<Text>) -> HintFuture {
        Nothing.tails(epoch, members)
    }

    fn put(&self, _: Epoch, tails: Vec<(Text, Hint)>) {
        self.0.lock().unwrap().extend(tails);
    }

    fn claim(&self, epoch: Epoch, members: Vec<Text>) -> ClaimFuture {
        Nothing.claim(epoch, members)
    }

    fn release(&self, _: Epoch, _: Vec<Text>) {}
}

#[test]
fn a_tail_is_told_with_the_time_when_it_was_known() {
    // An instance that found an entry delivered by another told its own old tail as one of now:
    // told on and on, it would have outlived the deletion of what it points at.
    run(async {
        let scene = Scene::new(Simulated::new(Calm));
        let told = Arc::new(Told::default());
        let store = scene.open_beside(0, alone(), told.clone()).await;
        let other = scene.open(1, alone()).await;
        store.append(direct(1, "a", "b")).await.unwrap();
        let known = scene.clock.now();
        let minutes = Duration::from_secs(300);
        tokio::time::advance(minutes).await;
        scene.clock.advance(minutes.as_millis().try_into().unwrap());
        other.append(direct(2, "a", "b")).await.unwrap();
        assert!(store.resume(Duration::ZERO).await.unwrap() > 0, "its mark is not there yet");
        let told = told.0.lock().unwrap();
        assert_eq!(told.len(), 2, "two inboxes after the one delivery of its own");
        for (member, hint) in told.iter().filter(|(_, hint)| hint.seq == Seq::FIRST) {
            assert!(hint.at <= known, "{member:?} had {hint:?} at {known:?} and not later");
        }
    });
}

/// Says of every inbox that it is far ahead, and another's turn.
struct Lies;

impl Hints for Lies {
    fn tails(&self, _: Epoch, members: Vec<Text>) -> HintFuture {
        let lie = Hint { seq: Seq::new(1_000), at: UnixMillis(u64::MAX) };
        Box::pin(std::future::ready(vec![Some(lie); members.len()]))
    }

    fn put(&self, _: Epoch, _: Vec<(Text, Hint)>) {}

    fn claim(&self, _: Epoch, members: Vec<Text>) -> ClaimFuture {
        let hint = Some(Hint { seq: Seq::new(1_000), at: UnixMillis(u64::MAX) });
        Box::pin(std::future::ready(vec![Claim { ours: false, hint }; members.len()]))
    }

    fn release(&self, _: Epoch, _: Vec<Text>) {}
}

#[test]
fn a_tail_that_is_said_to_be_higher_than_it_is_leaves_no_hole() {
    // A hint was taken for a tail: the next entry got the number behind it.
    run(async {
        let scene = Scene::new(Simulated::new(Calm));
        let (cold, told) = (scene.open(0, alone()).await, scene.open(1, alone()).await);
        told.append(direct(1, "a", "b")).await.unwrap();
        drop(told);
        let believing = scene.open_beside(2, alone(), Arc::new(Lies)).await;
        for (id, store) in [(2, &believing), (3, &cold), (4, &believing)] {
            let receipt = store.append(direct(id, "a", "b")).await.unwrap();
            assert_eq!(u128::from(receipt.receiver_seq.get()), id);
        }
        assert_eq!(ids(&cold, &inbox("b")).await, [1, 2, 3, 4]);
    });
}

#[test]
fn a_tail_that_memory_has_no_room_for_is_not_that_of_an_empty_inbox() {
    // A tail that was forgotten between its reading and the insert was taken for 0: where the first
    // entries are deleted, their numbers were given again.
    run(async {
        let scene = Scene::new(Simulated::new(Calm));
        let forgetful = Options {
            tails_max: 0,
            mark_interval: Duration::from_millis(10),
            ..Options::default()
        };
        let store = scene.open(0, forgetful.clone()).await;
        for id in 1..=3 {
            store.append(direct(id, "a", "b")).await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        store.trim(inbox("b"), Seq::new(2)).await.unwrap();
        scene.clock.advance(2 * u64::try_from(forgetful.grace.as_millis()).unwrap());
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(scene.db.all(Collection::Inboxes).len(), 4, "two of b's three are deleted");
        assert_eq!(store.append(direct(4, "a", "b")).await.unwrap().receiver_seq, Seq::new(4));
    });
}

#[test]
fn a_key_that_came_free_by_deletion_stores_a_message_that_all_receive() {
    run(async {
        let scene = Scene::new(Simulated::new(Calm));
        let quick = Options { mark_interval: Duration::from_millis(10), ..Options::default() };
        let store = scene.open(0, quick.clone()).await;
        store.append(keyed("k", direct(1, "a", "b"))).await.unwrap();
        store.append(direct(2, "a", "b")).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        store.trim(direct_timeline("a", "b"), Seq::new(1)).await.unwrap();
        scene.clock.advance(2 * u64::try_from(quick.grace.as_millis()).unwrap());
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(scene.db.all(Collection::History).len(), 1, "the first is deleted");
        // The inboxes still have the first message under this key.
        let receipt = store.append(keyed("k", direct(3, "a", "b"))).await.unwrap();
        assert!(!receipt.repeat);
        assert_eq!(ids(&store, &inbox("b")).await, [1, 2, 3]);
    });
}

#[test]
fn an_instance_whose_database_has_another_epoch_ends() {
    run(async {
        let scene = Scene::new(Simulated::new(Calm));
        let store = scene.open(0, Options::default()).await;
        let backup = scene.db.backup();
        store.append(direct(1, "a", "b")).await.unwrap();
        scene.db.restore(&backup);
        let epoch = doc! { "_id": "epoch", "value": 77_i64 };
        scene.db.put(Collection::Meta, [RawDocumentBuf::try_from(&epoch).unwrap()]);
        tokio::time::sleep(3 * Options::default().care_interval).await;
        let refused = store.append(direct(2, "a", "b")).await;
        assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
        assert!(store.status().refuses_sends.is_some());
        let next = scene.open(0, Options::default()).await;
        assert_eq!(read(&next, &inbox("b")).await.epoch, Epoch(77));
        assert_eq!(next.append(direct(3, "a", "b")).await.unwrap().receiver_seq, Seq::FIRST);
    });
}

#[test]
fn a_full_queue_refuses_and_stores_nothing() {
    run(async {
        let scene = Scene::new(Simulated::new(But(|_, _: &Command| Verdict::Done)));
        let options = Options { queued_sends_max: 3, ..Options::default() };
        let store = scene.open(0, options).await;
        let sends = (1..=8).map(|id| store.append(direct(id, "a", "b")));
        let answers = futures_util::future::join_all(sends).await;
        let taken = answers.iter().filter(|answer| answer.is_ok()).count();
        let full = |answer: &&_| matches!(answer, Err(Error::Overloaded { .. }));
        assert_eq!((taken, answers.iter().filter(full).count()), (3, 5));
        assert_eq!(ids(&store, &inbox("b")).await.len(), 3);
        assert_eq!(store.status().queued_sends, 0);
    });
}

#[test]
fn a_send_no_document_can_hold_is_refused_before_anything_is_stored() {
    run(async {
        let scene = Scene::new(Simulated::new(Calm));
        let store = scene.open(0, Options::default()).await;
        let everybody: Vec<String> = (0..20_000).map(|n| format!("{n:01000}")).collect();
        let refused = store.append(group(1, "g", &everybody)).await;
        assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}");
        assert_eq!(store.append(group(2, "g", ["a"])).await.unwrap().conversation_seq, Seq::FIRST);
    });
}
