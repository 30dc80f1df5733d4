//! Promise 5: one order of a conversation's messages, in its timeline and in every inbox.

use super::scene::{End, Scene, direct, direct_timeline, group, group_timeline, whole};
use super::subject::Subject;
use crate::clock::{Clock as _, UnixMillis};
use crate::id::TimelineId;

/// Two groups with the same members and the chats between them, all sent to at once.
pub fn a_conversation_has_one_order_in_every_inbox(subject: &dyn Subject) {
    let mut scene = Scene::new(subject);
    let members = ["a", "b", "c", "d"];
    scene.all((0..32).map(|task: usize| {
        let sender = scene.sender();
        async move {
            for index in 0..8 {
                let text = format!(r#"{{"task":{task},"index":{index}}}"#);
                let (from, to) = (members[task % 4], members[(task + index) % 4]);
                let turned: Vec<_> = members.iter().cycle().skip(task % 4).take(4).collect();
                for send in [
                    group("one", &turned, &text),
                    direct(from, to, &text),
                    group("two", turned.iter().rev(), &text),
                ] {
                    sender.send(send).await.expect("the store takes every send");
                }
            }
        }
    }));
    scene.verify();
    scene.restart(End::Abrupt);
    scene.sent(group("one", members, "{}"));
    scene.restart(End::Clean);
}

/// The clock steps back, also between restarts: a conversation's times never do.
pub fn times_of_a_conversation_never_step_back(subject: &dyn Subject) {
    let mut scene = Scene::new(subject);
    let begin = scene.clock.now().0;
    for (step, end) in
        [(5_000, End::Clean), (1_000, End::Abrupt), (9_000, End::Abrupt), (0, End::Clean)]
    {
        scene.clock.set(UnixMillis(begin + step));
        scene.sent(group("g", ["a", "b"], "{}"));
        scene.sent(direct("a", "b", "{}"));
        scene.restart(end);
        scene.clock.set(UnixMillis(begin + step / 2));
        scene.sent(direct("b", "a", "{}"));
    }
    assert_eq!(
        times(&scene, &group_timeline("g")),
        [5_000, 5_000, 9_000, 9_000].map(|t| begin + t)
    );
    let expected = [5_000, 5_000, 5_000, 5_000, 9_000, 9_000, 9_000, 9_000];
    assert_eq!(times(&scene, &direct_timeline("a", "b")), expected.map(|t| begin + t));
    // A conversation that begins now has the time that it is now.
    assert_eq!(scene.sent(direct("a", "new", "{}")).at, UnixMillis(begin));
}

fn times(scene: &Scene<'_>, timeline: &TimelineId) -> Vec<u64> {
    let page = scene.run(scene.store().read(whole(timeline))).expect("a timeline can be read");
    page.entries.iter().map(|entry| entry.message.at.0).collect()
}
