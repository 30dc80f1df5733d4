//! Promise 4: a send reaches its conversation and every inbox, or nothing at all.

use super::crowd;
use super::scene::{End, Scene, group, group_timeline, inbox};
use super::subject::Subject;

/// Many tasks, overlapping members: at the end every send is everywhere it belongs.
pub fn a_send_reaches_its_conversation_and_every_inbox(subject: &dyn Subject) {
    let mut scene = Scene::new(subject);
    crowd::storm(&scene, 32, 8);
    scene.verify();
    scene.restart(End::Abrupt);
    crowd::storm(&scene, 8, 8);
    scene.restart(End::Clean);
}

/// Callers give up before, while and after their send is stored: each is whole or absent, and
/// none leaves a hole.
pub fn a_send_given_up_is_whole_or_absent(subject: &dyn Subject) {
    let mut scene = Scene::new(subject);
    for (round, end) in [End::Clean, End::Abrupt, End::Abrupt].into_iter().enumerate() {
        let tasks = (0..32).map(|task| {
            let sender = scene.sender();
            async move {
                for index in 0..6 {
                    let send = crowd::send(round as u64 * 1_000 + task, index);
                    crowd::cut_off(sender.clone(), send, (task + index) % 7).await;
                }
            }
        });
        scene.all(tasks);
        // Only after the end it is certain that nothing given up is still on its way.
        scene.restart(end);
        scene.sent(group("red", ["ann", "ben"], "{}"));
        scene.verify();
    }
}

/// A group of 10,000, twice, and some of its members between.
pub fn a_group_of_ten_thousand_has_every_message(subject: &dyn Subject) {
    let mut scene = Scene::new(subject);
    let everybody: Vec<String> = (0..10_000).map(|index| format!("member {index}")).collect();
    scene.sent(group("all", &everybody, r#"{"first":true}"#));
    scene.sent(group("some", &everybody[4_990..5_010], r#"{"between":true}"#));
    scene.restart(End::Abrupt);
    scene.sent(group("all", everybody.iter().rev(), r#"{"second":true}"#));
    scene.restart(End::Clean);
    let asked = vec![group_timeline("all"), inbox("member 5000"), inbox("member 9999")];
    let bounds = scene.run(scene.store().bounds(asked)).expect("bounds can be read");
    let latest: Vec<u64> = bounds.iter().map(|bounds| bounds.latest.get()).collect();
    assert_eq!(latest, [2, 3, 2]);
}
