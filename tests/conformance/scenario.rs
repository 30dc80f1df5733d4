//! One recorded file: reading it, sending its requests, comparing the answers.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::support::grpc::{Grpc, frame};
use crate::support::{Server, http};

use super::answer::{GrpcAnswer, compare_grpc, compare_http};
use super::wire;

/// Stands in the files for what makes ids unique; as long as what replaces it, so that it may be
/// replaced in protobuf too.
const PLACEHOLDER: &str = "{prefix}";

/// A file, its ids made unique.
pub struct Scenario {
    name: String,
    prefix: String,
    steps: Vec<Value>,
}

/// What came of a scenario.
pub struct Outcome {
    pub steps: usize,
    pub failures: Vec<String>,
}

impl Scenario {
    pub fn load(path: &Path) -> Scenario {
        let prefix = new_prefix();
        let text = std::fs::read_to_string(path).unwrap().replace(PLACEHOLDER, &prefix);
        let mut file: Value = serde_json::from_str(&text).unwrap();
        let Value::Array(steps) = file["steps"].take() else { panic!("no steps in {path:?}") };
        Scenario { name: file["name"].as_str().unwrap().to_owned(), prefix, steps }
    }

    /// Runs all steps, whatever becomes of one.
    pub fn run(&self, server: &Server) -> Outcome {
        let mut grpc = Grpc::connect(server.grpc);
        let mut outcome = Outcome { steps: 0, failures: Vec::new() };
        for step in &self.steps {
            outcome.steps += 1;
            let rule = Rule::of(step, &self.prefix);
            let result = match step["transport"].as_str() {
                Some("http") => compare_http(&rule, &self.http(server, &step["request"])),
                Some("grpc") => compare_grpc(&rule, &self.grpc(&mut grpc, step)),
                other => panic!("unknown transport {other:?}"),
            };
            if let Err(why) = result {
                let place = format!("{} #{} {}", self.name, outcome.steps, step["about"]);
                outcome.failures.push(format!("{place}: {why}"));
            }
        }
        outcome
    }

    /// The names of the deviations; each must say what Seqline answers instead.
    pub fn deviations(&self) -> BTreeSet<String> {
        let with = |step: &&Value| {
            let named = step.get("deviation").is_some();
            assert_eq!(named, step.get("expected").is_some(), "{step}");
            named
        };
        let name = |step: &Value| step["deviation"].as_str().unwrap().to_owned();
        self.steps.iter().filter(with).map(name).collect()
    }

    fn http(&self, server: &Server, request: &Value) -> http::Response {
        let mut headers: Vec<(&str, &str)> = Vec::new();
        for (name, value) in request["headers"].as_object().into_iter().flatten() {
            match value {
                Value::Array(lines) => {
                    headers.extend(lines.iter().map(|line| (&name[..], line.as_str().unwrap())));
                }
                line => headers.push((name, line.as_str().unwrap())),
            }
        }
        let body = match &request["body_base64"] {
            Value::String(text) => decode(text, &self.prefix),
            _ => request["body"].as_str().unwrap_or_default().as_bytes().to_vec(),
        };
        let method = request["method"].as_str().unwrap();
        let path = request["path"].as_str().unwrap().as_bytes();
        http::request(server.http, method, path, &headers, &body)
    }

    fn grpc(&self, grpc: &mut Grpc, step: &Value) -> GrpcAnswer {
        let path = wire::path(step["rpc"].as_str().unwrap());
        let (request, reply) = wire::messages(&path);
        let message = match &step["request_base64"] {
            Value::String(text) => decode(text, &self.prefix),
            _ => wire::encode(request, &step["request"]),
        };
        GrpcAnswer::new(&grpc.call_raw(&path, &[], frame(&message)), reply)
    }
}

/// How the answer to a step is compared, and with what.
pub struct Rule<'a> {
    /// The answer as recorded, or the one that Seqline gives on purpose.
    pub wanted: &'a Value,
    /// `exact`, `error`, `status` or `contains`.
    pub matching: &'a str,
    /// Names of headers that must be equal.
    pub headers: Vec<&'a str>,
    /// The wanted body, if it is no text.
    pub bytes: Option<Vec<u8>>,
}

impl<'a> Rule<'a> {
    fn of(step: &'a Value, prefix: &str) -> Rule<'a> {
        let wanted = step.get("expected").unwrap_or(&step["response"]);
        let either = |key: &str| wanted.get(key).or_else(|| step.get(key));
        let names = either("compare_headers").and_then(Value::as_array);
        let base64 = wanted["body_base64"].as_str();
        Rule {
            wanted,
            matching: either("match").and_then(Value::as_str).unwrap(),
            headers: names.into_iter().flatten().map(|name| name.as_str().unwrap()).collect(),
            bytes: base64.map(|text| decode(text, prefix)),
        }
    }
}

/// The bytes in a base64 text, their placeholders replaced.
fn decode(base64: &str, prefix: &str) -> Vec<u8> {
    let bytes = STANDARD.decode(base64).unwrap();
    let (mut rest, mut replaced) = (&bytes[..], Vec::new());
    while let Some((first, after)) = rest.split_first() {
        match rest.strip_prefix(PLACEHOLDER.as_bytes()) {
            Some(after) => {
                replaced.extend(prefix.bytes());
                rest = after;
            }
            None => {
                replaced.push(*first);
                rest = after;
            }
        }
    }
    replaced
}

/// Eight characters nobody used before; the first comes after "group", as the files want it.
fn new_prefix() -> String {
    let mut random = RandomState::new().hash_one(());
    let mut next = |choices: &[u8]| {
        let chosen = choices[(random % choices.len() as u64) as usize];
        random /= choices.len() as u64;
        char::from(chosen)
    };
    let first = next(b"pqrstuvwxyz");
    let rest = (0..7).map(|_| next(b"0123456789abcdefghijklmnopqrstuvwxyz"));
    std::iter::once(first).chain(rest).collect()
}
