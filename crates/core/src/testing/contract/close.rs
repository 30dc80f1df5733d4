//! Closing and checking: what was begun is finished, and what is stored holds.

use super::crowd;
use super::scene::{End, Scene, Task, direct, group, inbox, whole};
use super::subject::Subject;
use crate::error::Error;
use crate::seq::Seq;
use crate::store::{CheckEvent, CheckSummary};

/// After a close nothing is taken or answered any more, and the store says so.
pub fn a_closed_store_refuses_everything(subject: &dyn Subject) {
    let mut scene = Scene::new(subject);
    scene.sent(direct("a", "b", "{}"));
    let store = scene.store();
    assert_eq!(store.status().refuses_sends, None, "an open store takes sends");
    scene.run(store.close()).expect("an idle store closes");
    let refused = scene.send(direct("a", "b", "{}"));
    assert!(matches!(refused, Err(Error::Unavailable { .. })), "closed, but: {refused:?}");
    assert!(scene.run(store.read(whole(&inbox("a")))).is_err(), "closed, but it reads");
    assert!(scene.run(store.bounds(vec![inbox("a")])).is_err(), "closed, but it tells bounds");
    assert!(scene.run(store.trim(inbox("a"), Seq::FIRST)).is_err(), "closed, but it trims");
    assert!(store.status().refuses_sends.is_some(), "closed, but it says nothing of it");
    drop(store);
    scene.restart(End::Abrupt);
    scene.sent(direct("a", "b", "{}"));
    scene.restart(End::Clean);
}

/// A close in the middle of a storm: each send is either acknowledged and kept, or refused.
pub fn a_close_finishes_what_was_begun(subject: &dyn Subject) {
    let mut scene = Scene::new(subject);
    for round in 0..3 {
        let closing = scene.store();
        let sending = (0..24).map(|task| {
            let sender = scene.sender();
            Box::pin(async move {
                for index in 0.. {
                    let sent = sender.send(crowd::send(round * 100 + task, index)).await;
                    if sent.is_err() {
                        break;
                    }
                    assert!(index < 10_000, "a close ends all sending");
                    tokio::task::yield_now().await;
                }
            }) as Task
        });
        let close = Box::pin(async move {
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            closing.close().await.expect("a busy store closes");
        }) as Task;
        scene.all(sending.chain([close]));
        scene.restart(End::Abrupt);
    }
}

/// The check counts what was sent and finds nothing wrong with it, whatever was restarted.
pub fn a_check_counts_everything_and_finds_nothing_wrong(subject: &dyn Subject) {
    let mut scene = Scene::new(subject);
    for round in 1..=3 {
        scene.sent(direct("a", "b", "{}"));
        scene.sent(direct("a", "a", "{}"));
        for index in 0..40 {
            scene.sent(group("g", ["a", "b", "c"], &format!(r#"{{"index":{index}}}"#)));
        }
        let expected = CheckSummary {
            timelines: 6,
            inbox_entries: round * (2 + 1 + 120),
            messages: round * 42,
            problems: 0,
        };
        assert_eq!(checked(&scene), expected, "a check counts all there is");
        scene.restart(if round % 2 == 0 { End::Clean } else { End::Abrupt });
        assert_eq!(checked(&scene), expected, "a check counts all there is");
    }
}

fn checked(scene: &Scene<'_>) -> CheckSummary {
    let mut problems = Vec::new();
    let summary = scene.store().check(&mut |event| {
        if let CheckEvent::Problem { place, detail } = event {
            problems.push(format!("{place}: {detail}"));
        }
    });
    assert!(problems.is_empty(), "nothing is wrong, but: {problems:?}");
    summary.expect("an open store can be checked")
}
