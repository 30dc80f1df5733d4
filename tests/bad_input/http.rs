//! Bodies over HTTP that are wrong in one way each.

use serde_json::json;

use super::victim::{Refusal, Victim, codec, invalid, too_large};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const PROTO: (&str, &str) = ("Content-Type", "application/proto");
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

impl Victim {
    /// Each body goes to both sends.
    fn refuses_bodies<'a>(
        &mut self,
        header: (&str, &str),
        bodies: impl IntoIterator<Item = &'a [u8]>,
        wanted: &Refusal,
    ) {
        for body in bodies {
            for call in ["send", "sendGroup"] {
                let answer = self.post(call, &[header], body);
                let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
                self.check(&format!("{call} {shown:?}"), &answer, wanted);
            }
        }
    }
}

#[test]
fn a_body_that_is_no_json_is_refused() {
    let mut victim = Victim::new();
    let text = [
        " ",
        "null",
        "[]",
        "[{}]",
        "1",
        "\"x\"",
        "true",
        "nul",
        "{",
        "}",
        "{}{}",
        "{} x",
        "{}\0",
        "\u{feff}{}",
        "{'from':'v1'}",
        "{from:\"v1\"}",
        "{\"from\"}",
        "{\"from\":}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":.5}",
        "{\"a\":1e}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":0x1}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\\u{41}\"}",
        "{\"a\":\"",
        "{\"a\":\"\\",
        "{/* */}",
        "{}//",
        "{\"a\":[1,]}",
        "{\"a\":[}",
        "{\"a\":{]}",
        "<xml/>",
        "from: v1",
    ];
    let bytes: [&[u8]; 6] = [
        b"\xff\xfe{\0}\0",
        b"{\"a\":\"\xff\"}",
        b"{\"a\":\"\xc0\xaf\"}",
        b"{\"\xed\xa0\x80\":1}",
        b"{\"a\":\"\xf4\x90\x80\x80\"}",
        b"\0",
    ];
    let all = text.iter().map(|t| t.as_bytes()).chain(bytes);
    victim.refuses_bodies(JSON, all, &codec("body unmarshal"));
    victim.unharmed(&[]);
}

#[test]
fn json_fields_of_the_wrong_kind_or_given_twice_are_refused() {
    let mut victim = Victim::new();
    for field in ["from", "to", "message"] {
        for value in ["1", "true", "[]", "{}", "[\"v1\"]", "\"\\ud800\"", "\"\\udc00\\ud800\""] {
            let mut body = r#"{"from":"v1","to":"v2","message":"{}"}"#.to_owned();
            let old = if field == "message" {
                "{}"
            } else if field == "from" {
                "v1"
            } else {
                "v2"
            };
            body = body.replace(&format!("\"{field}\":\"{old}\""), &format!("\"{field}\":{value}"));
            let answer = victim.post("send", &[JSON], body.as_bytes());
            victim.check(&body, &answer, &codec("body unmarshal"));
        }
    }
    for members in ["\"v1\"", "1", "{}", "true", "[1]", "[null]", "[\"v1\",null]", "[[\"v1\"]]"] {
        let body = format!(r#"{{"groupName":"vg","groupMembers":{members},"message":"{{}}"}}"#);
        let answer = victim.post("sendGroup", &[JSON], body.as_bytes());
        victim.check(&body, &answer, &codec("body unmarshal"));
    }
    for twice in [r#""from":"v1""#, r#""from":null"#, r#""fr\u006fm":"v1""#] {
        let body = format!(r#"{{"from":"v1",{twice},"to":"v2","message":"{{}}"}}"#);
        let answer = victim.post("send", &[JSON], body.as_bytes());
        victim.check(&body, &answer, &codec("duplicate"));
    }
    let body = r#"{"group_name":"vg","groupName":"vg","groupMembers":["v1"],"message":"{}"}"#;
    let answer = victim.post("sendGroup", &[JSON], body.as_bytes());
    victim.check(body, &answer, &codec("duplicate"));
    victim.unharmed(&[]);
}

#[test]
fn deep_nesting_is_refused_at_once() {
    let mut victim = Victim::new();
    let deep = ["[".repeat(1 << 20), "{\"a\":".repeat(200_000), "{\"a\":[".repeat(150_000)];
    for part in &deep {
        victim.refuses_bodies(JSON, [part.as_bytes()], &codec("body unmarshal"));
        for field in ["from", "message", "unknown"] {
            let body = format!("{{\"{field}\":{part}");
            victim.refuses_bodies(JSON, [body.as_bytes()], &codec("body unmarshal"));
        }
    }
    // Inside of the message's own text.
    let message = &deep[1][..200_000];
    let body = json!({"from": "v1", "to": "v2", "message": message}).to_string();
    let answer = victim.post("send", &[JSON], body.as_bytes());
    victim.check("a deep message", &answer, &invalid("message"));
    victim.unharmed(&[]);
}

#[test]
fn broken_protobuf_and_forms_are_refused() {
    let mut victim = Victim::new();
    let proto: [&[u8]; 10] = [
        b"\x0a",
        b"\x0a\x05ab",
        b"\x0a\xff\xff\xff\xff\x0f",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x0a\x01\xff",
        b"\x0b",
        b"\x0c",
        b"\x00\x00",
        b"\x0f",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    ];
    victim.refuses_bodies(PROTO, proto, &codec("body unmarshal"));
    // Groups in groups in an unknown field.
    let deep = [0x7b_u8].repeat(1 << 20);
    victim.refuses_bodies(PROTO, [&deep[..]], &codec("body unmarshal"));
    let forms: [&[u8]; 6] =
        [b"from=%", b"from=%zz", b"from=v1;to=v2", b"from=v1&from=v1", b"from=%ff", b"from.x=1"];
    for form in forms {
        let answer = victim.post("send", &[FORM], form);
        victim.check(&String::from_utf8_lossy(form), &answer, &codec(""));
    }
    victim.unharmed(&[]);
}

#[test]
fn a_message_that_is_no_json_object_is_refused_and_burns_no_number() {
    let mut victim = Victim::new();
    let messages = [
        "",
        " ",
        "null",
        "[]",
        "1",
        "true",
        "\"x\"",
        "hello",
        "{",
        "{}{}",
        "{}x",
        "{\"a\":}",
        "{'a':1}",
        "{\"a\":1,}",
        "{\"a\":01}",
        "\u{feff}{}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\ud8\"}",
        "\0{}",
        "{}\0",
        "{a:1}",
    ];
    for message in messages {
        let body = json!({"from": "v1", "to": "v2", "message": message}).to_string();
        let answer = victim.post("send", &[JSON], body.as_bytes());
        victim.check(&format!("message {message:?}"), &answer, &invalid("message"));
        let members = ["v1", "v2"];
        let body = json!({"groupName": "vg", "groupMembers": members, "message": message});
        let answer = victim.post("sendGroup", &[JSON], body.to_string().as_bytes());
        victim.check(&format!("group message {message:?}"), &answer, &invalid("message"));
    }
    victim.unharmed(&[]);
}

#[test]
fn missing_empty_and_too_many_things_are_refused_with_their_limit() {
    let mut victim = Victim::new();
    let long = "x".repeat(1_025);
    let id = |field| too_large(field, "id_bytes_max", 1_024, 1_025);
    let (pair, group) = ("miss from or to filed", "miss group name or group members");
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(256 * 1024 + 1 - 8));
    let message = too_large("message", "message_bytes_max", 262_144, 262_145);
    let many: Vec<String> = (0..=100_000).map(|i| format!("m{i}")).collect();
    let members = too_large("group_members", "group_members_max", 100_000, 100_001);
    let send = [
        (json!({}), invalid(pair)),
        (json!({"to": "v2", "message": "{}"}), invalid(pair)),
        (json!({"from": "", "to": "v2", "message": "{}"}), invalid(pair)),
        (json!({"from": "v1", "to": "", "message": "{}"}), invalid(pair)),
        (json!({"from": "v1", "to": null, "message": "{}"}), invalid(pair)),
        (json!({"From": "v1", "TO": "v2", "message": "{}"}), invalid(pair)),
        (json!({"from": long, "to": "v2", "message": "{}"}), id("from")),
        (json!({"from": "v1", "to": long, "message": "{}"}), id("to")),
        (json!({"from": "v1", "to": "v2", "message": large}), message.clone()),
    ];
    for (body, wanted) in send {
        let answer = victim.post("send", &[JSON], body.to_string().as_bytes());
        victim.check(&format!("send {:.60}", body.to_string()), &answer, &wanted);
    }
    let group_send = [
        (json!({"groupMembers": ["v1"], "message": "{}"}), invalid(group)),
        (json!({"groupName": "", "groupMembers": ["v1"], "message": "{}"}), invalid(group)),
        (json!({"groupName": "vg", "message": "{}"}), invalid(group)),
        (json!({"groupName": "vg", "groupMembers": [], "message": "{}"}), invalid(group)),
        (json!({"groupName": "vg", "groupMembers": null, "message": "{}"}), invalid(group)),
        (json!({"groupName": "vg", "groupMembers": ["v1", ""], "message": "{}"}), invalid("empty")),
        (json!({"groupName": long, "groupMembers": ["v1"], "message": "{}"}), id("group_name")),
        (
            json!({"groupName": "vg", "groupMembers": ["w", long], "message": "{}"}),
            id("group_members"),
        ),
        (json!({"groupName": "vg", "groupMembers": ["w"], "message": large}), message),
        (json!({"groupName": "vg", "groupMembers": many, "message": "{}"}), members),
    ];
    for (body, wanted) in group_send {
        let answer = victim.post("sendGroup", &[JSON], body.to_string().as_bytes());
        victim.check(&format!("sendGroup {:.60}", body.to_string()), &answer, &wanted);
    }
    victim.unharmed(&["w", "m0", "m100000"]);
}

#[test]
fn a_request_body_past_its_limit_is_refused() {
    let mut victim =
        Victim::with(&[("limits.message_bytes_max", "2048"), ("limits.request_bytes_max", "4096")]);
    let body = json!({"from": "v1", "to": "v2", "message": "{}", "x": "x".repeat(4_096)});
    let body = body.to_string();
    let answer = victim.post("send", &[JSON], body.as_bytes());
    let wanted = too_large("body", "request_bytes_max", 4_096, body.len());
    victim.check("a body too large", &answer, &wanted);
    victim.unharmed(&[]);
}

#[test]
fn the_largest_of_everything_is_accepted() {
    let victim = Victim::new();
    let (id, group) = ("吃".repeat(341) + "x", "g".repeat(1_024));
    let message = format!("{{\"a\":\"{}\"}}", "x".repeat(256 * 1024 - 8));
    let key = "k".repeat(256);
    let headers = [JSON, ("Idempotency-Key", key.as_str())];
    let body = json!({"from": id, "to": "t", "message": message}).to_string();
    assert_eq!(victim.post("send", &headers, body.as_bytes()).status, 200);
    let body = json!({"groupName": group, "groupMembers": [id], "message": message}).to_string();
    assert_eq!(victim.post("sendGroup", &headers, body.as_bytes()).status, 200);
    let page = victim.get("/timeline/sync?member=t").json();
    assert_eq!(page["entrySet"][0]["message"], message);
    let page = victim.get(format!("/timeline/history/group/{group}")).json();
    assert_eq!(page["entrySet"][0]["message"], message);
    victim.unharmed(&[]);
}
