//! Traces on the wire: single stories in which a store without one rule of the protocol breaks a
//! promise. `mongo` below stands for `crates/mongo/src`.
//!
//! | without it, a promise breaks | told by |
//! |---|---|
//! | help those before | `steps`, `mongo/tests/traces` |
//! | walk back the whole way | `mongo/tests/traces`: three pending entries |
//! | a walk's read must show its entry | here |
//! | derived `_id`s | here: two who both look and both miss |
//! | majority reads and writes | `commands`; rollbacks: `mongo/tests/simulation` |
//! | no guessed number | here: a refused insert |
//! | ordered batches, ordered chains | here |
//! | a floor first, deletion long after | here: a slow insert; `care`: what a purge deletes |
//! | hints expire before deletion | `mongo/options`, `mongo/tests/traces`: dated tails |
//! | deletion long after the mark | `mongo/tests/traces` |
//! | a conversation is trimmed only whole | `drops`: `TrimConversation` |
//! | a key outlives its window | `mongo/tests/traces` |
//! | a restored database has another epoch | `mongo/tests/traces` |
//! | keys belong to a conversation | the contract suite |

use std::time::Duration;

use mongodb::bson::{Document, doc};
use seqline_core::seq::Seq;
use seqline_core::store::Store as _;
use seqline_mongo::MongoStore;

use super::in_process::{idle, inbox, leave_half, open, page, read_on, send, settle};
use crate::crash::ledger::{Attempt, Cast, Findings, Ledger, Outcome};
use crate::support::mongo::Mongo;
use crate::support::mongo_proxy::wire::Message;
use crate::support::mongo_proxy::{Fault, MongoProxy, When, gate, not_primary};

const DATABASE: &str = "traces";

/// A database with two ways to it.
struct Scene {
    mongo: Mongo,
    proxy: MongoProxy,
    other_proxy: MongoProxy,
    ledger: Ledger,
    next: usize,
}

impl Scene {
    /// Members 0 and 1, alone and in a group with 2.
    fn start() -> Scene {
        let mongo = Mongo::in_memory();
        let (proxy, other_proxy) =
            (MongoProxy::start(mongo.address()), MongoProxy::start(mongo.address()));
        let ledger = Ledger::of(Cast::new(&[[0, 1]], &[vec![0, 1, 2]]));
        Scene { mongo, proxy, other_proxy, ledger, next: 0 }
    }

    async fn through_proxy(&self) -> MongoStore {
        open(idle(self.proxy.uri(), DATABASE)).await
    }

    async fn past_proxy(&self) -> MongoStore {
        open(idle(self.mongo.uri(), DATABASE)).await
    }

    fn attempt(&mut self, conversation: usize, keyed: bool) -> Attempt {
        let id = self.next;
        self.next += 1;
        let recipients = self.ledger.cast().of(conversation).clone();
        let to = (conversation == 0).then(|| recipients[1]);
        let outcome = Outcome::Unknown;
        let attempt = Attempt { id, worker: id, conversation, recipients, to, keyed, outcome };
        self.ledger.record(vec![attempt.clone()]);
        attempt
    }

    /// An entry that an instance left in its conversation and in so many inboxes.
    async fn left_half(&mut self, conversation: usize, inboxes: usize) -> Attempt {
        let attempt = self.attempt(conversation, false);
        leave_half(&self.proxy, DATABASE, &attempt, inboxes).await;
        attempt
    }

    /// Everything is whole, each once, in one order: the inbox of member 0.
    async fn verify(&mut self) -> Vec<usize> {
        let checker = self.past_proxy().await;
        settle(&checker).await;
        read_on(&checker, &mut self.ledger).await;
        assert_eq!(self.ledger.findings(), Findings::default());
        self.ledger.inbox_ids(0).to_vec()
    }
}

fn looks_for_ids(command: &Message) -> bool {
    command.document().get_document("filter").is_ok_and(|filter| filter.contains_key("_id"))
}

/// A find of the newest entry, or of entries in their order.
fn sorted(command: &Message, direction: i32) -> bool {
    let command = command.document();
    command
        .get_document("sort")
        .is_ok_and(|sort| sort.get_i32("seq").is_ok_and(|seq| seq == direction))
}

/// A find's answer: nothing.
fn nothing(collection: &str) -> Document {
    let namespace = format!("{DATABASE}.{collection}");
    doc! { "cursor": { "id": 0_i64, "ns": namespace, "firstBatch": [] }, "ok": 1.0 }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_both_look_and_both_miss_deliver_once() {
    let mut scene = Scene::start();
    let left = scene.left_half(1, 0).await;
    let (one, other) =
        (scene.through_proxy().await, open(idle(scene.other_proxy.uri(), DATABASE)).await);
    let mut resuming = Vec::new();
    let mut held_looks = Vec::new();
    for (proxy, store) in [(&scene.proxy, one), (&scene.other_proxy, other)] {
        let (looked, held) = gate();
        let looks = When::command("find").on("chat_sync").matching(looks_for_ids).nth(1);
        proxy.rule(looks, Fault::HoldAfter(looked));
        resuming.push(tokio::spawn(async move { settle(&store).await }));
        held.reached().await;
        held_looks.push(held);
    }
    held_looks.iter().for_each(|held| held.release());
    for resumed in resuming {
        resumed.await.unwrap();
    }
    assert_eq!(scene.verify().await, [left.id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_back_that_does_not_see_its_own_entry_is_done_again() {
    let mut scene = Scene::start();
    let left = scene.left_half(1, 0).await;
    let store = scene.through_proxy().await;
    let walks = When::command("find").on("chat_history").matching(|c| sorted(c, 1)).times(2);
    let rule = scene.proxy.rule(walks, Fault::Answer(nothing("chat_history")));
    let next = scene.attempt(1, false);
    send(&store, &next).await.unwrap();
    assert_eq!(rule.hits(), 2, "the view was old twice");
    assert_eq!(scene.verify().await, [left.id, next.id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_whose_insert_was_refused_by_an_old_primary_is_no_hole() {
    let mut scene = Scene::start();
    let store = scene.through_proxy().await;
    let first = scene.attempt(0, false);
    send(&store, &first).await.unwrap();
    let inserts = || When::command("insert").on("chat_history").nth(1);
    scene.proxy.rule(inserts(), Fault::Answer(not_primary()));
    let second = scene.attempt(0, false);
    assert_eq!(send(&store, &second).await.unwrap().conversation_seq, Seq::new(2));
    assert_eq!(scene.verify().await, [first.id, second.id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_first_send_another_instance_has_stored_leaves_no_hole() {
    let mut scene = Scene::start();
    let (store, other) = (scene.through_proxy().await, scene.past_proxy().await);
    let (repeated, new) = (scene.attempt(0, true), scene.attempt(0, false));
    send(&other, &repeated).await.unwrap();
    scene.proxy.rule(When::command("insert"), Fault::Split(Duration::ZERO));
    // Of one poll, so that they go out together.
    let both = futures_util::future::join(send(&store, &repeated), send(&store, &new));
    let (repeat, receipt) = both.await;
    assert!(repeat.unwrap().repeat);
    assert_eq!(receipt.unwrap().conversation_seq, Seq::new(2));
    assert_eq!(scene.verify().await, [repeated.id, new.id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_whose_first_entry_another_has_delivered_leaves_no_hole() {
    let mut scene = Scene::start();
    let (first, second) = (scene.left_half(0, 0).await, scene.left_half(0, 0).await);
    let (store, other) = (scene.through_proxy().await, scene.other_proxy.uri());
    // It looks, and does not find; then it is slow to ask for the tails.
    let (looked, held_look) = gate();
    let looks = When::command("find").on("chat_sync").matching(looks_for_ids).nth(1);
    scene.proxy.rule(looks, Fault::HoldAfter(looked));
    let (tails, held_tails) = gate();
    let reads = When::command("find").on("chat_sync").matching(|c| sorted(c, -1)).times(2);
    scene.proxy.rule(reads, Fault::HoldBefore(tails));
    let slow = tokio::spawn(async move { settle(&store).await });
    held_look.reached().await;
    held_tails.reached().await;
    held_tails.reached().await;
    // Another delivers the first entry and no more.
    let dying = open(idle(other, DATABASE)).await;
    let (middle, held) = gate();
    let inserts = When::command("insert").on("chat_sync").times(2);
    scene.other_proxy.rule(inserts, Fault::SplitAt(1, middle));
    let dead = tokio::spawn(async move { dying.resume(Duration::ZERO).await });
    held.reached().await;
    held.reached().await;
    dead.abort();
    scene.other_proxy.part_network();
    held_look.release();
    held_tails.release();
    held_tails.release();
    slow.await.unwrap();
    assert_eq!(scene.verify().await, [first.id, second.id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_insert_does_not_use_the_number_of_a_trimmed_entry_again() {
    let mut scene = Scene::start();
    let store = scene.through_proxy().await;
    let (slow, held) = gate();
    scene.proxy.rule(When::command("insert").on("chat_sync").nth(1), Fault::HoldBefore(slow));
    let first = scene.attempt(0, false);
    let sending = {
        let first = first.clone();
        tokio::spawn(async move { send(&store, &first).await })
    };
    held.reached().await;
    let other = scene.past_proxy().await;
    let second = scene.attempt(0, false);
    send(&other, &second).await.unwrap();
    assert_eq!(scene.verify().await, [first.id, second.id]);
    assert_eq!(other.trim(inbox(1), Seq::FIRST).await.unwrap().first, Seq::new(2));
    held.release();
    assert_eq!(sending.await.unwrap().unwrap().receiver_seq, Seq::FIRST);
    let left = page(&other, &inbox(1), 1).await;
    assert_eq!((left.entries.len(), left.bounds.latest), (1, Seq::new(2)));
    assert_eq!(scene.verify().await, [first.id, second.id]);
}
