//! Registration in a real etcd: what is written, when it is taken away, and what survives what.

pub mod discovery;
mod failures;

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::support::etcd::{Entry, Etcd, Event, hosts};
use crate::support::{Server, http};

/// A server that registers in `endpoints`, with more settings.
fn start(endpoints: &str, more: &[(&str, &str)]) -> Server {
    Server::start_set(&[&[("registry.etcd.endpoints", endpoints)], more].concat())
}

/// What `/readyz` says.
fn standing(server: &Server) -> String {
    String::from_utf8(http::get(server.http, "/readyz").body).unwrap()
}

/// Looks again and again until `/readyz` says `part`.
#[track_caller]
fn until(server: &Server, part: &str) {
    let begin = Instant::now();
    loop {
        let text = standing(server);
        if text.contains(part) {
            return;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{part:?} is not in {text:?}");
        // Only the pace of looking.
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn metric(server: &Server, name: &str) -> f64 {
    let text = String::from_utf8(http::get(server.http, "/metrics").body).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
}

/// The lines of the log about changes of the registration.
fn changes(server: &Server) -> Vec<String> {
    let log = server.log();
    let about = log.lines().filter(|line| line.contains("registered") && !line.contains("address"));
    about.map(str::to_owned).collect()
}

fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    name.trim().to_owned()
}

/// The record of a server on loopback, as it must stand in etcd.
fn record(server: &Server) -> (String, String) {
    let id = format!("{}-{}", hostname(), server.grpc);
    let (version, grpc, http) = (env!("CARGO_PKG_VERSION"), server.grpc, server.http);
    let value = format!(
        "{{\"id\":\"{id}\",\"name\":\"go-timeline\",\"version\":\"{version}\",\"metadata\":{{}},\
         \"endpoints\":[\"grpc://{grpc}\",\"http://{http}\"]}}"
    );
    (format!("/microservices/go-timeline/{id}"), value)
}

#[test]
fn a_ready_server_is_registered_as_kratos_services_are_and_nothing_else_is_written() {
    let etcd = Etcd::start();
    let mut watch = etcd.watch();
    let server = start(&etcd.endpoint(), &[]);
    let ready = Instant::now();
    let entry = watch.put();
    assert!(ready.elapsed() < Duration::from_secs(5), "{:?}", ready.elapsed());
    let (key, value) = record(&server);
    assert_eq!((&entry.key, &entry.value), (&key, &value));
    let lease = etcd.call("/v3/kv/lease/timetolive", &json!({"ID": entry.lease}));
    assert_eq!(lease["grantedTTL"], "15");

    until(&server, "ready\nregistered in etcd\n");
    assert_eq!(etcd.entries(), [entry]);
    assert_eq!(metric(&server, "seqline_registry_registered"), 1.0);
    assert_eq!(metric(&server, "seqline_registry_retries_total"), 0.0);
    let changes = changes(&server);
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert!(changes[0].contains(&key), "{changes:?}");
}

#[test]
fn a_stop_takes_the_record_away_while_the_server_still_answers() {
    let etcd = Etcd::start();
    let mut watch = etcd.watch();
    let mut server = start(&etcd.endpoint(), &[]);
    let entry = watch.put();
    until(&server, "\nregistered in etcd");
    // etcd takes its time, so that what happens meanwhile can be seen.
    etcd.pause();
    server.signal(Signal::TERM);
    until(&server, "the server is stopping\n");
    for _ in 0..50 {
        let message = json!({"from": "a", "to": "b", "message": "{}"});
        assert_eq!(http::post_json(server.http, "/timeline/send", &message).status, 200);
        assert_eq!(http::get(server.http, "/readyz").status, 503);
    }
    etcd.resume();
    assert_eq!(watch.next(), Event::Delete(entry.key));
    // Who heard of it late is still answered.
    assert_eq!(http::get(server.http, "/readyz").status, 503);
    assert_eq!(server.wait().0.code(), Some(0), "{}", server.log());
    assert_eq!(etcd.entries(), []);
    let leases = etcd.call("/v3/kv/lease/leases", &json!({}));
    assert!(leases["leases"].is_null(), "{leases}");
    assert!(server.log().contains("no longer registered"), "{}", server.log());
}

#[test]
fn an_etcd_that_does_not_answer_holds_up_a_stop_for_seconds_only() {
    let etcd = Etcd::start();
    let mut server = start(&etcd.endpoint(), &[]);
    until(&server, "\nregistered in etcd");
    etcd.pause();
    let begin = Instant::now();
    assert_eq!(server.stop().code(), Some(0));
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    let log = server.log();
    assert!(log.contains("the registration stays until its lease lapses"), "{log}");
}

#[test]
fn the_record_of_a_killed_server_is_gone_with_its_lease() {
    let etcd = Etcd::start();
    let mut watch = etcd.watch();
    let mut server = start(&etcd.endpoint(), &[]);
    let entry = watch.put();
    server.kill();
    let killed = Instant::now();
    assert_eq!(watch.next(), Event::Delete(entry.key));
    let took = killed.elapsed();
    assert!(took > Duration::from_secs(9) && took < Duration::from_secs(30), "{took:?}");
}

#[test]
fn a_server_on_all_addresses_is_registered_with_one_that_others_reach() {
    let etcd = Etcd::start();
    let all = "0.0.0.0:0".parse().unwrap();
    let endpoint = etcd.endpoint();
    let mut server = Server::start_set_at(all, all, &[("registry.etcd.endpoints", &endpoint)]);
    server.http = ([127, 0, 0, 1], server.http.port()).into();
    // A machine whose only address is loopback cannot be registered so, and says it.
    let routes = std::fs::read_to_string("/proc/net/fib_trie").unwrap();
    if !has_other_address(&routes) {
        until(&server, "this machine has no address for others");
        assert_eq!(etcd.entries(), []);
        return;
    }
    until(&server, "\nregistered in etcd");
    let entries = etcd.entries();
    let [Entry { value, .. }] = &entries[..] else { panic!("{entries:?}") };
    let hosts: Vec<String> = hosts(value).into_iter().collect();
    let [host] = &hosts[..] else { panic!("{value}") };
    let host: std::net::IpAddr = host.trim_matches(['[', ']']).parse().unwrap();
    assert!(!host.is_loopback() && !host.is_unspecified(), "{host}");
    let reached = std::net::SocketAddr::from((host, server.http.port()));
    assert_eq!(http::get(reached, "/readyz").status, 200);
}

/// Whether the kernel's table of IPv4 addresses has one that is not loopback.
fn has_other_address(table: &str) -> bool {
    let lines: Vec<&str> = table.lines().map(str::trim).collect();
    let local = lines.windows(2).filter(|pair| pair[1] == "/32 host LOCAL");
    local.map(|pair| pair[0].trim_start_matches("|-- ")).any(|ip| !ip.starts_with("127."))
}

#[test]
fn the_settings_decide_name_address_id_weight_and_prefix() {
    let etcd = Etcd::start();
    let server = start(
        &format!("http://{}/", etcd.endpoint()),
        &[
            ("registry.etcd.register_server_name", "chat"),
            ("registry.etcd.register_end_point", "grpcs://chat.example.org:443"),
            ("registry.etcd.register_id", "one"),
            ("registry.etcd.register_weight", "30"),
            ("registry.etcd.namespace", "/services/blue"),
        ],
    );
    until(&server, "\nregistered in etcd");
    let entries = etcd.entries();
    let [Entry { key, value, .. }] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!(key, "/services/blue/chat/one");
    let value: serde_json::Value = serde_json::from_str(value).unwrap();
    let endpoint = "grpcs://chat.example.org:443?isSecure=true";
    assert_eq!(value["endpoints"], json!([endpoint]));
    assert_eq!(value["metadata"], json!({"weight": "30"}));
}
