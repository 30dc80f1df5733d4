//! Watches: whoever makes one, reads and then waits misses no growth.

use super::follow::Follower;
use super::scene::{Scene, Task, direct, direct_timeline, group, group_timeline, inbox};
use super::subject::Subject;

/// Two sides take turns: each waits for the other's message before it answers.
pub fn two_who_take_turns_never_wait_in_vain(subject: &dyn Subject) {
    let scene = Scene::new(subject);
    let patience = scene.patience();
    scene.all([("a", "b", 0), ("b", "a", 1)].map(|(me, other, odd)| {
        let sender = scene.sender();
        async move {
            for turn in 0..60 {
                if turn % 2 == odd {
                    sender.send(direct(me, other, "{}")).await.expect("a send is taken");
                    continue;
                }
                loop {
                    let watch = sender.store.watch(&inbox(me));
                    let bounds = sender.store.bounds(vec![inbox(me)]).await;
                    if bounds.expect("bounds can be read")[0].latest.get() > turn {
                        break;
                    }
                    let grown = tokio::time::timeout(patience, watch.grown()).await;
                    assert!(grown.is_ok(), "a watch misses no growth");
                }
            }
        }
    }));
    scene.verify();
}

/// A watch made before a send wakes for it even if nobody waits yet when it happens.
pub fn growth_before_the_wait_counts(subject: &dyn Subject) {
    let scene = Scene::new(subject);
    let store = scene.store();
    let timelines =
        [inbox("a"), inbox("b"), direct_timeline("a", "b"), group_timeline("g"), inbox("last")];
    let watches = timelines.map(|timeline| (store.watch(&timeline), timeline));
    let everybody: Vec<String> = (0..500).map(|index| index.to_string()).collect();
    scene.sent(direct("a", "b", "{}"));
    scene.sent(group("g", everybody.iter().map(String::as_str).chain(["last"]), "{}"));
    for (watch, timeline) in watches {
        let grown =
            scene.run(async { tokio::time::timeout(scene.patience(), watch.grown()).await });
        assert!(grown.is_ok(), "{timeline}: a watch misses no growth");
    }
}

/// Many wait at one timeline: all of them see each entry.
pub fn all_who_watch_a_timeline_wake(subject: &dyn Subject) {
    let scene = Scene::new(subject);
    let followers = (0..20).map(|seed| {
        let timeline = if seed % 2 == 0 { inbox("hub") } else { group_timeline("g") };
        Box::pin(Follower::new(&scene, timeline, seed).to(30)) as Task
    });
    let sender = scene.sender();
    let sending = Box::pin(async move {
        for _ in 0..30 {
            sender.send(group("g", ["hub", "other"], "{}")).await.expect("a send is taken");
            // Everybody is asleep again before the next one comes, more often than not.
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
        }
    }) as Task;
    scene.all(followers.chain([sending]));
}
