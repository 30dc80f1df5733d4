//! Promise 8: `latest` is what can be read now, and a receipt tells where the message is.

use std::sync::Arc;

use super::crowd::{self, GROUPS, MEMBERS};
use super::scene::{End, Scene, Task, direct, group, group_timeline, inbox, whole};
use super::subject::Subject;
use crate::fanout::Outgoing;
use crate::id::TimelineId;
use crate::page::{Bounds, Direction, Entry, Read};
use crate::seq::Seq;
use crate::store::{Receipt, Store};

/// While a crowd sends, what `bounds` says can be read, up to the last entry.
pub fn latest_can_always_be_read(subject: &dyn Subject) {
    let scene = Scene::new(subject);
    let inboxes = MEMBERS.iter().map(|id| inbox(id));
    let timelines: Vec<TimelineId> =
        inboxes.chain(GROUPS.iter().map(|id| group_timeline(id))).collect();
    // Gone when the last sender has ended, however it ends.
    let sending = Arc::new(());
    let mut tasks: Vec<Task> = Vec::new();
    for _ in 0..4 {
        let (store, timelines) = (scene.store(), timelines.clone());
        let sending = Arc::downgrade(&sending);
        tasks.push(Box::pin(async move {
            while sending.strong_count() > 0 {
                let bounds = store.bounds(timelines.clone()).await.expect("bounds can be read");
                for (timeline, bounds) in timelines.iter().zip(bounds) {
                    newest_is_readable(store.as_ref(), timeline, bounds).await;
                }
                tokio::task::yield_now().await;
            }
        }));
    }
    for task in 0..16 {
        let (sender, sending) = (scene.sender(), Arc::clone(&sending));
        tasks.push(Box::pin(async move {
            for index in 0..16 {
                sender.send(crowd::send(task, index)).await.expect("the store takes every send");
            }
            drop(sending);
        }));
    }
    drop(sending);
    scene.all(tasks);
    scene.verify();
}

async fn newest_is_readable(store: &dyn Store, timeline: &TimelineId, bounds: Bounds) {
    let after = bounds.latest.previous();
    let page = store.read(Read { after, until: bounds.latest, ..whole(timeline) }).await;
    let page = page.expect("a timeline can be read");
    let found = page.entries.first().map_or(Seq::ZERO, |entry| entry.seq);
    assert_eq!(found, bounds.latest, "{timeline}: latest is what can be read");
    assert!(page.bounds.latest >= bounds.latest, "{timeline}: latest never steps back");
}

/// As soon as a sender has its receipt, everybody can read the message where it says.
pub fn an_acknowledged_send_can_be_read_at_once(subject: &dyn Subject) {
    let mut scene = Scene::new(subject);
    for end in [End::Clean, End::Abrupt] {
        scene.all((0..16).map(|task| {
            let sender = scene.sender();
            async move {
                for index in 0..8 {
                    let send = crowd::send(task, index);
                    let receipt = sender.send(send.clone()).await.expect("a send is taken");
                    receipt_is_true(sender.store.as_ref(), &send, &receipt).await;
                }
            }
        }));
        scene.restart(end);
    }
}

async fn receipt_is_true(store: &dyn Store, send: &Outgoing, receipt: &Receipt) {
    let at = |timeline: &TimelineId, seq: Seq| {
        store.read(Read { after: seq.previous(), until: seq, ..whole(timeline) })
    };
    let conversation = TimelineId::from(send.conversation.clone());
    let page = at(&conversation, receipt.conversation_seq).await.expect("it can be read");
    let here = |entry: &Entry| entry.message.id == receipt.id;
    assert!(page.entries.first().is_some_and(here), "the receipt is true of {conversation}");
    for id in send.recipients.iter() {
        let id = inbox(std::str::from_utf8(id).expect("an id is UTF-8"));
        let newest = Read { direction: Direction::Backward, ..whole(&id) };
        let page = store.read(newest).await.expect("it can be read");
        assert!(page.entries.iter().any(here), "an acknowledged send can be read in {id}");
    }
    let last = send.recipients.get(send.recipients.len() - 1);
    let receiver = inbox(std::str::from_utf8(last).expect("an id is UTF-8"));
    let page = at(&receiver, receipt.receiver_seq).await.expect("it can be read");
    assert!(page.entries.first().is_some_and(here), "the receipt is true of {receiver}");
}

/// The receipt's second number belongs to the receiver, not to the sender.
pub fn a_receipt_names_the_receivers_position(subject: &dyn Subject) {
    let scene = Scene::new(subject);
    for n in 1..=3 {
        assert_eq!(scene.sent(direct("a", "z", "{}")).receiver_seq, Seq::new(n));
    }
    assert_eq!(scene.sent(direct("b", "a", "{}")).receiver_seq, Seq::new(4));
    assert_eq!(scene.sent(direct("a", "b", "{}")).receiver_seq, Seq::new(2));
    assert_eq!(scene.sent(direct("c", "c", "{}")).receiver_seq, Seq::new(1));
    assert_eq!(scene.sent(group("g", ["z", "c", "b"], "{}")).receiver_seq, Seq::new(3));
    scene.verify();
}
