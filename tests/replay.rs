//! `replay` against a real server: it proves what is right and finds what is not. And `bench`,
//! whose figures are not judged here, only that it measures.

use std::io::Write as _;

use crate::support::Server;
use crate::support::command::{Ran, seqline};

fn replay(server: &Server, protocol: &str, args: &[&str]) -> Ran {
    let mut all = vec!["replay".to_owned(), "--json".to_owned()];
    all.extend(match protocol {
        "grpc" => ["--grpc".to_owned(), server.grpc.to_string()],
        _ => ["--http".to_owned(), format!("http://{}", server.http)],
    });
    all.extend(args.iter().map(|arg| (*arg).to_owned()));
    seqline(&all)
}

fn report(ran: &Ran) -> serde_json::Value {
    let mut lines = ran.json_lines();
    assert_eq!(lines.len(), 1, "{ran:#?}");
    lines.remove(0)
}

#[test]
fn made_up_traffic_comes_back_exactly_over_both_protocols() {
    let server = Server::start();
    let over_grpc = report(&replay(&server, "grpc", &["--synthetic", "500"]).ok());
    let over_http = replay(&server, "http", &["--synthetic", "500", "--prefix", "again-"]).ok();
    let over_http = report(&over_http);
    for report in [&over_grpc, &over_http] {
        assert_eq!(report["messages"], 500);
        assert_eq!(report["verified"]["differences"], 0);
        let [sends, deliveries] =
            ["sends", "deliveries"].map(|k| report["sent"][k].as_u64().unwrap());
        assert!(sends > 600 && deliveries > 5_000, "{report}");
        assert_eq!(report["verified"]["entries"], sends + deliveries);
    }
    assert_eq!(over_grpc["sent"]["deliveries"], over_http["sent"]["deliveries"]);
}

#[test]
fn small_pages_and_one_worker_make_no_difference() {
    let server = Server::start();
    let args = ["--synthetic", "200", "--page", "7", "--workers", "1", "--threads", "1"];
    let ran = replay(&server, "grpc", &args).ok();
    assert_eq!(report(&ran)["verified"]["differences"], 0);
}

#[test]
fn a_message_too_many_is_found_in_the_inbox_and_in_the_conversation_it_went_to() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.jsonl");
    let mut file = std::fs::File::create(&path).unwrap();
    for line in [
        r#"{"from":"a","group":"g","text":"one","to":"b"}"#,
        r#"{"from":"b","group":"g","text":"two"}"#,
        r#"{"from":"c","group":"g","text":"three","to":"nobody"}"#,
    ] {
        writeln!(file, "{line}").unwrap();
    }
    let path = path.display().to_string();
    let server = Server::start();
    let first = report(&replay(&server, "grpc", &[&path]).ok());
    assert_eq!(first["members"], 4);
    assert_eq!(first["sent"]["sends"], 5);
    assert_eq!(first["sent"]["deliveries"], 3 * 3 + 2 + 2);
    replay(&server, "http", &[&path, "--only", "verify"]).ok();

    let grpc = server.grpc.to_string();
    let extra = ["send", "--from", "x", "--to", "c", "--text", "tampered", "--grpc", &grpc];
    seqline(&extra).ok();
    for protocol in ["grpc", "http"] {
        let ran = replay(&server, protocol, &[&path, "--only", "verify"]);
        assert_eq!(ran.code, 1, "{ran:#?}");
        let report = report(&ran);
        assert_eq!(report["verified"]["differences"], 1);
        let shown = report["verified"]["first_differences"][0].as_str().unwrap();
        let expected = r#"inbox of "c", entry 5: nobody sent this here: "{\"text\":\"tampered\"}""#;
        assert_eq!(shown, expected);
    }

    // A copy of a message that is right elsewhere.
    let copy = r#"{"line":2,"from":"b","group":"g","text":"two"}"#;
    let group = ["send-group", "--group", "g", "--members", "a", copy, "--grpc", &grpc];
    seqline(&group).ok();
    let ran = replay(&server, "grpc", &[&path, "--only", "verify"]);
    assert_eq!(report(&ran)["verified"]["differences"], 3, "{ran:#?}");
    assert!(ran.stdout.contains("line 2 of group \\\"g\\\" comes again"), "{}", ran.stdout);
}

#[test]
fn a_server_with_other_data_is_refused_and_the_way_out_is_said() {
    let server = Server::start();
    replay(&server, "grpc", &["--synthetic", "20", "--only", "send"]).ok();
    let again = replay(&server, "grpc", &["--synthetic", "20"]);
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("--prefix") && again.stderr.contains("--only verify"));
    replay(&server, "grpc", &["--synthetic", "20", "--only", "verify"]).ok();
}

#[test]
fn messages_that_were_never_sent_are_missed() {
    let server = Server::start();
    let ran = replay(&server, "grpc", &["--synthetic", "50", "--only", "verify"]);
    assert_eq!(ran.code, 1);
    assert!(report(&ran)["verified"]["differences"].as_u64().unwrap() > 20);
    assert!(ran.stdout.contains("are missing"), "{}", ran.stdout);
}

#[test]
fn a_file_that_is_no_chat_is_refused_with_the_line() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.jsonl");
    std::fs::write(&path, "{\"from\":\"a\",\"group\":\"g\"}\n{\"from\":\"a\"}\n").unwrap();
    let ran = replay(&server, "grpc", &[&path.display().to_string()]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("line 2: missing field `group`"), "{}", ran.stderr);
    let missing = replay(&server, "grpc", &["nowhere.jsonl"]);
    assert!(missing.stderr.contains("cannot read nowhere.jsonl"), "{}", missing.stderr);
}

/// Runs where `SEQLINE_REPLAY_FILE` names a file of real chat; `SEQLINE_REPLAY_LIMIT` says how
/// many lines of it (2,000 if not given, 0 for all).
#[test]
fn real_traffic_comes_back_exactly() {
    let Some(file) = std::env::var("SEQLINE_REPLAY_FILE").ok().filter(|f| !f.is_empty()) else {
        return;
    };
    let limit = std::env::var("SEQLINE_REPLAY_LIMIT").unwrap_or_else(|_| "2000".to_owned());
    let server = Server::start();
    let mut args = vec![file.as_str()];
    if limit != "0" {
        args.extend(["--limit", &limit]);
    }
    let ran = replay(&server, "grpc", &args).ok();
    let report = report(&ran);
    assert_eq!(report["verified"]["differences"], 0);
    println!("{}\nserver memory: {} bytes", ran.stdout, server.memory_bytes());
}

#[test]
fn bench_measures_each_mode_over_both_protocols() {
    let server = Server::start();
    let (grpc, http) = (server.grpc.to_string(), server.http.to_string());
    for target in [["--grpc", &grpc], ["--http", &http]] {
        for mode in [["--mode", "direct"], ["--mode", "group"], ["--mode", "sync"]] {
            let args = ["bench", "--seconds", "1", "--members", "60", "--page", "20", "--json"];
            let ran = seqline(&[&args[..], &mode, &target].concat()).ok();
            let report = report(&ran);
            assert!(report["requests"].as_u64().unwrap() > 0, "{report}");
            assert_eq!(report["errors"], 0, "{report}");
            let latency = |key: &str| report[key].as_u64().unwrap();
            assert!(
                latency("p50_us") <= latency("p99_us") && latency("p99_us") <= latency("max_us")
            );
            assert!(report["client_cpu_us_per_request"].as_f64().unwrap() > 0.0);
            if mode[1] == "sync" {
                let entries = report["entries_per_second"].as_u64().unwrap();
                assert_eq!(entries, 20 * report["requests_per_second"].as_u64().unwrap());
            }
        }
    }
}
