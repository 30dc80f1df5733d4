//! Promise 1: numbered 1, 2, 3, … without a hole, whatever fails in between.

use super::scene::{End, Scene, direct, direct_timeline, group, group_timeline, inbox, keyed};
use super::subject::Subject;
use crate::error::Error;
use crate::page::Bounds;
use crate::seq::Seq;

/// Sends of every kind, with restarts between any two of them.
pub fn entries_are_numbered_from_one_without_holes(subject: &dyn Subject) {
    let mut scene = Scene::new(subject);
    let unknown = scene.run(scene.store().bounds(vec![inbox("nobody"), group_timeline("none")]));
    assert_eq!(unknown.expect("unknown timelines are empty"), [Bounds::EMPTY; 2]);
    for round in 1..=3 {
        for end in [End::Clean, End::Abrupt] {
            let to_b = scene.sent(direct("a", "b", "{}"));
            let all = scene.sent(group("g", ["c", "b", "a"], r#"{"to":"all"}"#));
            assert!(all.conversation_seq <= to_b.conversation_seq, "a group counts for itself");
            scene.restart(end);
            scene.sent(direct("b", "a", r#"{"back":true}"#));
            scene.sent(direct("b", "b", r#"{"to":"myself"}"#));
            scene.restart(end);
        }
        let asked = vec![direct_timeline("b", "a"), group_timeline("g"), inbox("b"), inbox("c")];
        let bounds = scene.run(scene.store().bounds(asked)).expect("bounds can be read");
        let latest: Vec<u64> = bounds.iter().map(|bounds| bounds.latest.get()).collect();
        assert_eq!(latest, [4 * round, 2 * round, 8 * round, 2 * round]);
    }
}

/// A conflict is refused again and again; the next send has the next number.
pub fn refused_sends_burn_no_number(subject: &dyn Subject) {
    let mut scene = Scene::new(subject);
    for end in [End::Clean, End::Abrupt] {
        let first = scene.sent(keyed("k", group("g", ["a", "b"], r#"{"v":1}"#)));
        for _ in 0..5 {
            let other = scene.send(keyed("k", group("g", ["a", "b"], r#"{"v":2}"#)));
            assert!(matches!(other, Err(Error::Conflict)), "{other:?}");
            let repeat = scene.sent(keyed("k", group("g", ["a", "b"], r#"{"v":1}"#)));
            assert_eq!(repeat.conversation_seq, Seq::FIRST);
        }
        assert_eq!(first.conversation_seq, Seq::FIRST);
        scene.sent(group("g", ["b", "a"], r#"{"v":3}"#));
        scene.restart(end);
    }
    let bounds = scene.run(scene.store().bounds(vec![group_timeline("g"), inbox("b")]));
    let latest = bounds.expect("bounds can be read").iter().map(|b| b.latest.get()).sum::<u64>();
    assert_eq!(latest, 3 + 3);
}
