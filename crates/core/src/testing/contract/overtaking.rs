//! Promise 2: whoever has read up to n has read all up to n.

use super::crowd::{self, GROUPS, MEMBERS};
use super::follow::Follower;
use super::scene::{Scene, Task, group_timeline, inbox};
use super::subject::Subject;
use crate::fanout::Outgoing;
use crate::id::{ConversationId, TimelineId};

const TASKS: u64 = 24;
const SENDS: u64 = 12;

/// Followers of every inbox and group read while a crowd sends.
pub fn followers_see_no_hole_no_step_back_and_no_change(subject: &dyn Subject) {
    let scene = Scene::new(subject);
    let sends: Vec<Outgoing> =
        (0..TASKS).flat_map(|task| (0..SENDS).map(move |index| crowd::send(task, index))).collect();
    let mut followers = Vec::new();
    for name in MEMBERS {
        let listed = |send: &&Outgoing| send.recipients.iter().any(|id| id == name.as_bytes());
        followers.push((inbox(name), sends.iter().filter(listed).count()));
    }
    for name in GROUPS {
        let here = |send: &&Outgoing| match &send.conversation {
            ConversationId::Group(group) => group.as_str() == name,
            ConversationId::Direct(..) => false,
        };
        followers.push((group_timeline(name), sends.iter().filter(here).count()));
    }
    follow_while_sending(&scene, followers);
    scene.verify();
}

fn follow_while_sending(scene: &Scene<'_>, followers: Vec<(TimelineId, usize)>) {
    let following = followers.into_iter().zip(0..).map(|((timeline, total), seed)| {
        let follower = Follower::new(scene, timeline, seed);
        Box::pin(follower.to(total as u64)) as Task
    });
    let sending = (0..TASKS).map(|task| {
        let sender = scene.sender();
        Box::pin(async move {
            for index in 0..SENDS {
                sender.send(crowd::send(task, index)).await.expect("the store takes every send");
            }
        }) as Task
    });
    scene.all(following.chain(sending));
}
