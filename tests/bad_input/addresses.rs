//! Headers, queries and paths over HTTP that are wrong in one way each.

use super::victim::{Refusal, Victim, codec, invalid, too_large};
use crate::support::http::request;

const JSON: (&str, &str) = ("Content-Type", "application/json");
const PROTO: (&str, &str) = ("Content-Type", "application/proto");

#[test]
fn content_types_that_mean_nothing_are_refused() {
    let mut victim = Victim::new();
    let good = br#"{"from":"v1","to":"v2","message":"{}"}"#;
    let wanted = codec("unregister Content-Type");
    for line in [
        "",
        "json",
        "application/JSON",
        "text/plain",
        "application/octet-stream",
        "/",
        "application/",
        "multipart/form-data; boundary=x",
        "application/xml",
        "\u{fe0f}/é",
        ";/;",
    ] {
        let answer = victim.post("send", &[("Content-Type", line)], good);
        victim.check(&format!("content type {line:?}"), &answer, &wanted);
    }
    let answer = victim.post("send", &[], good);
    victim.check("no content type", &answer, &wanted);
    let answer = victim.post("send", &[PROTO], good);
    victim.check("JSON called protobuf", &answer, &codec("body unmarshal"));
    victim.unharmed(&[]);
}

#[test]
fn idempotency_keys_that_are_none_are_refused() {
    let mut victim = Victim::new();
    let good = br#"{"from":"v1","to":"v2","message":"{}"}"#;
    let group = br#"{"groupName":"vg","groupMembers":["v1"],"message":"{}"}"#;
    let long = "k".repeat(257);
    let wanted = invalid("idempotency-key");
    let too_long = too_large("idempotency-key", "idempotency_key_bytes_max", 256, 257);
    for (key, wanted) in [("", &wanted), ("é", &wanted), ("a\tb", &wanted), (&long, &too_long)] {
        for (call, body) in [("send", &good[..]), ("sendGroup", &group[..])] {
            let answer = victim.post(call, &[JSON, ("Idempotency-Key", key)], body);
            victim.check(&format!("{call} with key {key:?}"), &answer, wanted);
        }
    }
    let twice = [JSON, ("Idempotency-Key", "a"), ("idempotency-key", "a")];
    victim.check("two keys", &victim.post("send", &twice, good), &wanted);
    victim.unharmed(&[]);
}

#[test]
fn queries_that_cannot_be_decoded_are_refused() {
    let mut victim = Victim::new();
    for pair in [
        "count=abc",
        "count=1.5",
        "count=%201",
        "count=2147483648",
        "count=0x1",
        "count=1e3",
        "count=--1",
        "count=1&count=1",
        "last_read=9223372036854775808",
        "lastRead=-",
        "last_read=%FF",
        "last_read=1&last_read=2",
        "last_read=-9223372036854775809",
        "member=a&member=b",
        "member=%ff",
        "member=%ed%a0%80",
        "member.x=1",
    ] {
        let member = if pair.starts_with("member") { "" } else { "&member=v1" };
        let answer = victim.get(format!("/timeline/sync?{pair}{member}"));
        victim.check(pair, &answer, &codec(""));
        if member.is_empty() {
            continue;
        }
        for history in ["single/v1/v2", "group/vg"] {
            let answer = victim.get(format!("/timeline/history/{history}?{pair}"));
            victim.check(&format!("{history} {pair}"), &answer, &codec(""));
        }
    }
    let long = "x".repeat(1_025);
    for (target, wanted) in [
        ("sync".to_owned(), invalid("member")),
        ("sync?member=".to_owned(), invalid("member")),
        ("sync?Member=v1".to_owned(), invalid("member")),
        // A broken escape drops its pair, as in the reference; so there is no member.
        ("sync?member=%zz".to_owned(), invalid("member")),
        ("sync?member=v1&count=-1".to_owned(), invalid("count")),
        ("sync?member=v1&count=-2147483648".to_owned(), invalid("count")),
        ("history/group/vg?count=-1".to_owned(), invalid("count")),
        (format!("sync?member={long}"), too_large("member", "id_bytes_max", 1_024, 1_025)),
        (format!("history/group/{long}"), too_large("group", "id_bytes_max", 1_024, 1_025)),
        (format!("history/single/v1/{long}"), too_large("to", "id_bytes_max", 1_024, 1_025)),
    ] {
        let answer = victim.get(format!("/timeline/{target}"));
        victim.check(&format!("{target:.60}"), &answer, &wanted);
    }
    victim.unharmed(&[]);
}

#[test]
fn paths_and_methods_that_do_not_exist_are_refused() {
    let mut victim = Victim::new();
    let not_found = Refusal { http: 404, ..codec("page not found") };
    let not_found = Refusal { reason: "page not found", ..not_found };
    for target in [
        "/timeline",
        "/timeline/",
        "/timeline/Send",
        "/Timeline/sync",
        "/timeline/sync/x",
        "/timeline/history",
        "/timeline/history/single/v1",
        "/timeline/history/group",
        "/timeline/history/group/a/b",
        "/timeline/history/single/v1/v2/v3",
        "/etc/passwd",
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/timeline%2Fsync",
        "/timeline/sync%00",
        "/timeline/sync%20",
        "/%00",
        "/timeline\\sync",
    ] {
        let answer = victim.get(target);
        victim.check(target, &answer, &not_found);
    }
    for target in ["/%", "/%zz", "/timeline/history/group/%", "/timeline/history/group/%ff"] {
        let answer = victim.get(target);
        if !matches!(answer.status, 400 | 404) {
            victim.wrong(format!("{target}: {answer:?}"));
        }
    }
    for (method, target) in [
        ("GET", "/timeline/send"),
        ("GET", "/timeline/sendGroup"),
        ("PUT", "/timeline/send"),
        ("DELETE", "/timeline/sync?member=v1"),
        ("POST", "/timeline/sync?member=v1"),
        ("PATCH", "/timeline/history/group/vg"),
        ("TRACE", "/timeline/send"),
        ("BREW", "/timeline/send"),
        ("POST", "/timeline/history/single/v1/v2"),
    ] {
        let body = br#"{"from":"v1","to":"v2","message":"{}"}"#;
        let answer = request(victim.server.http, method, target.as_bytes(), &[JSON], body);
        if answer.status != 405 || answer.json()["code"] != 405 {
            victim.wrong(format!("{method} {target}: {answer:?}"));
        }
    }
    victim.unharmed(&[]);
}
