//! Trims: only the oldest go, a reader is told, and no number is ever used twice.

use std::sync::Arc;

use super::crowd;
use super::scene::{
    End, Scene, Task, direct, direct_timeline, group, group_timeline, inbox, whole,
};
use super::subject::Subject;
use crate::id::TimelineId;
use crate::page::{Bounds, Direction, Read};
use crate::seq::Seq;

fn bounds(first: u64, latest: u64) -> Bounds {
    Bounds { first: Seq::new(first), latest: Seq::new(latest) }
}

/// The floor only rises, pages begin at it and say so, and a restart does not lower it.
pub fn a_trim_forgets_the_oldest_and_says_so(subject: &dyn Subject) {
    let mut scene = Scene::new(subject);
    for _ in 0..100 {
        scene.sent(group("g", ["a", "b"], "{}"));
    }
    for (up_to, first) in
        [(0, 1), (1, 2), (10, 11), (5, 11), (10, 11), (63, 64), (64, 65), (80, 81)]
    {
        for timeline in [inbox("a"), group_timeline("g")] {
            assert_eq!(scene.trim(&timeline, up_to), bounds(first, 100), "trimmed to {up_to}");
            begins_at(&scene, &timeline, first);
        }
        if up_to == 10 || up_to == 64 {
            scene.restart(End::Abrupt);
        }
    }
    scene.restart(End::Clean);
    for timeline in [inbox("a"), group_timeline("g")] {
        begins_at(&scene, &timeline, 81);
    }
    // Trims of one timeline leave the messages to all others.
    begins_at(&scene, &inbox("b"), 1);
}

fn begins_at(scene: &Scene<'_>, timeline: &TimelineId, first: u64) {
    for direction in [Direction::Forward, Direction::Backward] {
        let read = Read { direction, ..whole(timeline) };
        let page = scene.run(scene.store().read(read)).expect("a timeline can be read");
        let oldest = page.entries.iter().map(|entry| entry.seq.get()).min();
        assert_eq!(oldest, Some(first), "{timeline}: the oldest entry is the first");
        assert_eq!(page.bounds.first.get(), first, "{timeline}: a reader is told the first");
        assert!(!page.more);
    }
    let read = Read { until: Seq::new(first - 1), ..whole(timeline) };
    let page = scene.run(scene.store().read(read)).expect("a timeline can be read");
    assert!(page.entries.is_empty() && !page.more, "{timeline}: what is gone is gone");
}

/// However far a trim reaches, the newest entry stays, and the next number is the next.
pub fn the_newest_entry_always_stays(subject: &dyn Subject) {
    let mut scene = Scene::new(subject);
    let chat = direct_timeline("a", "b");
    for (round, up_to) in [(1, 3), (2, 7), (3, 1_000), (4, u64::MAX)] {
        for _ in 0..3 {
            scene.sent(direct("a", "b", "{}"));
        }
        let latest = 3 * round;
        for timeline in [&chat, &inbox("a")] {
            let kept = up_to.min(latest - 1) + 1;
            assert_eq!(scene.trim(timeline, up_to), bounds(kept, latest), "the newest stays");
        }
        scene.restart(if round % 2 == 0 { End::Clean } else { End::Abrupt });
        scene.restart(End::Abrupt);
    }
    assert_eq!(scene.sent(direct("b", "a", "{}")).conversation_seq, Seq::new(13));
    scene.restart(End::Abrupt);
}

/// A timeline nobody sent to has nothing to trim and begins at 1 all the same.
pub fn a_trim_of_nothing_changes_nothing(subject: &dyn Subject) {
    let mut scene = Scene::new(subject);
    assert_eq!(scene.trim(&inbox("a"), 50), Bounds::EMPTY);
    scene.restart(End::Abrupt);
    scene.sent(direct("a", "b", "{}"));
    scene.restart(End::Clean);
    assert_eq!(scene.trim(&inbox("a"), 1), bounds(1, 1));
    scene.verify();
}

/// Trims while a crowd sends: the bounds rise only, and every page is without a hole.
pub fn trims_while_others_send_leave_no_hole(subject: &dyn Subject) {
    let mut scene = Scene::new(subject);
    crowd::storm(&scene, 4, 8);
    scene.verify();
    // Gone when the last sender has ended, however it ends.
    let sending = Arc::new(());
    let trimming = ["ann", "ben", "cho"].map(|name| {
        let (sender, sending) = (scene.sender(), Arc::downgrade(&sending));
        Box::pin(async move {
            let (store, timeline) = (&sender.store, inbox(name));
            let mut before = Bounds::EMPTY;
            for step in 1.. {
                if sending.strong_count() == 0 {
                    break;
                }
                let up_to = Seq::new(before.latest.get().saturating_sub(step % 5));
                let now = store.trim(timeline.clone(), up_to).await.expect("it can be trimmed");
                assert!(now.first >= before.first && now.latest >= before.latest);
                let page = store.read(whole(&timeline)).await.expect("it can be read");
                assert!(page.bounds.first >= now.first && page.bounds.latest >= now.latest);
                let seqs = page.entries.iter().map(|entry| entry.seq.get());
                let expected = page.bounds.first.get()..=page.bounds.latest.get();
                assert!(seqs.eq(expected), "{timeline}: a page without a hole");
                // Only what was seen is trimmed, so the ledger knows all there ever was.
                before = page.bounds;
                sender.observe(&timeline, page.entries);
                tokio::task::yield_now().await;
            }
        }) as Task
    });
    let senders: Vec<Task> = (10..26)
        .map(|task| {
            let (sender, sending) = (scene.sender(), Arc::clone(&sending));
            Box::pin(async move {
                for index in 0..8 {
                    sender
                        .send(crowd::send(task, index))
                        .await
                        .expect("the store takes every send");
                }
                drop(sending);
            }) as Task
        })
        .collect();
    drop(sending);
    scene.all(trimming.into_iter().chain(senders));
    scene.adopt_trims(&["ann", "ben", "cho"].map(inbox));
    scene.restart(End::Abrupt);
}
