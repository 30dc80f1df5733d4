//! Frames, protobuf, metadata and values over gRPC that are wrong in one way each.

use bytes::Bytes;
use http_body_util::Full;
use prost::Message as _;
use seqline_api::timeline::v1::{
    GetGroupHistoryMessageRequest, GetSingleHistoryMessageRequest, SendGroupRequest,
    SendMessageRequest, SyncMessageReply, SyncMessageRequest,
};

use super::victim::{Victim, invalid, too_large};
use crate::support::grpc::{Grpc, frame, path, raw_frame};

const METHODS: [&str; 5] =
    ["Send", "SendGroup", "GetSyncMessage", "GetSingleHistoryMessage", "GetGroupHistoryMessage"];

fn send(from: &str, to: &str, message: &str) -> SendMessageRequest {
    SendMessageRequest { from: from.into(), to: to.into(), message: message.into() }
}

fn group(name: &str, members: &[&str], message: &str) -> SendGroupRequest {
    let group_members = members.iter().map(|m| (*m).to_owned()).collect();
    SendGroupRequest { group_name: name.into(), group_members, message: message.into() }
}

impl Victim {
    /// The call ends with one of these codes.
    fn ends(&mut self, grpc: &mut Grpc, what: &str, method: &str, body: Vec<u8>, codes: &[i32]) {
        let answer = grpc.call_raw(&path(method), &[], body);
        if !answer.code.is_some_and(|code| codes.contains(&code)) {
            self.wrong(format!("{method}, {what}: {answer:?}, not one of {codes:?}"));
        }
    }

    fn refuses_call(
        &mut self,
        grpc: &mut Grpc,
        method: &str,
        message: &(impl prost::Message + std::fmt::Debug),
        wanted: &super::victim::Refusal,
    ) {
        let answer = grpc.call(method, message);
        let shown: String = format!("{message:?}").chars().take(80).collect();
        self.check_grpc(&format!("{method} {shown}"), &answer, wanted);
    }
}

#[test]
fn frames_that_are_none_are_refused() {
    let mut victim = Victim::new();
    let mut grpc = Grpc::connect(victim.server.grpc);
    let good = send("v1", "v2", "{}").encode_to_vec();
    let length = u32::try_from(good.len()).unwrap();
    // Internal, invalid argument, out of range, unimplemented, resource exhausted, cancelled or
    // unknown: which of them is the framework's affair.
    let refused = [1, 2, 3, 8, 11, 12, 13];
    for method in METHODS {
        for (what, body) in [
            ("no frame", Vec::new()),
            ("half a frame head", vec![0, 0, 0]),
            ("a length without data", raw_frame(0, length, b"")),
            ("data cut", raw_frame(0, length + 1, &good)),
            ("length 4 GiB", raw_frame(0, u32::MAX, &good)),
            ("length 4 MiB + 1", raw_frame(0, (4 << 20) + 1, &good)),
            ("compressed by nothing", raw_frame(1, length, &good)),
            ("flag 2", raw_frame(2, length, &good)),
            ("flag 255", raw_frame(255, length, &good)),
            ("rubbish behind", [frame(&good), vec![1, 2]].concat()),
        ] {
            victim.ends(&mut grpc, what, method, body, &refused);
        }
        let large = frame(&vec![0x0a; (4 << 20) + 1]);
        victim.ends(&mut grpc, "a message past 4 MiB", method, large, &refused);
    }
    // One call has one message.
    let two = [frame(&good), frame(&good)].concat();
    victim.ends(&mut grpc, "two messages", "Send", two, &refused);
    victim.unharmed(&[]);
}

#[test]
fn protobuf_that_is_none_is_refused() {
    let mut victim = Victim::new();
    let mut grpc = Grpc::connect(victim.server.grpc);
    let deep_groups = vec![0x7b; 1 << 20];
    for method in METHODS {
        for message in [
            &b"\x0a"[..],
            b"\x0a\x05ab",
            b"\x0a\xff\xff\xff\xff\x0f",
            b"\x0a\x01\xff",
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
            b"\x0a\x02\xc3\x28",
            b"\x0b",
            b"\x0c",
            b"\x0e",
            b"\x0f",
            b"\0\0",
            b"\x02\0",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\xfa\xff\xff\xff\x0f",
            b"\x7b",
            b"\x7b\x7b\x7c",
            b"\x7b\x84\x01",
            &deep_groups,
        ] {
            let what = format!("{:02x?}", &message[..message.len().min(12)]);
            victim.ends(&mut grpc, &what, method, frame(message), &[13]);
        }
    }
    let long_name = [b"\x12\x80\x01", &[b'a'; 127][..], b"\xff"].concat();
    for (what, fields) in [
        ("a member that is no UTF-8", &b"\x12\x02v1\x12\x01\xff"[..]),
        ("an overlong NUL", b"\x12\x02\xc0\x80"),
        ("two halves of a character", b"\x12\x01\xc3\x12\x01\xa9"),
        ("a long member that is no UTF-8", &long_name),
        ("a message that is no UTF-8", b"\x12\x02v1\x1a\x09{\"a\":\"\xff\"}"),
        ("a cut list", b"\x12\x02v1\x12\x02v"),
        ("a member beyond the end", b"\x12\x02v1\x12\x7fv"),
    ] {
        let body = frame(&[b"\x0a\x02vg", fields].concat());
        victim.ends(&mut grpc, what, "SendGroup", body, &[13]);
    }
    // A field of another type is another field: then there are no members, or no ids.
    victim.ends(&mut grpc, "members as a number", "SendGroup", frame(b"\x0a\x02vg\x10\x01"), &[3]);
    for method in METHODS {
        victim.ends(&mut grpc, "an id as a number", method, frame(b"\x08\x01"), &[3]);
        victim.ends(&mut grpc, "an id as a float", method, frame(b"\x0d\0\0\0\0"), &[3]);
    }
    victim.unharmed(&[]);
}

#[test]
fn random_protobuf_never_harms() {
    let victim = Victim::new();
    let mut grpc = Grpc::connect(victim.server.grpc);
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..2_000_usize {
        let length = random() % 64;
        // No plain letters or digits, so that no id of the victim can come up.
        let noise: Vec<u8> = (0..length).map(|_| (random() as u8) & 0x9f).collect();
        let answer = grpc.call_raw(&path(METHODS[round % 5]), &[], frame(&noise));
        assert!(answer.code.is_some(), "{answer:?}");
    }
    victim.unharmed(&[]);
}

#[test]
fn calls_that_do_not_exist_and_requests_that_are_no_calls_are_refused() {
    let mut victim = Victim::new();
    let mut grpc = Grpc::connect(victim.server.grpc);
    let good = frame(&send("v1", "v2", "{}").encode_to_vec());
    for path in [
        "/",
        "/x",
        "/timeline.v1.Timeline",
        "/timeline.v1.Timeline/",
        "/timeline.v1.Timeline/send",
        "/timeline.v1.Timeline/Send/",
        "/timeline.v1.Timeline/Send/x",
        "//Send",
        "/a/b/c/d",
        "/timeline.v2.Timeline/Send",
        "/timeline.v1.Timeline/%53end",
        "/grpc.health.v1.Health/Nope",
        "/timeline/send",
    ] {
        let answer = grpc.call_raw(path, &[], good.clone());
        if answer.code != Some(12) {
            victim.wrong(format!("{path}: {answer:?}"));
        }
    }
    for content_type in ["", "application/json", "application/proto", "text/plain", "grpc"] {
        let headers = [("content-type", content_type.as_bytes())];
        let answer = grpc.call_raw(&path("Send"), &headers, good.clone());
        if answer.code == Some(0) || (answer.code.is_none() && answer.http == 200) {
            victim.wrong(format!("content type {content_type:?}: {answer:?}"));
        }
    }
    for method in ["GET", "PUT", "DELETE", "OPTIONS", "HEAD", "BREW"] {
        let request = hyper::Request::builder()
            .method(method)
            .uri(format!("http://x{}", path("Send")))
            .header("content-type", "application/grpc")
            .body(Full::new(Bytes::from(good.clone())))
            .unwrap();
        let answer = grpc.request(request).unwrap();
        if answer.code == Some(0) {
            victim.wrong(format!("{method}: {answer:?}"));
        }
    }
    // An encoding that is not offered.
    for encoding in ["gzip", "zstd", "x"] {
        let headers = [("grpc-encoding", encoding.as_bytes())];
        let body = raw_frame(1, 3, b"abc");
        let answer = grpc.call_raw(&path("Send"), &headers, body);
        if answer.code.is_none_or(|code| code == 0) {
            victim.wrong(format!("encoding {encoding}: {answer:?}"));
        }
    }
    victim.unharmed(&[]);
}

#[test]
fn metadata_that_is_wrong_is_refused_or_ignored() {
    let mut victim = Victim::new();
    let mut grpc = Grpc::connect(victim.server.grpc);
    let good = frame(&send("v1", "v2", "{}").encode_to_vec());
    let wanted = invalid("idempotency-key");
    let long = [b'k'; 257];
    let too_long = too_large("idempotency-key", "idempotency_key_bytes_max", 256, 257);
    let name = "idempotency-key";
    for (what, headers, wanted) in [
        ("an empty key", vec![(name, &b""[..])], &wanted),
        ("two keys", vec![(name, b"a"), (name, b"a")], &wanted),
        ("a key beyond ASCII", vec![(name, "é".as_bytes())], &wanted),
        ("a long key", vec![(name, &long)], &too_long),
    ] {
        let answer = grpc.call_raw(&path("Send"), &headers, good.clone());
        victim.check_grpc(what, &answer, wanted);
    }
    let sync = SyncMessageRequest { member: "v1".into(), ..Default::default() };
    let sync = frame(&sync.encode_to_vec());
    for timeout in ["", "abc", "1", "S", "-1S", "1.5S", "123456789S", "99999999H", "1s", "1 S"] {
        let headers = [("grpc-timeout", timeout.as_bytes())];
        let answer = grpc.call_raw(&path("GetSyncMessage"), &headers, sync.clone());
        // A client's mistake about its deadline costs at most this call.
        if answer.code.is_none() {
            victim.wrong(format!("timeout {timeout:?}: {answer:?}"));
        }
    }
    for key in ["x-md-global-a", "grpc-trace-bin", "traceparent", "authorization"] {
        let headers = [(key, &b"!!\xff not base64"[..])];
        let answer = grpc.call_raw(&path("GetSyncMessage"), &headers, sync.clone());
        if answer.code.is_none() {
            victim.wrong(format!("{key}: {answer:?}"));
        }
    }
    victim.unharmed(&[]);
}

#[test]
fn values_that_are_wrong_are_refused_as_over_http() {
    let mut victim = Victim::new();
    let mut grpc = Grpc::connect(victim.server.grpc);
    let long = "x".repeat(1_025);
    let id = |field| too_large(field, "id_bytes_max", 1_024, 1_025);
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(256 * 1024 + 1 - 8));
    let message = too_large("message", "message_bytes_max", 262_144, 262_145);
    let (pair, nobody) = (invalid("miss from or to filed"), invalid("miss group name"));
    let text = invalid("message");
    let mut sends = vec![
        (send("", "v2", "{}"), pair.clone()),
        (send("v1", "", "{}"), pair.clone()),
        (SendMessageRequest::default(), pair),
        (send(&long, "v2", "{}"), id("from")),
        (send("v1", &long, "{}"), id("to")),
        (send("v1", "v2", &large), message.clone()),
    ];
    for bad in ["", " ", "null", "[]", "1", "\"x\"", "{", "{}{}", "{\"a\":}", "{\"a\":\"\n\"}"] {
        sends.push((send("v1", "v2", bad), text.clone()));
    }
    sends.push((send("v1", "v2", &"{\"a\":".repeat(40_000)), text.clone()));
    for (request, wanted) in sends {
        victim.refuses_call(&mut grpc, "Send", &request, &wanted);
    }
    let many: Vec<String> = (0..=100_000).map(|i| format!("m{i}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (request, wanted) in [
        (group("", &["v1"], "{}"), nobody.clone()),
        (group("vg", &[], "{}"), nobody),
        (group("vg", &["w", ""], "{}"), invalid("empty")),
        (group(&long, &["w"], "{}"), id("group_name")),
        (group("vg", &["w", &long], "{}"), id("group_members")),
        (group("vg", &["w"], &large), message),
        (group("vg", &["w"], "[]"), text),
        (group("vg", &many, "{}"), too_large("", "group_members_max", 100_000, 100_001)),
    ] {
        victim.refuses_call(&mut grpc, "SendGroup", &request, &wanted);
    }
    victim.unharmed(&["w", "m0", "m100000"]);
}

#[test]
fn pages_that_cannot_be_are_refused_as_over_http() {
    let mut victim = Victim::new();
    let mut grpc = Grpc::connect(victim.server.grpc);
    let long = "x".repeat(1_025);
    for (member, count, wanted) in [
        ("", 0, invalid("member")),
        ("v1", -1, invalid("count")),
        ("v1", i32::MIN, invalid("count")),
        (&long, 0, too_large("member", "id_bytes_max", 1_024, 1_025)),
    ] {
        let request = SyncMessageRequest { member: member.into(), last_read: 0, count };
        victim.refuses_call(&mut grpc, "GetSyncMessage", &request, &wanted);
    }
    for (from, to, count) in [("", "v2", 0), ("v1", "", 0), ("v1", "v2", -1)] {
        let (from, to) = (from.to_owned(), to.to_owned());
        let request = GetSingleHistoryMessageRequest { from, to, last_read: 0, count };
        victim.refuses_call(&mut grpc, "GetSingleHistoryMessage", &request, &invalid(""));
    }
    for (name, count) in [("", 0), ("vg", -1), (long.as_str(), 0)] {
        let request = GetGroupHistoryMessageRequest { group: name.into(), last_read: 0, count };
        victim.refuses_call(&mut grpc, "GetGroupHistoryMessage", &request, &invalid(""));
    }
    // Cursors beyond both ends are no mistake.
    for (last_read, entries) in [(i64::MIN, 2), (-1, 2), (i64::MAX, 0), (i64::MAX - 1, 0)] {
        let request = SyncMessageRequest { member: "v1".into(), last_read, count: i32::MAX };
        let page: SyncMessageReply = grpc.call("GetSyncMessage", &request).message();
        assert_eq!((page.latest_seq, page.entry_set.len()), (2, entries), "{last_read}");
    }
    victim.unharmed(&[]);
}
