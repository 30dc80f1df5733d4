//! The published Go client of go-timeline, unmodified, finds servers on one MongoDB through etcd
//! alone, and chats through whichever it finds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::away::metric;
use super::{PATIENCE, settings, start, until};
use crate::registry::discovery::Client;
use crate::support::etcd::Etcd;
use crate::support::mongo::Mongo;
use crate::support::redis::Redis;
use crate::support::{Server, http};

/// What a client sent and read so far.
#[derive(Debug, serde::Deserialize)]
struct Chat {
    /// By message, its number in the inbox.
    acknowledged: BTreeMap<String, usize>,
    failed: BTreeMap<String, u32>,
    /// The messages of the inbox, in its order.
    inbox: Vec<String>,
}

impl Chat {
    fn failures(&self) -> u32 {
        self.failed.values().sum()
    }

    /// All that was acknowledged stands in `inbox` at its number, and no message is there twice.
    #[track_caller]
    fn check(&self, inbox: &[String]) {
        for (message, seq) in &self.acknowledged {
            assert_eq!(inbox.get(seq - 1), Some(message), "{seq} of {inbox:?}");
        }
        let distinct: BTreeSet<&String> = inbox.iter().collect();
        assert_eq!(distinct.len(), inbox.len(), "{inbox:?}");
    }
}

/// How many inbox entries this server wrote.
fn delivered(server: &Server) -> f64 {
    metric(server, "seqline_deliveries_total")
}

/// Chats until so many calls fail no more and all these servers have had some.
fn until_used(client: &mut Client, servers: &[&Server]) -> Chat {
    let begin = Instant::now();
    let before: Vec<f64> = servers.iter().map(|server| delivered(server)).collect();
    let mut failures = 0;
    loop {
        let chat: Chat = client.calls(50);
        let used = servers.iter().zip(&before).all(|(server, before)| delivered(server) > *before);
        if used && chat.failures() == failures {
            return chat;
        }
        failures = chat.failures();
        assert!(begin.elapsed() < PATIENCE, "{:?}", chat.failed);
    }
}

/// All of the inbox of `ben`, page by page.
fn inbox(server: &Server) -> Vec<String> {
    let mut messages: Vec<String> = Vec::new();
    loop {
        let after = messages.len();
        let page = http::get(server.http, &format!("/timeline/sync?member=ben&lastRead={after}"));
        let page = page.json();
        let entries = page["entrySet"].as_array().unwrap();
        if entries.is_empty() {
            return messages;
        }
        messages.extend(entries.iter().map(|e| e["message"].as_str().unwrap().to_owned()));
    }
}

fn chats_through_whoever_is_there(transport: &str) {
    let (mongo, redis, etcd) = (Mongo::in_memory(), Redis::start(), Etcd::start());
    let (settings, endpoint) = (settings(&mongo, Some(&redis)), etcd.endpoint());
    let registered = || {
        let server = start(&settings, &[("registry.etcd.endpoints", endpoint.as_str())]);
        until(|| {
            let standing = http::get(server.http, "/readyz").body;
            String::from_utf8_lossy(&standing).contains("registered in etcd")
        });
        server
    };
    let (mut first, second) = (registered(), registered());
    let mut client = Client::start(&etcd, transport, &["-chat"]);
    let chat: Chat = client.calls(100);
    assert_eq!((chat.acknowledged.len(), chat.inbox.len(), chat.failures()), (100, 100, 0));
    assert!(delivered(&first) > 0.0 && delivered(&second) > 0.0, "each has a part");

    first.kill();
    let chat: Chat = client.calls(100);
    if transport == "grpc" {
        // What was on its connection; kratos' HTTP client asks dead servers for a while.
        assert!(chat.failures() <= 2, "{:?}", chat.failed);
    }
    assert!(chat.acknowledged.len() > 120, "{:?}", chat.failed);
    chat.check(&chat.inbox);

    let third = registered();
    let chat = until_used(&mut client, &[&second, &third]);
    chat.check(&chat.inbox);

    // A server that is only just there has it all from the database.
    let stored = inbox(&start(&settings, &[]));
    assert!(stored.starts_with(&chat.inbox), "nothing that was read has changed");
    chat.check(&stored);
}

#[test]
fn the_go_client_chats_over_grpc_through_servers_that_come_and_die() {
    chats_through_whoever_is_there("grpc");
}

#[test]
fn the_go_client_chats_over_http_through_servers_that_come_and_die() {
    chats_through_whoever_is_there("http");
}
