//! Stories about what is used twice: the `_id` of a key that came free, and a tail that was known
//! before. A number and a place in an inbox never are. Each is a trace of the model in `model/`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use seqline_core::seq::Seq;
use seqline_core::store::Store as _;

use super::scenes::{But, Scene, direct, direct_timeline, ids, inbox, keyed, run};
use crate::db::simulated::{Calm, Command, Simulated, Verdict};
use crate::db::{Collection, Update};
use crate::options::Options;
use crate::store::MongoStore;

/// Long enough for an instance to delete what may go.
const CARE: Duration = Duration::from_secs(40);

fn grace() -> u64 {
    u64::try_from(Options::default().grace.as_millis()).unwrap()
}

fn deletes_history(command: &Command) -> bool {
    matches!(command, Command::Delete(entries) if entries.of == Collection::History)
}

/// Stores a message under the key `k` and one behind it, both of long ago.
async fn a_key_of_long_ago(scene: &Scene, store: &MongoStore) {
    store.append(keyed("k", direct(1, "a", "b"))).await.unwrap();
    store.append(direct(2, "a", "b")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    scene.clock.advance(2 * grace());
}

#[test]
fn a_tail_that_memory_has_no_room_for_is_not_taken_as_nothing() {
    // A tail that was lost between finding it out and its use counted as 0; with the first entry
    // deleted, its number was used twice, below the floor.
    run(async {
        let scene = Scene::new(Simulated::new(Calm));
        let forgetful = Options { tails_max: 1, ..Options::default() };
        let store = scene.open(0, forgetful).await;
        for id in 1..=3 {
            store.append(direct(id, "a", "b")).await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        for member in ["a", "b"] {
            store.trim(inbox(member), Seq::new(2)).await.unwrap();
        }
        scene.clock.advance(2 * grace());
        tokio::time::sleep(CARE).await;
        assert_eq!(scene.db.all(Collection::Inboxes).len(), 2, "what is below the floors is gone");
        for id in 4..=5 {
            let receipt = store.append(direct(id, "a", "b")).await.unwrap();
            assert_eq!(u128::from(receipt.receiver_seq.get()), id);
        }
        for member in ["a", "b"] {
            assert_eq!(ids(&store, &inbox(member)).await, [3, 4, 5]);
        }
    });
}

#[test]
fn two_tries_of_a_key_between_which_its_old_entry_is_deleted_store_one_message() {
    // "Used again" was said to whatever had the `_id` by then: to the message of the other try,
    // after which this one stored another under the key's next use.
    run(async {
        static SAYING_WAITS: AtomicBool = AtomicBool::new(true);
        let weather = But(|by, command: &Command| {
            let says = matches!(command, Command::Update(Update::UseAgain { .. }));
            let waits = says && by == 0 && SAYING_WAITS.load(Ordering::SeqCst);
            if waits { Verdict::Never } else { Verdict::Done }
        });
        let scene = Scene::new(Simulated::new(weather));
        let slow = Arc::new(scene.open(0, Options::default()).await);
        let quick = scene.open(1, Options::default()).await;
        a_key_of_long_ago(&scene, &quick).await;
        let first = tokio::spawn({
            let slow = Arc::clone(&slow);
            async move { slow.append(keyed("k", direct(3, "a", "b"))).await }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        quick.trim(direct_timeline("a", "b"), Seq::new(1)).await.unwrap();
        tokio::time::sleep(CARE).await;
        assert_eq!(scene.db.all(Collection::History).len(), 1, "the old entry is deleted");
        // The same payload, so that it is a repeat and no conflict.
        let mut second = keyed("k", direct(3, "a", "b"));
        second.id.0 = 4;
        let second = quick.append(second).await.unwrap();
        assert_eq!((second.id.0, second.repeat), (4, false));
        SAYING_WAITS.store(false, Ordering::SeqCst);
        let first = first.await.unwrap().unwrap();
        assert_eq!((first.id.0, first.repeat), (4, true), "the other try stored it");
        assert_eq!(ids(&quick, &inbox("b")).await, [1, 2, 4]);
    });
}

#[test]
fn a_deletion_that_comes_late_leaves_what_has_the_key_by_then() {
    // A deletion named `_id`s only: done late, it took the message that the key had stored since.
    run(async {
        static DELETIONS: AtomicUsize = AtomicUsize::new(0);
        let weather = But(|_, command: &Command| {
            let first = deletes_history(command) && DELETIONS.fetch_add(1, Ordering::SeqCst) == 0;
            if first { Verdict::Late(Duration::from_secs(30)) } else { Verdict::Done }
        });
        let scene = Scene::new(Simulated::new(weather));
        let store = scene.open(0, Options::default()).await;
        a_key_of_long_ago(&scene, &store).await;
        store.trim(direct_timeline("a", "b"), Seq::new(1)).await.unwrap();
        while DELETIONS.load(Ordering::SeqCst) < 2 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let receipt = store.append(keyed("k", direct(3, "a", "b"))).await.unwrap();
        assert_eq!((receipt.conversation_seq, receipt.repeat), (Seq::new(3), false));
        tokio::time::sleep(CARE).await;
        assert_eq!(ids(&store, &direct_timeline("a", "b")).await, [2, 3]);
        let next = store.append(direct(4, "a", "b")).await.unwrap();
        assert_eq!(next.conversation_seq, Seq::new(4));
    });
}

#[test]
fn a_mark_that_waited_too_long_does_not_mark_what_has_the_key_by_then() {
    // An instance that slept for longer than the grace period marked another message whole, under
    // the `_id` of the one it had delivered: nobody finished that delivery.
    run(async {
        static INBOXES_REFUSE: AtomicBool = AtomicBool::new(false);
        let weather = But(|_, command: &Command| {
            let inbox = matches!(command, Command::Insert(Collection::Inboxes, _));
            let lost = inbox && INBOXES_REFUSE.load(Ordering::SeqCst);
            if lost { Verdict::Never } else { Verdict::Done }
        });
        let scene = Scene::new(Simulated::new(weather));
        let hour = Duration::from_secs(3_600);
        let sleeper = scene.open(0, Options { mark_interval: hour, ..Options::default() }).await;
        let store = scene.open(1, Options::default()).await;
        sleeper.append(keyed("k", direct(1, "a", "b"))).await.unwrap();
        store.append(direct(2, "a", "b")).await.unwrap();
        while store.resume(Duration::ZERO).await.unwrap() > 0 {}
        scene.clock.advance(2 * grace());
        store.trim(direct_timeline("a", "b"), Seq::new(1)).await.unwrap();
        tokio::time::sleep(CARE).await;
        assert_eq!(scene.db.all(Collection::History).len(), 1, "the old entry is deleted");
        INBOXES_REFUSE.store(true, Ordering::SeqCst);
        store.append(keyed("k", direct(3, "a", "b"))).await.unwrap_err();
        tokio::time::sleep(hour).await;
        INBOXES_REFUSE.store(false, Ordering::SeqCst);
        while store.resume(Duration::ZERO).await.unwrap() > 0 {}
        assert_eq!(ids(&store, &inbox("b")).await, [1, 2, 3]);
        drop(sleeper);
    });
}

#[test]
fn a_floor_that_is_raised_again_in_the_same_millisecond_is_not_closed_by_what_went_before() {
    // "All is deleted" named the time of the raise it had seen: another of the same millisecond was
    // closed with it, and what it hid was kept for ever.
    run(async {
        static CLOSES: AtomicUsize = AtomicUsize::new(0);
        let weather = But(|_, command: &Command| {
            let closes = matches!(command, Command::Update(Update::CloseFloor { .. }));
            let first = closes && CLOSES.fetch_add(1, Ordering::SeqCst) == 0;
            if first { Verdict::Late(Duration::from_secs(30)) } else { Verdict::Done }
        });
        let scene = Scene::new(Simulated::new(weather));
        let store = scene.open(0, Options::default()).await;
        for id in 1..=3 {
            store.append(direct(id, "a", "b")).await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        // The clock stands still: both raises are of the same millisecond.
        scene.clock.advance(2 * grace());
        store.trim(inbox("b"), Seq::new(1)).await.unwrap();
        while CLOSES.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        store.trim(inbox("b"), Seq::new(2)).await.unwrap();
        tokio::time::sleep(2 * CARE).await;
        assert_eq!(scene.db.all(Collection::Inboxes).len(), 4, "a has three, b the newest");
    });
}

#[test]
fn a_key_that_was_used_many_times_is_used_again_in_few_round_trips() {
    // Each use was looked for on its own, with growing pauses: after 200 a send had no time left.
    const USES: u128 = 300;
    run(async {
        let scene = Scene::new(Simulated::new(But(|_, _: &Command| Verdict::Done)));
        let window = Duration::from_secs(1);
        let store = scene.open(0, Options { key_window: window, ..Options::default() }).await;
        for id in 1..=USES {
            store.append(keyed("k", direct(id, "a", "b"))).await.unwrap();
            scene.clock.advance(2_000);
        }
        let begin = tokio::time::Instant::now();
        let last = store.append(keyed("k", direct(USES + 1, "a", "b"))).await.unwrap();
        assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
        assert_eq!(u128::from(last.conversation_seq.get()), USES + 1);
        let mut again = keyed("k", direct(USES + 1, "a", "b"));
        again.id.0 = 1_000;
        let again = store.append(again).await.unwrap();
        assert_eq!((again.repeat, again.id.0), (true, USES + 1));
    });
}
