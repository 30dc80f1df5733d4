//! The largest requests there may be, and many of them at once.

use seqline_api::timeline::v1::{SendGroupReply, SendGroupRequest};
use serde_json::{Value, json};

use super::{MIB, still_sends, unharmed};
use crate::support::Server;
use crate::support::grpc::Grpc;
use crate::support::http::{Response, get, post_json};

#[test]
fn a_group_of_100_000_members_is_reached_over_both_protocols_and_one_more_is_refused() {
    let mut server = Server::start();
    let mut members: Vec<String> = (0..100_000).map(|i| format!("member-{i}")).collect();
    let body = json!({"groupName": "all", "groupMembers": members, "message": "{\"n\":1}"});
    let answer = post_json(server.http, "/timeline/sendGroup", &body);
    assert_eq!((answer.status, answer.json()), (200, json!({"failedMembers": []})));
    let mut grpc = Grpc::connect(server.grpc);
    let send = |group_members| SendGroupRequest {
        group_name: "all".to_owned(),
        group_members,
        message: "{\"n\":2}".to_owned(),
    };
    let reply: SendGroupReply = grpc.call("SendGroup", &send(members.clone())).message();
    assert!(reply.failed_members.is_empty());

    members.push("one-more".to_owned());
    let answer = post_json(
        server.http,
        "/timeline/sendGroup",
        &json!({"groupName": "all", "groupMembers": members, "message": "{\"n\":3}"}),
    );
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["metadata"]["limit"], "group_members_max");
    let answer = grpc.call("SendGroup", &send(members));
    assert_eq!((answer.code, answer.metadata["max"].as_str()), (Some(3), "100000"));

    let wanted = json!([
        {"sequence": "1", "message": "{\"n\":1}"}, {"sequence": "2", "message": "{\"n\":2}"}
    ]);
    for i in (0..100_000).step_by(9_999).chain([99_999]) {
        let page = get(server.http, &format!("/timeline/sync?member=member-{i}")).json();
        assert_eq!(page["entrySet"], wanted, "member-{i}");
    }
    let page = get(server.http, "/timeline/sync?member=one-more").json();
    assert_eq!(page["latestSeq"], "0");
    still_sends(&server, 1);
    assert!(server.is_alive() && !server.log().contains("panic"));
}

#[test]
fn many_of_the_largest_sends_at_once_are_stored_or_refused_in_bounded_memory() {
    const THREADS: usize = 32;
    const SENDS: usize = 12;
    let mut server = Server::start_set(&[
        ("data.memory_bytes", "67108864"),
        ("data.queue_bytes_max", "8388608"),
    ]);
    let start = server.memory_bytes();
    let message = format!("{{\"a\":\"{}\"}}", "x".repeat(256 * 1024 - 8));
    let send = |i: usize| {
        let body = json!({"from": "big", "to": format!("t{i}"), "message": message});
        let answers = (0..SENDS).map(|_| post_json(server.http, "/timeline/send", &body));
        answers.filter(stored_or_overloaded).count()
    };
    let send = &send;
    let stored: Vec<usize> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|i| scope.spawn(move || send(i))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(stored.iter().sum::<usize>() > THREADS, "{stored:?}");
    for (i, stored) in stored.iter().enumerate() {
        let page = get(server.http, &format!("/timeline/sync?member=t{i}&count=1")).json();
        assert_eq!(page["latestSeq"], stored.to_string(), "of t{i}");
    }
    still_sends(&server, 1);
    // The store's own budget, its queue, and the requests themselves in a few copies.
    unharmed(&mut server, start, 64 * MIB + 8 * MIB + 4 * THREADS as u64 * MIB / 4 + 160 * MIB);
}

fn stored_or_overloaded(answer: &Response) -> bool {
    let body: Value = answer.json();
    if answer.status == 200 {
        return true;
    }
    let reason = body["reason"].as_str().unwrap();
    assert!(matches!((answer.status, reason), (503, "OVERLOADED") | (429, "RATELIMIT")), "{body}");
    false
}
