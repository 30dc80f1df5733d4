//! A crowd: many tasks that send to overlapping groups and conversations at the same time.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use super::random::Random;
use super::scene::{Scene, Sender, direct, group};
use crate::error::Result;
use crate::fanout::Outgoing;
use crate::store::Receipt;

/// The members of every crowd.
pub const MEMBERS: [&str; 8] = ["ann", "ben", "cho", "dan", "eva", "fay", "gus", "hal"];
/// Its groups.
pub const GROUPS: [&str; 3] = ["red", "green", "blue"];

/// The `index`th send of `task`: the same in every run. About half go to groups.
pub fn send(task: u64, index: u64) -> Outgoing {
    let mut random = Random::new(task * 1_000_003 + index);
    let text = format!(r#"{{"task":{task},"index":{index},"filling":"{:>90}"}}"#, random.below(9));
    let mut someone = || MEMBERS[random.below(MEMBERS.len() as u64) as usize];
    let (one, other) = (someone(), someone());
    if random.below(2) == 0 {
        return direct(one, other, &text);
    }
    let first = random.below(3) as usize;
    let listed = MEMBERS.iter().skip(first).step_by(random.below(3) as usize + 1);
    group(GROUPS[random.below(GROUPS.len() as u64) as usize], listed, &text)
}

/// `tasks` tasks of `sends` sends each, all at once; every one must be taken.
pub fn storm(scene: &Scene<'_>, tasks: u64, sends: u64) {
    scene.all((0..tasks).map(|task| {
        let sender = scene.sender();
        async move {
            for index in 0..sends {
                sender.send(send(task, index)).await.expect("the store takes every send");
            }
        }
    }));
}

/// Sends, but gives up after the future was polled `polls` times; 0 means before the first.
pub async fn cut_off(sender: Sender, send: Outgoing, polls: u64) -> Option<Result<Receipt>> {
    let mut sending = pin!(sender.send(send));
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        // Woken at once, so that the polls left are not spent waiting for the store.
        context.waker().wake_by_ref();
        sending.as_mut().poll(context).map(Some)
    })
    .await
}
