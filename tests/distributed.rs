//! The distributed store through the real program: servers on one MongoDB, with and without Redis.

mod away;
mod contract;
mod discovery;
mod recordings;
mod replayed;
mod starts;
mod together;

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::mongo::Mongo;
use crate::support::redis::Redis;
use crate::support::{Server, http};

/// What every wait may take, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

/// The settings of a server on `mongo`, and with `redis` beside it if there is one.
fn settings(mongo: &Mongo, redis: Option<&Redis>) -> Vec<(&'static str, String)> {
    let mut settings = vec![
        ("data.mongo.source", mongo.uri()),
        // A busy machine answers late.
        ("data.redis.read_timeout", "5s".to_owned()),
        ("data.redis.write_timeout", "5s".to_owned()),
    ];
    settings.extend(redis.map(|redis| ("data.redis.addr", redis.address().to_string())));
    settings
}

/// A server with these settings and more.
fn start(settings: &[(&'static str, String)], more: &[(&str, &str)]) -> Server {
    let settings = settings.iter().map(|(key, value)| (*key, value.as_str()));
    Server::start_shared(&settings.chain(more.iter().copied()).collect::<Vec<_>>(), &[])
}

/// Sends a direct message; its number in the inbox of `to`.
#[track_caller]
fn send(server: &Server, from: &str, to: &str, text: &str) -> String {
    let message = json!({"from": from, "to": to, "message": json!({"text": text}).to_string()});
    let sent = http::post_json(server.http, "/timeline/send", &message);
    assert_eq!(sent.status, 200, "{sent:?}");
    sent.json()["sequence"].as_str().unwrap().to_owned()
}

/// The texts in an inbox, in order.
#[track_caller]
fn texts(server: &Server, member: &str) -> Vec<String> {
    let page = http::get(server.http, &format!("/timeline/sync?member={member}"));
    assert_eq!(page.status, 200, "{page:?}");
    let page = page.json();
    let message = |entry: &serde_json::Value| -> serde_json::Value {
        serde_json::from_str(entry["message"].as_str().unwrap()).unwrap()
    };
    let entries = page["entrySet"].as_array().unwrap().iter().map(message);
    entries.map(|message| message["text"].as_str().unwrap().to_owned()).collect()
}

/// Looks again and again until it holds.
#[track_caller]
fn until(mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "it never held");
        // Only the pace of looking.
        std::thread::sleep(Duration::from_millis(20));
    }
}
