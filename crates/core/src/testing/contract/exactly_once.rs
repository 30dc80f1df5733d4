//! Promise 6: a repeat under an idempotency key stores nothing and returns the first answer.

use super::crowd;
use super::scene::{End, Scene, direct, group, group_timeline, inbox, keyed};
use super::subject::Subject;
use crate::error::Error;
use crate::fanout::Outgoing;
use crate::store::Receipt;

/// The first receipt comes back as often as one asks, over restarts and after trims.
pub fn a_repeat_returns_the_first_answer(subject: &dyn Subject) {
    let mut scene = Scene::new(subject);
    let sends: [fn() -> Outgoing; 3] = [
        || keyed("k", direct("a", "b", r#"{"v": 1}"#)),
        || keyed("k", group("g", ["c", "a", "b"], "{}")),
        // The longest key, in a conversation whose first message has none.
        || keyed(&"ü\0".repeat(85), direct("me", "me", "{}")),
    ];
    scene.sent(direct("me", "me", "{}"));
    let first: Vec<Receipt> = sends.iter().map(|send| scene.sent(send())).collect();
    for end in [End::Clean, End::Abrupt, End::Abrupt] {
        scene.sent(group("g", ["a"], r#"{"other":true}"#));
        scene.clock.advance(1_000);
        for (send, first) in sends.iter().zip(&first) {
            assert!(!first.repeat);
            assert_eq!(scene.sent(send()), Receipt { repeat: true, ..*first });
        }
        scene.restart(end);
        scene.trim(&group_timeline("g"), 2);
    }
    // The order of members is no part of a payload, nor is being listed twice.
    let turned = scene.sent(keyed("k", group("g", ["b", "c", "a", "b"], "{}")));
    assert_eq!(turned, Receipt { repeat: true, ..first[1] });
    scene.verify();
}

/// Another body, sender, receiver or list of members under the same key is refused.
pub fn another_payload_under_the_same_key_is_a_conflict(subject: &dyn Subject) {
    let mut scene = Scene::new(subject);
    scene.sent(keyed("k", direct("a", "b", r#"{"v":1}"#)));
    scene.sent(keyed("k", group("g", ["a", "b"], r#"{"v":1}"#)));
    for end in [End::Abrupt, End::Clean] {
        for other in [
            direct("a", "b", r#"{"v":2}"#),
            direct("a", "b", r#"{"v": 1}"#),
            direct("b", "a", r#"{"v":1}"#),
            group("g", ["a", "b"], r#"{"v":1.0}"#),
            group("g", ["a", "b", "c"], r#"{"v":1}"#),
            group("g", ["a"], r#"{"v":1}"#),
            group("g", ["ab"], r#"{"v":1}"#),
        ] {
            let shown = format!("{other:?}");
            let refused = scene.send(keyed("k", other));
            assert!(matches!(refused, Err(Error::Conflict)), "a conflict: {shown}: {refused:?}");
        }
        scene.restart(end);
    }
    scene.verify();
}

/// 32 tasks send the same at the same instant: one message, 32 equal answers.
pub fn the_same_key_at_the_same_instant_is_stored_once(subject: &dyn Subject) {
    let mut scene = Scene::new(subject);
    for round in 0..8 {
        let key = format!("key {round}");
        let answers = scene.all((0..32).map(|task| {
            let (sender, key) = (scene.sender(), key.clone());
            let send = match round % 2 {
                0 => keyed(&key, group("g", ["a", "b"], "{}")),
                _ => keyed(&key, direct("a", "b", "{}")),
            };
            async move {
                // Some are a little late, so that all phases of the first send are met.
                for _ in 0..task % 5 {
                    tokio::task::yield_now().await;
                }
                sender.send(send).await.expect("the store takes every send")
            }
        }));
        let stored = answers.iter().filter(|receipt| !receipt.repeat).count();
        assert_eq!(stored, 1, "exactly one of the sends under one key is stored");
        for receipt in &answers {
            let first = Receipt { repeat: receipt.repeat, ..answers[0] };
            assert_eq!(*receipt, first, "all get the same answer");
        }
        scene.verify();
    }
    scene.restart(End::Abrupt);
}

/// Two payloads race for one key: one wins, its repeats are repeats, the other's conflicts.
pub fn payloads_that_race_for_a_key_have_one_winner(subject: &dyn Subject) {
    let mut scene = Scene::new(subject);
    for round in 0..8 {
        let key = format!("key {round}");
        let answers = scene.all((0..24).map(|task| {
            let sender = scene.sender();
            let send = keyed(&key, group("g", ["a", "b"], &format!(r#"{{"v":{}}}"#, task % 3)));
            async move { (task % 3, sender.send(send).await) }
        }));
        let winner = answers.iter().find_map(|(payload, answer)| match answer {
            Ok(receipt) if !receipt.repeat => Some((*payload, *receipt)),
            _ => None,
        });
        let (winner, first) = winner.expect("one of the payloads is stored");
        let mut stored = 0;
        for (payload, answer) in answers {
            match answer {
                Ok(receipt) => {
                    assert_eq!((payload, receipt.id), (winner, first.id), "the winner's answer");
                    stored += u32::from(!receipt.repeat);
                }
                Err(error) => {
                    assert!(matches!(error, Error::Conflict), "{error}");
                    assert_ne!(payload, winner, "an equal payload is no conflict");
                }
            }
        }
        assert_eq!(stored, 1, "exactly one of the sends under one key is stored");
    }
    scene.verify();
    scene.restart(End::Abrupt);
}

/// The same key elsewhere is another key, however much the names look alike.
pub fn a_key_counts_in_its_conversation_alone(subject: &dyn Subject) {
    let mut scene = Scene::new(subject);
    for end in [End::Abrupt, End::Clean] {
        let mut answers = vec![
            scene.sent(keyed("k", direct("a", "b", "{}"))),
            scene.sent(keyed("k", direct("a", "c", "{}"))),
            scene.sent(keyed("k", group("a", ["a", "b"], "{}"))),
            scene.sent(keyed("k", group("g", ["a", "b"], "{}"))),
            scene.sent(keyed("yk", group("x", ["a", "b"], "{}"))),
            scene.sent(keyed("k", group("xy", ["a", "b"], "{}"))),
            scene.sent(keyed("k", group("x\0", ["a", "b"], "{}"))),
            scene.sent(keyed("\0k", group("x", ["a", "b"], "{}"))),
            scene.sent(keyed("K", group("x", ["a", "b"], "{}"))),
        ];
        for receipt in &answers {
            assert_eq!(receipt.repeat, end == End::Clean, "each is a first send, then a repeat");
        }
        answers.sort_unstable_by_key(|receipt| receipt.id);
        answers.dedup_by_key(|receipt| receipt.id);
        assert_eq!(answers.len(), 9, "nine conversations and keys, nine messages");
        scene.restart(end);
    }
}

/// A key counts up to the end of its window and not for ever, whatever was restarted between.
pub fn a_key_counts_until_its_window_is_over(subject: &dyn Subject) {
    let mut scene = Scene::new(subject);
    let window = u64::try_from(subject.idempotency_window().as_millis()).expect("a sane window");
    let send = || keyed("k", direct("a", "b", r#"{"v":1}"#));
    let other = || keyed("k", direct("a", "b", r#"{"v":2}"#));
    let first = scene.sent(send());
    for end in [End::Clean, End::Abrupt] {
        scene.clock.advance(window / 2 - 1);
        assert_eq!(scene.sent(send()), Receipt { repeat: true, ..first }, "within the window");
        scene.restart(end);
    }
    assert!(matches!(scene.send(other()), Err(Error::Conflict)), "still within the window");
    scene.clock.advance(2 * window);
    scene.restart(End::Abrupt);
    let second = scene.sent(other());
    assert!(!second.repeat, "past the window the key is free");
    assert!(matches!(scene.send(send()), Err(Error::Conflict)), "now it stands for another");
    scene.restart(End::Clean);
    assert_eq!(scene.sent(other()), Receipt { repeat: true, ..second });
    scene.clock.advance(2 * window);
    let third = scene.sent(other());
    assert!(!third.repeat, "past the window the key is free, without a restart too");
    scene.verify();
}

/// Callers give up and try again with their key, until they have an answer: stored once each.
pub fn a_send_given_up_and_repeated_is_stored_once(subject: &dyn Subject) {
    let mut scene = Scene::new(subject);
    for (round, end) in [End::Abrupt, End::Clean].into_iter().enumerate() {
        scene.all((0..32).map(|task| {
            let sender = scene.sender();
            let send = move || {
                let text = format!(r#"{{"task":{task}}}"#);
                keyed(&format!("{round} {task}"), group("g", ["a", "b"], &text))
            };
            async move {
                for polls in 0..4 {
                    // Of sends under one key the ledger may know more than were stored, all
                    // with the same payload; the answer decides which of them it was.
                    if crowd::cut_off(sender.clone(), send(), polls).await.is_some() {
                        break;
                    }
                }
                sender.send(send()).await.expect("the store takes every send")
            }
        }));
        scene.restart(end);
    }
    let asked = vec![group_timeline("g"), inbox("a")];
    let bounds = scene.run(scene.store().bounds(asked)).expect("bounds can be read");
    let latest: Vec<u64> = bounds.iter().map(|bounds| bounds.latest.get()).collect();
    assert_eq!(latest, [64, 64], "each of 64 keys is stored once");
}
