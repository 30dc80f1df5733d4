//! Ids: any text, and timelines whose ids look alike share nothing.

use super::scene::{End, Scene, direct, group};
use super::subject::Subject;
use crate::limits::ID_BYTES_MAX;
use crate::seq::Seq;

/// Pairs and groups that a careless key would put into one timeline.
pub fn ids_that_look_alike_share_nothing(subject: &dyn Subject) {
    let mut scene = Scene::new(subject);
    let pairs = [
        ("a:b", "c"),
        ("a", "b:c"),
        ("ab", "c"),
        ("a", "bc"),
        ("group", "x"),
        ("x", "x"),
        ("x", "x\0"),
        ("x\0", "x\0"),
        ("\0", "x\0x"),
        ("a", "A"),
        ("\u{e9}", "e\u{301}"),
        ("seq:a:b", "a"),
        ("i", "d"),
        (" ", "  "),
    ];
    let groups = ["x", "X", "x\0", "group:x", "a:b:c", "seq:a:b", "a", "\u{1}", "吃", "吃\0"];
    for round in 1..=2 {
        for (one, other) in pairs {
            let receipt = scene.sent(direct(one, other, "{}"));
            assert_eq!(receipt.conversation_seq, Seq::new(round), "{one:?} and {other:?} alone");
        }
        for name in groups {
            let receipt = scene.sent(group(name, [name, "x", "seq:group:x"], "{}"));
            assert_eq!(receipt.conversation_seq, Seq::new(round), "group {name:?} alone");
        }
        scene.restart(if round == 1 { End::Abrupt } else { End::Clean });
    }
}

/// Ids as long as they may be, different only at the end or in length.
pub fn the_longest_ids_are_told_apart(subject: &dyn Subject) {
    let mut scene = Scene::new(subject);
    let long = "吃".repeat(ID_BYTES_MAX / 3);
    let ids = [format!("{long}a"), format!("{long}b"), long.clone(), "\0".repeat(ID_BYTES_MAX)];
    for round in 1..=2 {
        for (one, other) in [(0, 1), (1, 2), (2, 0), (3, 0), (3, 3)] {
            let receipt = scene.sent(direct(&ids[one], &ids[other], "{}"));
            assert_eq!(receipt.conversation_seq, Seq::new(round));
        }
        for name in &ids {
            let receipt = scene.sent(group(name, &ids, "{}"));
            assert_eq!(receipt.conversation_seq, Seq::new(round));
        }
        scene.restart(if round == 1 { End::Abrupt } else { End::Clean });
    }
}
