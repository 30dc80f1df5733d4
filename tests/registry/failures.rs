//! What may happen to etcd or to the record: the server serves, and is registered again.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde_json::json;

use super::{changes, metric, record, start, until};
use crate::support::daemon::free_port;
use crate::support::etcd::{Certificates, Etcd, Event};
use crate::support::{Server, http};

/// The server takes sends, and says that it is ready for them.
fn check_serves(server: &Server) {
    let message = json!({"from": "a", "to": "b", "message": "{}"});
    assert_eq!(http::post_json(server.http, "/timeline/send", &message).status, 200);
    assert_eq!(http::get(server.http, "/readyz").status, 200);
}

#[test]
fn a_server_starts_and_serves_without_etcd_and_registers_when_it_comes() {
    let mut etcd = Etcd::start();
    etcd.kill();
    let server = start(&etcd.endpoint(), &[]);
    until(&server, "ready\nnot registered in etcd: etcd cannot be reached; trying again\n");
    check_serves(&server);
    assert_eq!(metric(&server, "seqline_registry_registered"), 0.0);
    etcd.restart();
    assert_eq!(etcd.watch().put().key, record(&server).0);
    until(&server, "\nregistered in etcd");
    assert!(metric(&server, "seqline_registry_retries_total") >= 1.0);
    // However often it was tried.
    let changes = changes(&server);
    assert_eq!(changes.len(), 2, "{changes:?}");
    assert!(changes[0].contains("not registered") && changes[0].contains(&etcd.endpoint()));
}

#[test]
fn an_etcd_that_was_killed_has_the_record_again_once_it_is_back() {
    let mut etcd = Etcd::start();
    let server = start(&etcd.endpoint(), &[]);
    until(&server, "\nregistered in etcd");
    etcd.kill();
    until(&server, "not registered in etcd: etcd cannot be reached; trying again");
    check_serves(&server);
    etcd.restart();
    until(&server, "\nregistered in etcd");
    let (key, value) = record(&server);
    let entries = etcd.entries();
    assert_eq!((&entries[0].key, &entries[0].value), (&key, &value));

    etcd.kill();
    etcd.lose_everything();
    etcd.restart();
    let entry = etcd.watch().put();
    assert_eq!((entry.key, entry.value), (key, value));
    until(&server, "\nregistered in etcd");
    check_serves(&server);
}

#[test]
fn a_record_or_a_lease_that_somebody_removed_comes_back() {
    let etcd = Etcd::start();
    let mut watch = etcd.watch();
    let server = start(&etcd.endpoint(), &[]);
    let first = watch.put();
    etcd.delete(&first.key);
    assert_eq!(watch.next(), Event::Delete(first.key.clone()));
    assert_eq!(watch.put(), first, "under the lease that it still has");

    etcd.call("/v3/kv/lease/revoke", &json!({"ID": first.lease}));
    assert_eq!(watch.next(), Event::Delete(first.key.clone()));
    let second = watch.put();
    assert_eq!((&second.key, &second.value), (&first.key, &first.value));
    assert_ne!(second.lease, first.lease);
    check_serves(&server);
}

#[test]
fn two_servers_under_one_id_say_so_and_a_stop_leaves_the_others_record_alone() {
    let etcd = Etcd::start();
    let mut watch = etcd.watch();
    let id = [("registry.etcd.register_id", "one")];
    let mut first = start(&etcd.endpoint(), &id);
    watch.put();
    let second = start(&etcd.endpoint(), &id);
    let taken = watch.put();
    assert!(taken.value.contains(&second.grpc.to_string()), "{taken:?}");
    // The first notices, and takes it back.
    assert!(watch.put().value.contains(&first.grpc.to_string()));
    let begin = std::time::Instant::now();
    while !first.log().contains("another server has registered under the same id") {
        assert!(begin.elapsed().as_secs() < 30, "{}", first.log());
        std::thread::yield_now();
    }
    assert!(watch.put().value.contains(&second.grpc.to_string()));
    assert!(first.stop().success());
    let entries = etcd.entries();
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert!(entries[0].value.contains(&second.grpc.to_string()), "{entries:?}");
}

#[test]
fn another_member_takes_over_before_the_lease_lapses() {
    let mut members = Etcd::cluster();
    let nobody = format!("127.0.0.1:{}", free_port());
    let endpoints: Vec<String> = members.iter().map(Etcd::endpoint).collect();
    // The first is never there, the second is killed.
    let server = start(&format!("{nobody},{}", endpoints.join(",")), &[]);
    let mut watch = members[2].watch();
    let entry = watch.put();
    until(&server, "\nregistered in etcd");
    members[0].kill();
    until(&server, "not registered in etcd");
    until(&server, "\nregistered in etcd");
    assert_eq!(members[1].entries(), [entry], "under the same lease: nobody saw it go");
    let changes = changes(&server);
    let last = changes.last().unwrap();
    assert!(last.contains(&endpoints[1]) || last.contains(&endpoints[2]), "{changes:?}");
}

#[test]
fn an_etcd_behind_tls_is_spoken_to_with_the_certificates_of_the_settings() {
    let certificates = Certificates::new();
    let secure = free_port();
    let path = |name: &str| certificates.path(name);
    let (own, key, ca) = (path("own.pem"), path("key.pem"), path("ca.pem"));
    let flags = {
        let (own, key, ca) = (own.clone(), key.clone(), ca.clone());
        move |port: u16| {
            let urls = format!("https://127.0.0.1:{secure},http://127.0.0.1:{port}");
            let flags = ["--listen-client-urls", &urls, "--cert-file", &own, "--key-file", &key];
            let more = ["--trusted-ca-file", &ca, "--client-cert-auth"];
            flags.into_iter().chain(more).map(str::to_owned).collect()
        }
    };
    let etcd = Etcd::start_with(flags);
    let endpoint = format!("https://127.0.0.1:{secure}");
    let files = [
        ("registry.etcd.ca_file", ca.as_str()),
        ("registry.etcd.cert_file", &own),
        ("registry.etcd.key_file", &key),
    ];
    let server = start(&endpoint, &files);
    until(&server, "\nregistered in etcd");
    assert_eq!(etcd.entries()[0].key, record(&server).0);

    for (settings, reason) in [
        // The system's authorities do not know this one.
        (&[][..], "etcd cannot be reached"),
        (&[("registry.etcd.ca_file", "/no/such.pem")], "a certificate or key cannot be read"),
    ] {
        let other = start(&endpoint, settings);
        until(&other, &format!("not registered in etcd: {reason}; trying again"));
        check_serves(&other);
    }
    assert_eq!(etcd.entries().len(), 1);
}

#[test]
fn an_etcd_that_asks_for_a_password_gets_that_of_the_settings_and_the_log_does_not() {
    let etcd = Etcd::start();
    for user in ["root", "seqline"] {
        etcd.call("/v3/auth/user/add", &json!({"name": user, "password": "hunter2"}));
        etcd.call("/v3/auth/role/add", &json!({"name": user}));
        etcd.call("/v3/auth/user/grant", &json!({"user": user, "role": user}));
    }
    // All that is needed: the keys under the prefix, up to the one that no path begins with.
    let keys = json!({
        "permType": "READWRITE", "key": BASE64.encode("/microservices/"),
        "range_end": BASE64.encode("/microservices0"),
    });
    etcd.call("/v3/auth/role/grant", &json!({"name": "seqline", "perm": keys}));
    etcd.call("/v3/auth/enable", &json!({}));
    let user =
        |password| [("registry.etcd.username", "seqline"), ("registry.etcd.password", password)];
    let mut server = start(&etcd.endpoint(), &user("hunter2"));
    until(&server, "\nregistered in etcd");
    let refused = start(&etcd.endpoint(), &user("hunter3"));
    let nobody = start(&etcd.endpoint(), &[]);
    for other in [&refused, &nobody] {
        until(other, "not registered in etcd: etcd refuses it; trying again");
        check_serves(other);
    }
    assert!(server.stop().success());
    assert!(server.log().contains("no longer registered"), "{}", server.log());
    for log in [server.log(), refused.log()] {
        assert!(!log.contains("hunter"), "{log}");
    }
}
