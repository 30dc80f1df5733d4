//! The five calls, and what each error looks like to a client.

use seqline_api::timeline::v1::{GetGroupHistoryMessageRequest, GetSingleHistoryMessageRequest};
use tonic::{Code, Request};

use super::{direct, group, reason, server, sync};

#[tokio::test]
async fn what_is_sent_is_synced_and_stands_in_the_history() {
    let server = server(|_| {});
    let mut client = server.connect().await;
    let odd = "{\"b\": 1e400, \"a\":\"吃了吗？\\u0000\"}";
    assert_eq!(client.send(direct("a", "b", odd)).await.unwrap().into_inner().sequence, 1);
    assert_eq!(client.send(direct("b", "a", "{}")).await.unwrap().into_inner().sequence, 2);
    let reply = client.send_group(group("g", &["a", "c", "a"], "{\"n\":3}")).await.unwrap();
    assert!(reply.into_inner().failed_members.is_empty());

    let page = client.get_sync_message(sync("a", 1, 0)).await.unwrap().into_inner();
    assert_eq!((page.latest_seq, page.entry_set_last_seq), (3, 3));
    let entries: Vec<_> = page.entry_set.iter().map(|e| (e.sequence, &*e.message)).collect();
    assert_eq!(entries, [(2, "{}"), (3, "{\"n\":3}")]);
    let page = client.get_sync_message(sync("nobody", 0, 10)).await.unwrap().into_inner();
    assert_eq!((page.latest_seq, page.entry_set_last_seq, page.entry_set.len()), (0, 0, 0));

    let (from, to) = ("b".to_owned(), "a".to_owned());
    let request = GetSingleHistoryMessageRequest { from, to, last_read: -5, count: 1 };
    let page = client.get_single_history_message(request).await.unwrap().into_inner();
    assert_eq!((page.entry_set.len(), &*page.entry_set[0].message), (1, odd));
    let request = GetGroupHistoryMessageRequest { group: "g".to_owned(), last_read: 0, count: 0 };
    let page = client.get_group_history_message(request).await.unwrap().into_inner();
    assert_eq!((page.entry_set.len(), page.entry_set[0].sequence), (1, 1));
}

#[tokio::test]
async fn a_group_send_of_many_frames_reaches_everybody() {
    let server = server(|_| {});
    let mut client = server.connect().await;
    let names: Vec<String> = (0..50_000).map(|n| format!("成员-{n:012}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    client.send_group(group("g", &names, "{}")).await.unwrap();
    for name in [names[0], names[49_999]] {
        let page = client.get_sync_message(sync(name, 0, 0)).await.unwrap().into_inner();
        assert_eq!(page.latest_seq, 1);
    }
}

#[tokio::test]
async fn a_page_of_many_frames_comes_whole() {
    let server = server(|_| {});
    let mut client = server.connect().await;
    let message = format!("{{\"a\":\"{}\"}}", "x".repeat(200_000));
    for _ in 0..15 {
        client.send(direct("a", "b", &message)).await.unwrap();
    }
    let page = client.get_sync_message(sync("b", 0, 0)).await.unwrap().into_inner();
    assert!(page.entry_set.len() == 15 && page.entry_set.iter().all(|e| e.message == message));
}

#[tokio::test]
async fn errors_carry_code_text_and_reason() {
    let server = server(|_| {});
    let mut client = server.connect().await;
    let status = client.send(direct("", "b", "{}")).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "miss from or to filed"));
    assert_eq!(reason(&status), ("TIMELINE_INVALID_PARAM".to_owned(), vec![]));
    let status = client.send_group(group("g", &[], "{}")).await.unwrap_err();
    assert_eq!(status.message(), "miss group name or group members");

    for (message, code, name) in [
        ("null", Code::InvalidArgument, "TIMELINE_INVALID_PARAM"),
        ("{\"do\":\"overload\"}", Code::Unavailable, "OVERLOADED"),
        ("{\"do\":\"lose\"}", Code::Internal, "OUTCOME_UNKNOWN"),
        ("{\"do\":\"panic\"}", Code::Internal, "UNKNOWN"),
    ] {
        let status = client.send(direct("a", "b", message)).await.unwrap_err();
        assert_eq!((status.code(), &*reason(&status).0), (code, name), "{message}");
        assert!(!status.message().contains("secret"), "{status}");
    }
    let status = client.get_sync_message(sync("b", 0, -1)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    // Nothing of all that was stored.
    let page = client.get_sync_message(sync("b", 0, 0)).await.unwrap().into_inner();
    assert_eq!(page.latest_seq, 0);
}

#[tokio::test]
async fn a_repeat_under_an_idempotency_key_is_stored_once() {
    let server = server(|_| {});
    let mut client = server.connect().await;
    let keyed = |message: &str, keys: &[&'static str]| {
        let mut request = Request::new(direct("a", "b", message));
        for key in keys {
            request.metadata_mut().append("idempotency-key", key.parse().unwrap());
        }
        request
    };
    for _ in 0..2 {
        let reply = client.send(keyed("{}", &["k"])).await.unwrap();
        assert_eq!(reply.into_inner().sequence, 1);
    }
    let status = client.send(keyed("{ }", &["k"])).await.unwrap_err();
    assert_eq!((status.code(), &*reason(&status).0), (Code::Aborted, "IDEMPOTENCY_CONFLICT"));
    for keys in [&["k", "k"][..], &[""]] {
        let status = client.send(keyed("{}", keys)).await.unwrap_err();
        assert_eq!(&*reason(&status).0, "TIMELINE_INVALID_PARAM", "{keys:?}");
    }
}
