//! What is in the directory, and what is asked of it.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::Server;
use crate::support::http::request;

const MEMBERS: [&str; 6] = ["ann", "bob", "吃 了/?", "dan", "eve", "nobody"];
const GROUP: &str = "group 群";
/// More than a chunk of the index holds.
const GROUP_SENDS: usize = 70;

/// A send with an idempotency key, and its answer.
#[derive(Serialize, Deserialize)]
pub struct Sent {
    path: String,
    key: String,
    body: Value,
    answer: Value,
}

fn post(server: &Server, path: &str, key: Option<&str>, body: &Value) -> (u16, Value) {
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(key.map(|key| ("Idempotency-Key", key)));
    let text = body.to_string();
    let answer = request(server.http, "POST", path.as_bytes(), &headers, text.as_bytes());
    (answer.status, answer.json())
}

/// A direct send. Returns its answer.
pub fn send(server: &Server, from: &str, to: &str, message: &str, key: Option<&str>) -> Value {
    let body = json!({"from": from, "to": to, "message": message});
    let (status, answer) = post(server, "/timeline/send", key, &body);
    assert_eq!(status, 200, "{answer}");
    answer
}

fn send_group(server: &Server, members: &[&str], message: &str, key: Option<&str>) -> Value {
    let body = json!({"groupName": GROUP, "groupMembers": members, "message": message});
    let (status, answer) = post(server, "/timeline/sendGroup", key, &body);
    assert_eq!(status, 200, "{answer}");
    answer
}

/// Sends it again, and something else under its key.
pub fn repeat(server: &Server, sent: &Sent) {
    let (status, answer) = post(server, &sent.path, Some(&sent.key), &sent.body);
    assert_eq!((status, &answer), (200, &sent.answer));
    let mut other = sent.body.clone();
    other["message"] = json!("{\"other\":true}");
    let (status, answer) = post(server, &sent.path, Some(&sent.key), &other);
    assert_eq!((status, &answer["reason"]), (409, &json!("IDEMPOTENCY_CONFLICT")));
}

/// Two runs: the first stops, so that the index has all of it, the second is killed, so that only
/// the log has what it wrote.
pub fn tell(data: &Path, settings: &[(&str, &str)]) -> Vec<Sent> {
    let mut keyed = Vec::new();
    for run in ["first", "second"] {
        let mut server = Server::start_on_set(data, settings);
        one_run(&server, run, &mut keyed);
        match run {
            "first" => assert!(server.stop().success()),
            _ => server.kill(),
        }
    }
    keyed
}

fn one_run(server: &Server, run: &str, keyed: &mut Vec<Sent>) {
    for (n, pair) in MEMBERS[..5].windows(2).enumerate() {
        let message = format!("{{ \"run\":\"{run}\",\t\"n\": 1.0, \"n\": 9007199254740993{n} }}");
        send(server, pair[0], pair[1], &message, None);
        send(server, pair[1], pair[0], "{\"text\":\"吃了吗？\"}", None);
        send(server, pair[0], pair[0], "{}", None);
    }
    let large = format!("{{\"large\":\"{}\"}}", "0123456789abcdef".repeat(300));
    send(server, "ann", "bob", &large, None);
    for n in 0..GROUP_SENDS {
        let members = &MEMBERS[n % 2..4 + n % 2];
        send_group(server, members, &format!("{{\"run\":\"{run}\",\"n\":{n}}}"), None);
    }
    let direct = json!({"from": "bob", "to": "ann", "message": format!("{{\"key\":\"{run}\"}}")});
    let group = json!({
        "groupName": GROUP,
        "groupMembers": ["ann", "eve"],
        "message": format!("{{\"g\":\"{run}\"}}"),
    });
    for (path, body) in [("/timeline/send", direct), ("/timeline/sendGroup", group)] {
        let key = format!("key of {path} in the {run} run");
        let (status, answer) = post(server, path, Some(&key), &body);
        assert_eq!(status, 200, "{answer}");
        keyed.push(Sent { path: path.to_owned(), key, body, answer });
    }
}

/// Every timeline, whole and in part.
pub fn reads() -> Vec<String> {
    let escape =
        |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
    let mut reads = Vec::new();
    for member in MEMBERS.map(escape) {
        for after in ["", "&last_read=60&count=10", "&last_read=100"] {
            reads.push(format!("/timeline/sync?member={member}{after}"));
        }
    }
    for pair in MEMBERS.windows(2) {
        let (one, other) = (escape(pair[0]), escape(pair[1]));
        reads.push(format!("/timeline/history/single/{one}/{other}"));
        reads.push(format!("/timeline/history/single/{one}/{one}"));
    }
    for after in ["", "?last_read=63&count=3", "?last_read=130"] {
        reads.push(format!("/timeline/history/group/{}{after}", escape(GROUP)));
    }
    reads
}
