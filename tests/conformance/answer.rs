//! The rules by which an answer passes, as the files' README has them.

use serde_json::Value;

use crate::support::grpc::Answer;
use crate::support::http::Response;

use super::scenario::Rule;
use super::wire;

type Verdict = Result<(), String>;

/// The gRPC codes, in the order of their numbers.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// An answer over gRPC, its message as proto-JSON with every field.
pub struct GrpcAnswer {
    code: Value,
    message: Value,
    text: Value,
    reason: Value,
}

impl GrpcAnswer {
    /// `reply` is the type of the message.
    pub fn new(answer: &Answer, reply: &str) -> GrpcAnswer {
        let number = answer.code.and_then(|code| usize::try_from(code).ok());
        let code =
            number.and_then(|code| CODES.get(code)).map_or(Value::Null, |name| (*name).into());
        // Of a stream the first message counts.
        let message = match answer.code {
            Some(0) => {
                let length = u32::from_be_bytes(answer.body[1..5].try_into().unwrap()) as usize;
                wire::decode(reply, &answer.body[5..5 + length])
            }
            _ => Value::Null,
        };
        let text = percent_encoding::percent_decode_str(&answer.text).decode_utf8_lossy();
        let reason = answer.reason.clone().map_or(Value::Null, Value::from);
        GrpcAnswer { code, message, text: text.into_owned().into(), reason }
    }
}

pub fn compare_grpc(rule: &Rule<'_>, got: &GrpcAnswer) -> Verdict {
    let wanted = rule.wanted;
    if !one_of(&wanted["code"], &got.code) {
        let GrpcAnswer { code, text, .. } = got;
        return Err(format!("code {code}, wanted {}; {text}", wanted["code"]));
    }
    match rule.matching {
        "status" => Ok(()),
        "error" => same("reason", &wanted["reason"], &got.reason),
        "contains" if contains(&wanted["message"], &got.message) => Ok(()),
        "contains" => Err(format!("{} lacks some of {}", got.message, wanted["message"])),
        "exact" if wanted["code"] == "OK" => same("message", &wanted["message"], &got.message),
        "exact" => {
            same("text", &wanted["details_text"], &got.text)?;
            same("reason", &wanted["reason"], &got.reason)
        }
        other => panic!("unknown rule {other:?}"),
    }
}

pub fn compare_http(rule: &Rule<'_>, got: &Response) -> Verdict {
    let wanted = rule.wanted;
    let body: Option<Value> = serde_json::from_slice(&got.body).ok();
    if !one_of(&wanted["status"], &got.status.into()) {
        let body = String::from_utf8_lossy(&got.body);
        return Err(format!("status {}, wanted {}; {body}", got.status, wanted["status"]));
    }
    for name in &rule.headers {
        let header = got.header(name).map_or(Value::Null, Value::from);
        same(name, &wanted["headers"][name], &header)?;
    }
    match rule.matching {
        "status" => Ok(()),
        "error" => {
            let body = body.filter(Value::is_object).ok_or("the body is no JSON object")?;
            if body["code"] != got.status && body["code"] != wanted["body_json"]["code"] {
                return Err(format!("code {} in the body, status {}", body["code"], got.status));
            }
            if !body["message"].is_string() || !body["reason"].is_string() {
                return Err(format!("reason or message is missing: {body}"));
            }
            match &wanted["body_json"]["reason"] {
                Value::Null => Ok(()),
                reason => same("reason", reason, &body["reason"]),
            }
        }
        "exact" => {
            if let Some(wanted) = wanted.get("body_json") {
                same("body", wanted, &body.unwrap_or(Value::Null))?;
            }
            if let Some(wanted) = wanted.get("body_text") {
                same("body", wanted, &String::from_utf8_lossy(&got.body).into())?;
            }
            match &rule.bytes {
                Some(bytes) if *bytes != got.body => {
                    Err(format!("body {:?}, wanted {bytes:?}", got.body))
                }
                _ => Ok(()),
            }
        }
        other => panic!("unknown rule {other:?}"),
    }
}

fn same(what: &str, wanted: &Value, got: &Value) -> Verdict {
    if wanted == got { Ok(()) } else { Err(format!("{what} {got}, wanted {wanted}")) }
}

/// A list of codes allows any of them.
fn one_of(wanted: &Value, got: &Value) -> bool {
    match wanted {
        Value::Array(list) => list.contains(got),
        one => one == got,
    }
}

/// Every recorded list entry occurs in the answer.
fn contains(wanted: &Value, got: &Value) -> bool {
    match (wanted, got) {
        (Value::Object(wanted), Value::Object(got)) => {
            wanted.iter().all(|(key, wanted)| got.get(key).is_some_and(|got| contains(wanted, got)))
        }
        (Value::Array(wanted), Value::Array(got)) => {
            wanted.iter().all(|wanted| got.iter().any(|got| contains(wanted, got)))
        }
        (wanted, got) => wanted == got,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_contains_another_in_any_order() {
        let got = json!({"a": [{"n": 1, "m": 2}, {"n": 3}], "b": 1});
        assert!(contains(&json!({"a": [{"n": 3}, {"n": 1}]}), &got));
        assert!(!contains(&json!({"a": [{"n": 4}]}), &got));
        assert!(!contains(&json!({"c": 1}), &got));
    }

    #[test]
    fn a_wrong_answer_does_not_pass() {
        let step = json!({"status": [404, 405], "headers": {"x": "1"}, "body_json": {"code": 404}});
        let rule = |matching, headers: &[&'static str]| Rule {
            wanted: &step,
            matching,
            headers: headers.to_vec(),
            bytes: None,
        };
        let answer = |status: u16, body: &[u8]| Response {
            status,
            headers: vec![("x".to_owned(), "1".to_owned())],
            body: body.to_vec(),
        };
        let error = br#"{"code":404,"reason":"","message":""}"#;
        assert!(compare_http(&rule("error", &["x"]), &answer(404, error)).is_ok());
        assert!(compare_http(&rule("error", &[]), &answer(404, b"{\"code\":404}")).is_err());
        assert!(compare_http(&rule("error", &[]), &answer(404, b"")).is_err());
        assert!(compare_http(&rule("status", &[]), &answer(200, error)).is_err());
        assert!(compare_http(&rule("exact", &[]), &answer(404, error)).is_err());
        assert!(compare_http(&rule("status", &["y", "x"]), &answer(405, b"")).is_ok());
    }
}
