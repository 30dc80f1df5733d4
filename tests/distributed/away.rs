//! MongoDB that goes and comes back, and servers that stop: what `/readyz`, health and the
//! metrics say meanwhile, and what becomes of sends.

use std::time::Duration;

use serde_json::{Value, json};

use super::{send, settings, start, texts, until};
use crate::support::etcd::Etcd;
use crate::support::mongo::Mongo;
use crate::support::redis::Redis;
use crate::support::{Server, http};

/// What `/readyz` says as JSON, and its status.
fn health(server: &Server) -> (u16, Value) {
    let headers = [("Accept", "application/json")];
    let answer = http::request(server.http, "GET", b"/readyz", &headers, b"");
    (answer.status, answer.json())
}

pub fn metric(server: &Server, name: &str) -> f64 {
    let text = String::from_utf8(http::get(server.http, "/metrics").body).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
}

#[test]
fn a_server_says_that_mongodb_is_away_and_takes_sends_again_when_it_is_back() {
    let (mut mongo, mut redis) = (Mongo::durable(), Redis::start());
    let server = start(&settings(&mongo, Some(&redis)), &[("data.mongo.operation_timeout", "2s")]);
    assert_eq!(send(&server, "ann", "ben", "before"), "1");
    until(|| health(&server).1["parts"][1]["up"] == true);
    assert_eq!(health(&server).0, 200);

    mongo.kill();
    until(|| health(&server).0 == 503);
    let (_, away) = health(&server);
    assert_eq!(away["reason"], "MongoDB does not answer");
    let parts = json!([
        {"name": "mongodb", "up": false, "needed": true, "text": "MongoDB does not answer"},
        {"name": "redis", "up": true, "needed": false, "text": "Redis answers"},
    ]);
    assert_eq!(away["parts"], parts);
    assert_eq!(metric(&server, "seqline_mongo_up"), 0.0);
    assert_eq!(http::get(server.http, "/healthz").status, 200, "a restart would not help");
    let message = json!({"from": "ann", "to": "ben", "message": "{\"text\":\"lost\"}"});
    let refused = http::post_json(server.http, "/timeline/send", &message);
    assert!(refused.status >= 500, "{refused:?}");

    mongo.restart();
    until(|| health(&server).0 == 200);
    assert_eq!(metric(&server, "seqline_mongo_up"), 1.0);
    send(&server, "ann", "ben", "after");
    let found = texts(&server, "ben");
    assert!(found.first().unwrap() == "before" && found.last().unwrap() == "after", "{found:?}");

    redis.kill();
    until(|| health(&server).1["parts"][1]["up"] == false);
    assert_eq!(health(&server).0, 200, "without Redis it goes on");
    let text = String::from_utf8(http::get(server.http, "/readyz").body).unwrap();
    assert_eq!(text, "ready\nMongoDB answers\nRedis does not answer; going on without\n");
}

#[test]
fn a_paused_mongodb_is_noticed_too() {
    let mongo = Mongo::in_memory();
    let server = start(&settings(&mongo, None), &[("data.mongo.operation_timeout", "1s")]);
    assert_eq!(health(&server).0, 200);
    mongo.pause();
    until(|| health(&server).0 == 503);
    mongo.resume();
    until(|| health(&server).0 == 200);
    assert_eq!(send(&server, "ann", "ben", "after"), "1");
}

#[test]
fn the_figures_tell_round_trips_and_where_tails_came_from() {
    let (mongo, redis) = (Mongo::in_memory(), Redis::start());
    let settings = settings(&mongo, Some(&redis));
    let (a, b) = (start(&settings, &[]), start(&settings, &[]));
    let up = |server: &Server| metric(server, "seqline_redis_up") == 1.0;
    until(|| up(&a) && up(&b));
    for n in 0..5 {
        send(&a, "ann", "ben", &n.to_string());
    }
    assert_eq!(metric(&a, "seqline_deliveries_total"), 10.0);
    assert_eq!(metric(&a, "seqline_mongo_tails_total{why=\"unknown\"}"), 2.0);
    // Two a send, and what a cold server must find out.
    let commands = metric(&a, "seqline_mongo_commands_total{for=\"send\"}");
    assert!((10.0..=15.0).contains(&commands), "{commands}");
    assert!(metric(&a, "seqline_mongo_command_seconds_count") > 10.0);
    // The other one knows an inbox from Redis, once that has heard of it.
    let mut members = (0..).map(|n| format!("member {n}"));
    until(|| {
        let member = members.next().unwrap();
        send(&a, "ann", &member, "first");
        send(&b, "ann", &member, "second");
        metric(&b, "seqline_mongo_tails_total{why=\"hint\"}") > 0.0
    });
    let text = String::from_utf8(http::get(a.http, "/metrics").body).unwrap();
    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    for name in names.iter().filter_map(|line| line.split(' ').next()) {
        assert!(text.contains(&format!("# HELP {name} ")), "{name} is not described");
    }
}

#[test]
fn a_stop_takes_the_registration_away_first_and_finishes_sends() {
    let (mongo, etcd) = (Mongo::in_memory(), Etcd::start());
    let endpoints = etcd.endpoint();
    let mut server =
        start(&settings(&mongo, None), &[("registry.etcd.endpoints", endpoints.as_str())]);
    until(|| health(&server).1["parts"][1]["up"] == true);
    send(&server, "ann", "ben", "kept");
    assert!(server.stop().success(), "{}", server.log());
    let log = server.log();
    let at = |part: &str| log.find(part).unwrap_or_else(|| panic!("no {part:?} in {log}"));
    assert!(at("no longer registered") < at("stopped"), "{log}");
    let next = start(&settings(&mongo, None), &[]);
    assert_eq!(texts(&next, "ben"), ["kept"]);
}

/// A stop does not wait for a database that does not come back.
#[test]
fn a_stop_while_mongodb_is_away_ends() {
    let mut mongo = Mongo::in_memory();
    let mut server = start(&settings(&mongo, None), &[("data.mongo.operation_timeout", "1s")]);
    send(&server, "ann", "ben", "before");
    mongo.kill();
    let begin = std::time::Instant::now();
    assert_eq!(server.stop().code(), Some(0), "{}", server.log());
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
}
