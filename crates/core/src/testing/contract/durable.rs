//! Promise 3: what was acknowledged, or only read, is there after the store was killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::crowd::{self, GROUPS};
use super::scene::{End, Scene, Task, direct, group, group_timeline, inbox, whole};
use super::subject::Subject;

/// A crowd sends, the store is killed in the middle of it, several times.
pub fn acknowledged_sends_survive_a_kill_under_load(subject: &dyn Subject) {
    let mut scene = Scene::new(subject);
    for round in 0..4 {
        let acknowledged = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let stop = Arc::new(stop);
        let tasks = (0..24).map(|task| {
            let (sender, acknowledged) = (scene.sender(), Arc::clone(&acknowledged));
            let (stop, mut stopped) = (Arc::clone(&stop), stopped.clone());
            async move {
                for index in 0.. {
                    let sending = sender.send(crowd::send(round * 100 + task, index));
                    // Once enough is acknowledged, whatever is under way is dropped.
                    tokio::select! {
                        result = sending => result.expect("the store takes every send"),
                        _ = stopped.wait_for(|stopped| *stopped) => break,
                    };
                    if acknowledged.fetch_add(1, Ordering::SeqCst) == 100 {
                        stop.send_replace(true);
                    }
                }
            }
        });
        scene.all(tasks);
        scene.restart(if round % 2 == 0 { End::Abrupt } else { End::Clean });
    }
}

/// One send, one restart, and so on: nothing hides between a checkpoint and the next.
pub fn every_single_send_survives_a_restart(subject: &dyn Subject) {
    let mut scene = Scene::new(subject);
    for index in 0..4 {
        for end in [End::Abrupt, End::Clean, End::Abrupt] {
            scene.sent(direct("a", "b", &format!(r#"{{"index":{index}}}"#)));
            scene.restart(end);
        }
        scene.sent(group("g", ["a", "c"], "{}"));
        scene.restart(End::Abrupt);
        // Nothing was sent in between, and nothing may change.
        scene.restart(End::Clean);
    }
}

/// What a reader has seen before its sender had an answer does not vanish either.
pub fn what_was_read_survives_a_kill(subject: &dyn Subject) {
    let mut scene = Scene::new(subject);
    for round in 0..3 {
        let sending = (0..16).map(|task| {
            let sender = scene.sender();
            async move {
                for index in 0..6 {
                    let send = crowd::send(round * 100 + task, index);
                    crowd::cut_off(sender.clone(), send, 200).await;
                }
            }
        });
        let reading = GROUPS.iter().map(|name| {
            let sender = scene.sender();
            async move {
                for _ in 0..40 {
                    for timeline in [group_timeline(name), inbox("ann"), inbox("dan")] {
                        let page = sender.store.read(whole(&timeline)).await;
                        sender.observe(&timeline, page.expect("a timeline can be read").entries);
                    }
                    tokio::task::yield_now().await;
                }
            }
        });
        let mut tasks: Vec<Task> = Vec::new();
        tasks.extend(sending.map(|task| Box::pin(task) as Task));
        tasks.extend(reading.map(|task| Box::pin(task) as Task));
        scene.all(tasks);
        scene.restart(End::Abrupt);
    }
}
