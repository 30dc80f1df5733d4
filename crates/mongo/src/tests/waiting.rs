//! Waiting: for what other instances write where nobody tells, and of sends for each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use seqline_core::error::Error;
use seqline_core::id::{Epoch, Text, TimelineId};
use seqline_core::store::Store as _;
use seqline_core::watch::Watch;
use tokio::time::{Instant, timeout};

use super::scenes::{But, Scene, direct, direct_timeline, group, group_timeline, ids, inbox, run};
use crate::db::simulated::{Calm, Simulated, Steady, Verdict};
use crate::hints::{CLAIM_TIME, Claim, ClaimFuture, Hint, HintFuture, Hints, Nothing};
use crate::options::Options;
use crate::store::MongoStore;

const LOOK: Duration = Duration::from_secs(2);
const SOON: Duration = Duration::from_secs(3);

/// Makes watches that have been woken by the first look, as what they wait for was not known.
async fn settled(store: &MongoStore, timeline: &TimelineId) -> Watch {
    store.watch(timeline).grown().await;
    store.watch(timeline)
}

#[test]
fn a_reader_hears_of_what_another_instance_wrote_and_told_nobody() {
    run(async {
        let scene = Scene::new(Simulated::new(Steady(Duration::from_millis(1))));
        let (one, other) =
            (scene.open(0, Options::default()).await, scene.open(1, Options::default()).await);
        for timeline in [inbox("ben"), direct_timeline("ann", "ben")] {
            let before = ids(&other, &timeline).await.len();
            let watch = settled(&other, &timeline).await;
            one.append(direct(u128::MAX - before as u128, "ann", "ben")).await.unwrap();
            let sent = Instant::now();
            watch.grown().await;
            assert!(sent.elapsed() <= SOON, "{:?}", sent.elapsed());
            assert_eq!(ids(&other, &timeline).await.len(), before + 1);
        }
    });
}

/// Says that every inbox is another's turn, and stays so.
struct Held;

impl Hints for Held {
    fn tails(&self, epoch: Epoch, members: Vec<Text>) -> HintFuture {
        Nothing.tails(epoch, members)
    }

    fn put(&self, _: Epoch, _: Vec<(Text, Hint)>) {}

    fn claim(&self, _: Epoch, members: Vec<Text>) -> ClaimFuture {
        let held = Claim { ours: false, hint: None };
        Box::pin(std::future::ready(vec![held; members.len()]))
    }

    fn release(&self, _: Epoch, _: Vec<Text>) {}
}

#[test]
fn an_inbox_that_is_never_given_back_holds_a_send_up_for_a_moment_only() {
    run(async {
        let scene = Scene::new(Simulated::new(Steady(Duration::from_millis(1))));
        let one = scene.open_beside(0, Options::default(), Arc::new(Held)).await;
        let other = scene.open_beside(1, Options::default(), Arc::new(Held)).await;
        // Each knows a tail that the other makes old.
        one.append(direct(1, "ann", "ben")).await.unwrap();
        other.append(direct(2, "cid", "ben")).await.unwrap();
        let began = Instant::now();
        one.append(direct(3, "ann", "ben")).await.unwrap();
        let took = began.elapsed();
        assert!((CLAIM_TIME..2 * CLAIM_TIME).contains(&took), "its position was taken: {took:?}");
        // Nobody is seen to give anything back, so it is not waited for again and again.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let began = Instant::now();
        one.append(direct(4, "ann", "ben")).await.unwrap();
        assert!(began.elapsed() < CLAIM_TIME, "{:?}", began.elapsed());
        assert_eq!(ids(&one, &inbox("ben")).await, [1, 2, 3, 4]);
    });
}

#[test]
fn what_came_between_a_read_and_the_first_look_is_not_missed() {
    run(async {
        let scene = Scene::new(Simulated::new(Calm));
        let (one, other) =
            (scene.open(0, Options::default()).await, scene.open(1, Options::default()).await);
        let watch = other.watch(&inbox("ben"));
        assert_eq!(ids(&other, &inbox("ben")).await, []);
        one.append(direct(1, "ann", "ben")).await.unwrap();
        timeout(SOON, watch.grown()).await.expect("the first look wakes");
        // Nor what comes while the reader reads again.
        one.append(direct(2, "ann", "ben")).await.unwrap();
        let watch = other.watch(&inbox("ben"));
        timeout(SOON, watch.grown()).await.expect("the second look wakes");
    });
}

#[test]
fn a_reader_sleeps_while_nothing_grows() {
    run(async {
        let scene = Scene::new(Simulated::new(Calm));
        let (one, other) =
            (scene.open(0, Options::default()).await, scene.open(1, Options::default()).await);
        one.append(direct(1, "ann", "ben")).await.unwrap();
        let watch = settled(&other, &inbox("ben")).await;
        one.append(direct(2, "ann", "cid")).await.unwrap();
        assert!(timeout(100 * LOOK, watch.grown()).await.is_err(), "woken for nothing");
    });
}

#[test]
fn more_timelines_than_fit_into_a_command_are_all_looked_at() {
    run(async {
        let scene = Scene::new(Simulated::new(Calm));
        let (one, other) =
            (scene.open(0, Options::default()).await, scene.open(1, Options::default()).await);
        let names: Vec<String> = (0..2_500).map(|n| format!("member {n}")).collect();
        // One after the other, as they share slots and a wake-up may be another's.
        one.append(group(1, "all", &names)).await.unwrap();
        let first: Vec<Watch> = names.iter().map(|name| other.watch(&inbox(name))).collect();
        for watch in first {
            watch.grown().await;
        }
        let watches: Vec<Watch> = names.iter().map(|name| other.watch(&inbox(name))).collect();
        let of_group = settled(&other, &group_timeline("all")).await;
        one.append(group(2, "all", &names)).await.unwrap();
        for watch in watches.into_iter().chain([of_group]) {
            timeout(SOON, watch.grown()).await.expect("each is woken");
        }
    });
}

#[test]
fn who_waits_no_more_is_forgotten() {
    run(async {
        let scene = Scene::new(Simulated::new(Calm));
        let store = scene.open(0, Options::default()).await;
        let kept = store.watch(&inbox("ann"));
        for n in 0..1_000 {
            drop(store.watch(&inbox(&format!("member {n}"))));
        }
        assert_eq!(store.shared.watched.len(), 1_001);
        tokio::time::sleep(10 * LOOK).await;
        assert_eq!(store.shared.watched.len(), 1);
        drop(kept);
        tokio::time::sleep(10 * LOOK).await;
        assert_eq!(store.shared.watched.len(), 0);
    });
}

#[test]
fn the_time_of_a_send_counts_from_when_it_came_and_not_from_its_turn() {
    run(async {
        let silent = Arc::new(AtomicBool::new(false));
        let weather = {
            let silent = Arc::clone(&silent);
            But(move |_, _: &_| match silent.load(Ordering::Relaxed) {
                true => Verdict::Never,
                false => Verdict::Done,
            })
        };
        let scene = Scene::new(Simulated::new(weather));
        let options = Options {
            operation_time: Duration::from_secs(2),
            command_time: Duration::from_secs(1),
            ..Options::default()
        };
        let store = scene.open(0, options.clone()).await;
        silent.store(true, Ordering::Relaxed);
        let sends = (0..20).map(|n| {
            let store = &store;
            async move {
                tokio::time::sleep(Duration::from_millis(150 * n)).await;
                let came = Instant::now();
                (store.append(direct(u128::from(n), "ann", "ben")).await, came.elapsed())
            }
        });
        for (answer, time) in futures_util::future::join_all(sends).await {
            // None was sent, so none is in doubt.
            assert!(matches!(answer, Err(Error::Unavailable { .. })), "{answer:?}");
            let most = options.operation_time + Duration::from_millis(700);
            assert!(time <= most, "{time:?}");
            assert!(time >= options.operation_time * 3 / 4, "{time:?}");
        }
    });
}

#[test]
fn a_send_whose_turn_at_an_inbox_does_not_come_ends_in_its_time_and_says_why() {
    run(async {
        let scene = Scene::new(Simulated::new(Calm));
        let options = Options {
            operation_time: Duration::from_secs(2),
            command_time: Duration::from_secs(1),
            ..Options::default()
        };
        let store = scene.open(0, options.clone()).await;
        let ben = Text::from("ben");
        let held = store.shared.turns.take(&[&ben]).await;
        let came = Instant::now();
        let answer = store.append(direct(1, "ann", "ben")).await;
        let Err(Error::OutcomeUnknown { reason }) = &answer else {
            panic!("it is stored, and not with everybody: {answer:?}");
        };
        assert!(reason.contains("other sends to the same inboxes"), "{reason}");
        assert!(came.elapsed() <= options.operation_time, "{:?}", came.elapsed());
        drop(held);
        // Whoever comes next finishes it.
        store.append(direct(2, "ann", "ben")).await.unwrap();
        assert_eq!(ids(&store, &inbox("ben")).await, [1, 2]);
    });
}
