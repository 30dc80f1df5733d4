//! The server under attack, and the proof that an attack left no trace.

use serde_json::{Value, json};

use crate::support::Server;
use crate::support::grpc::{Answer, Grpc};
use crate::support::http::{Response, get, post_json, request};

/// What the server must answer: code, reason and a part of the message.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub http: u16,
    pub grpc: i32,
    pub reason: &'static str,
    pub says: String,
    /// The limit that was passed, its value and what the request had.
    pub limit: Option<(&'static str, usize, usize)>,
}

/// A parameter that is wrong.
pub fn invalid(says: &str) -> Refusal {
    let reason = "TIMELINE_INVALID_PARAM";
    Refusal { http: 400, grpc: 3, reason, says: says.to_owned(), limit: None }
}

/// A parameter that passes a limit.
pub fn too_large(field: &str, limit: &'static str, max: usize, actual: usize) -> Refusal {
    Refusal { limit: Some((limit, max, actual)), ..invalid(field) }
}

/// Something over HTTP that cannot be decoded.
pub fn codec(says: &str) -> Refusal {
    Refusal { reason: "CODEC", ..invalid(says) }
}

/// A server with a conversation of `v1` and `v2`, and a group `vg` of both, one message each.
/// Attacks use these ids; `unharmed` checks that they changed nothing.
pub struct Victim {
    pub server: Server,
    pid: u32,
    sent: u64,
    wrong: Vec<String>,
}

impl Victim {
    pub fn new() -> Victim {
        Victim::with(&[])
    }

    pub fn with(settings: &[(&str, &str)]) -> Victim {
        let server = Server::start_set(settings);
        let pid = server.pid();
        let mut victim = Victim { server, pid, sent: 0, wrong: Vec::new() };
        victim.good_sends();
        victim
    }

    /// `POST /timeline/CALL`.
    pub fn post(&self, call: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        request(self.server.http, "POST", format!("/timeline/{call}").as_bytes(), headers, body)
    }

    /// `GET TARGET`.
    pub fn get(&self, target: impl AsRef<[u8]>) -> Response {
        request(self.server.http, "GET", target.as_ref(), &[], b"")
    }

    /// Notes an answer that is not the wanted one.
    pub fn check(&mut self, what: &str, answer: &Response, wanted: &Refusal) {
        let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else {
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            return self.wrong.push(format!("{what}: {} {text:?} is no JSON", answer.status));
        };
        let message = body["message"].as_str().unwrap_or("(no message)");
        let same = answer.status == wanted.http
            && body["code"] == wanted.http
            && body["reason"] == wanted.reason
            && body["metadata"].is_object()
            && message.contains(&wanted.says)
            && wanted.limit.is_none_or(|(limit, max, actual)| {
                let metadata = json!({
                    "limit": limit, "max": max.to_string(), "actual": actual.to_string()
                });
                body["metadata"] == metadata && message.contains(&max.to_string())
            });
        if !same {
            let text: String = body.to_string().chars().take(300).collect();
            self.wrong.push(format!("{what}: {} {text}, not {wanted:?}", answer.status));
        }
    }

    /// The same for an answer of gRPC.
    pub fn check_grpc(&mut self, what: &str, answer: &Answer, wanted: &Refusal) {
        let metadata = |key: &str| answer.metadata.get(key).cloned().unwrap_or_default();
        let same = answer.code == Some(wanted.grpc)
            && answer.reason.as_deref() == Some(wanted.reason)
            && wanted.limit.is_none_or(|(limit, max, actual)| {
                metadata("limit") == limit
                    && metadata("max") == max.to_string()
                    && metadata("actual") == actual.to_string()
            });
        if !same {
            self.wrong.push(format!("{what}: {answer:?}, not {wanted:?}"));
        }
    }

    /// Notes something else that is wrong.
    pub fn wrong(&mut self, what: String) {
        self.wrong.push(what);
    }

    /// One more message everywhere, each with the number that must follow.
    fn good_sends(&mut self) {
        self.sent += 1;
        let body = json!({"n": self.sent}).to_string();
        let send = json!({"from": "v1", "to": "v2", "message": body});
        let answer = post_json(self.server.http, "/timeline/send", &send);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["sequence"], (2 * self.sent - 1).to_string(), "of a good send");
        let send = json!({"groupName": "vg", "groupMembers": ["v1", "v2"], "message": body});
        let answer = post_json(self.server.http, "/timeline/sendGroup", &send);
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Fails with everything that was noted, or if an attack left any trace in `v1`, `v2`, `vg`
    /// or in the inboxes of `strangers`, or if the process is not what it was.
    pub fn unharmed(mut self, strangers: &[&str]) {
        let wrong = std::mem::take(&mut self.wrong);
        assert!(
            wrong.is_empty(),
            "{} of the answers are wrong:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
        assert!(self.server.is_alive() && self.server.pid() == self.pid, "the server died");
        self.good_sends();
        let in_order: Vec<u64> = (1..=self.sent).collect();
        let twice: Vec<u64> = (1..=self.sent).flat_map(|n| [n, n]).collect();
        self.holds("sync?member=v1", &twice);
        self.holds("sync?member=v2", &twice);
        self.holds("history/single/v1/v2", &in_order);
        self.holds("history/group/vg", &in_order);
        for stranger in strangers {
            self.holds(&format!("sync?member={stranger}"), &[]);
        }
        let mut grpc = Grpc::connect(self.server.grpc);
        let request = seqline_api::timeline::v1::SyncMessageRequest {
            member: "v1".to_owned(),
            ..Default::default()
        };
        let page: seqline_api::timeline::v1::SyncMessageReply =
            grpc.call("GetSyncMessage", &request).message();
        assert_eq!(page.latest_seq, 2 * self.sent.cast_signed());
        let log = self.server.log();
        assert!(!log.contains("panic"), "{log}");
        assert!(self.server.stop().success());
    }

    #[track_caller]
    fn holds(&self, target: &str, messages: &[u64]) {
        let page = get(self.server.http, &format!("/timeline/{target}")).json();
        let entries: Vec<_> = messages
            .iter()
            .enumerate()
            .map(|(i, n)| {
                let message = json!({"n": n}).to_string();
                json!({"sequence": (i + 1).to_string(), "message": message})
            })
            .collect();
        assert_eq!(page["entrySet"], Value::Array(entries), "{target}");
        if target.starts_with("sync") {
            assert_eq!(page["latestSeq"], messages.len().to_string(), "{target}");
        }
    }
}
