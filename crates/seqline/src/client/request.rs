//! Requests in the wire form of their protocol, made once and sent as often as wanted.

use bytes::{BufMut as _, Bytes, BytesMut};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::endpoint::Protocol;
use super::wire::{frame, put_number, put_text, text_bytes};

/// One request, ready to leave.
#[derive(Clone, Debug)]
pub enum Request {
    /// A gRPC call.
    Grpc {
        /// The method's name.
        method: &'static str,
        /// The framed message.
        body: Bytes,
    },
    /// An HTTP request.
    Http {
        /// Path and query, percent-encoded.
        target: String,
        /// The JSON body of a `POST`; `None` for a `GET`.
        body: Option<Bytes>,
    },
}

/// A timeline to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Timeline {
    /// A member's inbox.
    Inbox(String),
    /// The conversation of two members.
    Direct(String, String),
    /// A group's conversation.
    Group(String),
}

impl Protocol {
    /// A direct send.
    pub fn send(self, from: &str, to: &str, message: &str) -> Request {
        match self {
            Protocol::Grpc => {
                let capacity = from.len() + to.len() + message.len() + 32;
                let body = frame(capacity, |buffer| {
                    put_text(buffer, 1, from.as_bytes());
                    put_text(buffer, 2, to.as_bytes());
                    put_text(buffer, 3, message.as_bytes());
                });
                Request::Grpc { method: "Send", body }
            }
            Protocol::Http => {
                let body = json!({"from": from, "to": to, "message": message}).to_string();
                Request::Http { target: "/timeline/send".to_owned(), body: Some(body.into()) }
            }
        }
    }

    /// One page of a timeline: the entries after `after`, at most `count` of them; 0 for as many
    /// as the server puts into one page.
    pub fn read(self, timeline: &Timeline, after: i64, count: i32) -> Request {
        match self {
            Protocol::Grpc => read_grpc(timeline, after, count),
            Protocol::Http => read_http(timeline, after, count),
        }
    }
}

fn read_grpc(timeline: &Timeline, after: i64, count: i32) -> Request {
    // The numbers follow the ids, two fields in this order.
    let (method, ids): (_, [&str; 2]) = match timeline {
        Timeline::Inbox(member) => ("GetSyncMessage", [member, ""]),
        Timeline::Direct(one, other) => ("GetSingleHistoryMessage", [one, other]),
        Timeline::Group(group) => ("GetGroupHistoryMessage", [group, ""]),
    };
    let numbers = if matches!(timeline, Timeline::Inbox(_)) { 2 } else { 3 };
    let body = frame(ids[0].len() + ids[1].len() + 48, |buffer| {
        put_text(buffer, 1, ids[0].as_bytes());
        if !ids[1].is_empty() {
            put_text(buffer, 2, ids[1].as_bytes());
        }
        put_number(buffer, numbers, after.cast_unsigned());
        put_number(buffer, numbers + 1, i64::from(count).cast_unsigned());
    });
    Request::Grpc { method, body }
}

fn read_http(timeline: &Timeline, after: i64, count: i32) -> Request {
    let encode = |id| utf8_percent_encode(id, NON_ALPHANUMERIC);
    let numbers = format!("last_read={after}&count={count}");
    let target = match timeline {
        Timeline::Inbox(member) => format!("/timeline/sync?member={}&{numbers}", encode(member)),
        Timeline::Direct(one, other) => {
            format!("/timeline/history/single/{}/{}?{numbers}", encode(one), encode(other))
        }
        Timeline::Group(group) => format!("/timeline/history/group/{}?{numbers}", encode(group)),
    };
    Request::Http { target, body: None }
}

/// A group with its members, to send many messages to: only the message is added each time.
#[derive(Clone, Debug)]
pub struct GroupSend {
    protocol: Protocol,
    head: Bytes,
}

impl GroupSend {
    /// Sends to `group`, into the inboxes of `members`.
    pub fn new<T: AsRef<str>>(
        protocol: Protocol,
        group: &str,
        members: impl IntoIterator<Item = T>,
    ) -> GroupSend {
        let head = match protocol {
            Protocol::Grpc => {
                let mut head = BytesMut::new();
                put_text(&mut head, 1, group.as_bytes());
                members.into_iter().for_each(|m| put_text(&mut head, 2, m.as_ref().as_bytes()));
                head.freeze()
            }
            Protocol::Http => {
                let members: Vec<_> = members.into_iter().map(|m| json!(m.as_ref())).collect();
                let mut head = json!({"groupName": group, "groupMembers": members}).to_string();
                head.pop();
                Bytes::from(head + ",\"message\":")
            }
        };
        GroupSend { protocol, head }
    }

    /// The request that sends `message`.
    pub fn message(&self, message: &str) -> Request {
        match self.protocol {
            Protocol::Grpc => {
                let body = frame(self.head.len() + text_bytes(3, message.len()), |buffer| {
                    buffer.put_slice(&self.head);
                    put_text(buffer, 3, message.as_bytes());
                });
                Request::Grpc { method: "SendGroup", body }
            }
            Protocol::Http => {
                let message = json!(message).to_string();
                let body = [&self.head, message.as_bytes(), b"}"].concat();
                let target = "/timeline/sendGroup".to_owned();
                Request::Http { target, body: Some(body.into()) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use seqline_api::timeline::v1 as api;

    use super::*;

    fn grpc<T: prost::Message + Default>(request: &Request) -> (&'static str, T) {
        let Request::Grpc { method, body } = request else { panic!("not gRPC: {request:?}") };
        assert_eq!(body[0], 0, "uncompressed");
        assert_eq!(body[1..5], u32::try_from(body.len() - 5).unwrap().to_be_bytes());
        (method, T::decode(&body[5..]).unwrap())
    }

    #[test]
    fn grpc_requests_are_what_the_generated_code_reads() {
        let (method, sent) = grpc(&Protocol::Grpc.send("a", "b", "{}"));
        let expected =
            api::SendMessageRequest { from: "a".into(), to: "b".into(), message: "{}".into() };
        assert_eq!((method, sent), ("Send", expected));

        let group = GroupSend::new(Protocol::Grpc, "g", ["a", "吃"]);
        let (method, sent) = grpc(&group.message("{\"text\":1}"));
        let expected = api::SendGroupRequest {
            group_name: "g".into(),
            group_members: vec!["a".into(), "吃".into()],
            message: "{\"text\":1}".into(),
        };
        assert_eq!((method, sent), ("SendGroup", expected));
    }

    #[test]
    fn grpc_reads_have_their_numbers_in_the_right_fields() {
        let read = |timeline: Timeline| Protocol::Grpc.read(&timeline, 7, -1);
        let inbox = api::SyncMessageRequest { member: "a".into(), last_read: 7, count: -1 };
        assert_eq!(grpc(&read(Timeline::Inbox("a".into()))), ("GetSyncMessage", inbox));
        let direct = api::GetSingleHistoryMessageRequest {
            from: "a".into(),
            to: "b".into(),
            last_read: 7,
            count: -1,
        };
        let read_direct = read(Timeline::Direct("a".into(), "b".into()));
        assert_eq!(grpc(&read_direct), ("GetSingleHistoryMessage", direct));
        let group =
            api::GetGroupHistoryMessageRequest { group: "g".into(), last_read: 7, count: -1 };
        assert_eq!(grpc(&read(Timeline::Group("g".into()))), ("GetGroupHistoryMessage", group));
    }

    #[test]
    fn http_requests_quote_whatever_an_id_holds() {
        let Request::Http { target, .. } =
            Protocol::Http.read(&Timeline::Direct("a/b".into(), "?.".into()), 0, 5)
        else {
            panic!("HTTP asked for");
        };
        assert_eq!(target, "/timeline/history/single/a%2Fb/%3F%2E?last_read=0&count=5");
        let Request::Http { body, .. } =
            GroupSend::new(Protocol::Http, "g\"", ["a\n"]).message("{\"a\":\"b\"}")
        else {
            panic!("HTTP asked for");
        };
        let body: serde_json::Value = serde_json::from_slice(&body.unwrap()).unwrap();
        let expected =
            json!({"groupName": "g\"", "groupMembers": ["a\n"], "message": "{\"a\":\"b\"}"});
        assert_eq!(body, expected);
    }
}
