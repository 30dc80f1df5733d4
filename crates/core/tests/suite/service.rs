//! The service in front of the reference store: what a back end is promised call by call.

use std::sync::Arc;
use std::time::Duration;

use seqline_core::Error;
use seqline_core::clock::{CountingEntropy, ManualClock, UnixMillis};
use seqline_core::fanout::Members;
use seqline_core::id::{ConversationId, GroupId, IdempotencyKey, MemberId, Text};
use seqline_core::limits::{Limits, PAGE_ENTRIES_MAX};
use seqline_core::page::Page;
use seqline_core::seq::Seq;
use seqline_core::service::Timelines;
use seqline_core::store::Receipt;
use seqline_core::testing::memory::MemoryStore;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

fn service(limits: Limits) -> Timelines {
    let clock = Arc::new(ManualClock::new(NOW));
    let entropy = Arc::new(CountingEntropy::default());
    let store = MemoryStore::new(clock.clone(), entropy.as_ref(), Duration::from_secs(60));
    Timelines::new(Arc::new(store), clock, entropy, limits)
}

fn member(id: &str) -> MemberId {
    MemberId::new("member", id).unwrap()
}

fn group(id: &str) -> GroupId {
    GroupId::new("group", id).unwrap()
}

async fn send(service: &Timelines, from: &str, to: &str, body: &str) -> Result<Receipt, Error> {
    service.send(member(from), member(to), Text::from(body), None).await
}

async fn send_group(service: &Timelines, to: &[&str], body: &str) -> Result<Receipt, Error> {
    let members = Members::new("group_members", to, service.limits().group_members_max)?;
    service.send_group(group("group_a"), members, Text::from(body), None).await
}

async fn sync(service: &Timelines, id: &str, after: u64, count: i32) -> Page {
    service.sync(member(id), Seq::new(after), count).await.unwrap()
}

fn seqs(page: &Page) -> Vec<u64> {
    page.entries.iter().map(|entry| entry.seq.get()).collect()
}

#[tokio::test]
async fn two_chats_and_a_group_arrive_where_they_belong() {
    let service = service(Limits::default());
    assert_eq!(send(&service, "a", "b", r#"{"n":1}"#).await.unwrap().receiver_seq, Seq::new(1));
    assert_eq!(send(&service, "b", "a", r#"{"n":2}"#).await.unwrap().receiver_seq, Seq::new(2));
    for sender in ["a", "c", "a"] {
        let body = format!(r#"{{"from":"{sender}"}}"#);
        send_group(&service, &["a", "c", "d"], &body).await.unwrap();
    }
    for (id, count) in [("a", 5), ("b", 2), ("c", 3), ("d", 3), ("nobody", 0)] {
        let page = sync(&service, id, 0, 0).await;
        assert_eq!(seqs(&page), (1..=count).collect::<Vec<u64>>(), "inbox of {id}");
        assert_eq!(page.bounds.latest, Seq::new(count));
    }
    for (one, other) in [("a", "b"), ("b", "a")] {
        let chat = ConversationId::direct(member(one), member(other));
        let page = service.history(chat, Seq::ZERO, 0).await.unwrap();
        let bodies: Vec<_> = page.entries.iter().map(|e| e.message.body.as_str()).collect();
        assert_eq!(bodies, [r#"{"n":1}"#, r#"{"n":2}"#]);
    }
    let chat = ConversationId::Group(group("group_a"));
    assert_eq!(seqs(&service.history(chat, Seq::ZERO, 0).await.unwrap()), [1, 2, 3]);
}

#[tokio::test]
async fn a_count_of_0_is_a_full_page_and_a_negative_one_is_refused() {
    let limits = Limits { page_entries_max: 3, ..Limits::default() };
    assert_eq!(Limits::default().page_entries_max, PAGE_ENTRIES_MAX);
    let service = service(limits);
    for _ in 0..5 {
        send(&service, "a", "b", "{}").await.unwrap();
    }
    for (after, count, expected, more) in [
        (0, 0, &[1, 2, 3][..], true),
        (0, i32::MAX, &[1, 2, 3], true),
        (0, 2, &[1, 2], true),
        (2, 0, &[3, 4, 5], false),
        (3, 1, &[4], true),
        (5, 0, &[], false),
        (99, 7, &[], false),
    ] {
        let page = sync(&service, "b", after, count).await;
        assert_eq!((seqs(&page).as_slice(), page.more), (expected, more), "{count} after {after}");
        let chat = ConversationId::direct(member("b"), member("a"));
        let page = service.history(chat, Seq::new(after), count).await.unwrap();
        assert_eq!((seqs(&page).as_slice(), page.more), (expected, more), "{count} after {after}");
    }
    for count in [-1, i32::MIN] {
        let refused = service.sync(member("b"), Seq::ZERO, count).await;
        assert!(matches!(refused, Err(Error::Invalid { field: "count", .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn a_page_stays_within_its_bytes_but_is_never_empty_when_more_follows() {
    let service = service(Limits { page_bytes_max: 10, ..Limits::default() });
    for body in [r#"{"a":12}"#, "{}", r#"{"large":"more than ten"}"#, "{}"] {
        send(&service, "a", "b", body).await.unwrap();
    }
    for (after, expected) in [(0, &[1, 2][..]), (2, &[3]), (3, &[4])] {
        assert_eq!(seqs(&sync(&service, "b", after, 0).await), expected);
    }
}

#[tokio::test]
async fn what_passes_a_limit_is_refused_with_the_limits_name_and_stores_nothing() {
    let limits = Limits { message_bytes_max: 20, group_members_max: 2, ..Limits::default() };
    let service = service(limits);
    let large = r#"{"text":"far too much"}"#;
    let refused = send(&service, "a", "b", large).await;
    let Err(Error::TooLarge { limit: "message_bytes_max", max: 20, actual, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(actual, large.len());
    let refused = send_group(&service, &["a", "b", "c"], "{}").await;
    assert!(matches!(refused, Err(Error::TooLarge { limit: "group_members_max", .. })));
    for body in ["", "null", "[]", "{", r#"{"a":1}{}"#] {
        let refused = send(&service, "a", "b", body).await;
        assert!(matches!(refused, Err(Error::Invalid { field: "message", .. })), "{body:?}");
        let refused = send_group(&service, &["a", "b"], body).await;
        assert!(matches!(refused, Err(Error::Invalid { field: "message", .. })), "{body:?}");
    }
    assert_eq!(sync(&service, "b", 0, 0).await.bounds.latest, Seq::ZERO);
    let first = send(&service, "a", "b", r#"{"exactly":"20 by"}"#).await.unwrap();
    assert_eq!((first.conversation_seq, first.receiver_seq), (Seq::FIRST, Seq::FIRST));
}

#[tokio::test]
async fn a_key_makes_both_kinds_of_send_repeatable() {
    let service = service(Limits::default());
    let key = || Some(IdempotencyKey::new("k").unwrap());
    let direct = |body: &str| service.send(member("a"), member("b"), Text::from(body), key());
    let first = direct("{}").await.unwrap();
    assert_eq!(direct("{}").await.unwrap(), Receipt { repeat: true, ..first });
    assert!(matches!(direct("{ }").await, Err(Error::Conflict)));
    let members = |ids: &[&str]| Members::new("group_members", ids, 10).unwrap();
    let to_group = |ids| service.send_group(group("g"), members(ids), Text::from("{}"), key());
    let first = to_group(&["a", "b"]).await.unwrap();
    assert!(!first.repeat, "a key counts in its conversation alone");
    assert_eq!(to_group(&["b", "a"]).await.unwrap(), Receipt { repeat: true, ..first });
    assert_eq!(sync(&service, "a", 0, 0).await.bounds.latest, Seq::new(2));
}

#[tokio::test]
async fn message_ids_differ_and_carry_the_time() {
    let service = service(Limits::default());
    let one = send(&service, "a", "b", "{}").await.unwrap();
    let other = send(&service, "a", "b", "{}").await.unwrap();
    assert_ne!(one.id, other.id);
    assert_eq!([one.id.0 >> 80, other.id.0 >> 80], [u128::from(NOW.0); 2]);
}

#[tokio::test]
async fn a_closed_service_refuses_and_says_why() {
    let service = service(Limits::default());
    assert_eq!(service.status().refuses_sends, None);
    service.close().await.unwrap();
    let refused = send(&service, "a", "b", "{}").await;
    assert!(matches!(refused, Err(Error::Unavailable { .. })));
    assert!(service.status().refuses_sends.is_some());
}
