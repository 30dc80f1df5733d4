//! `seqline bench` against real servers: what it reports is what is stored, and failures are
//! told as failures.

use serde_json::Value;

use crate::support::Server;
use crate::support::command::{Ran, seqline};

/// Few enough that every inbox can be looked at.
const MEMBERS: usize = 20;

fn bench(server: &Server, protocol: &str, args: &[&str]) -> Ran {
    let target = match protocol {
        "grpc" => ["--grpc".to_owned(), server.grpc.to_string()],
        _ => ["--http".to_owned(), format!("http://{}", server.http)],
    };
    let members = MEMBERS.to_string();
    let usual = ["bench", "--seconds", "1", "--json", "--members", &members];
    let args = usual.iter().chain(args).map(|a| (*a).to_owned()).chain(target);
    seqline(&args.collect::<Vec<_>>())
}

fn report(ran: Ran) -> Value {
    ran.ok().json_lines().remove(0)
}

fn number(report: &Value, name: &str) -> u64 {
    report[name].as_u64().unwrap_or_else(|| panic!("{name} in {report}"))
}

/// Entries of all inboxes, as their readers are told.
fn stored(server: &Server) -> u64 {
    let latest = |member: usize| {
        let member = format!("bench-{member:06}");
        let target = format!("/timeline/sync?member={member}&last_read=0&count=1");
        let reply: Value = serde_json::from_str(&get(server, &target)).unwrap();
        reply["latestSeq"].as_str().unwrap().parse::<u64>().unwrap()
    };
    (0..MEMBERS).map(latest).sum()
}

fn get(server: &Server, target: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(server.http).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[test]
fn what_was_reported_as_sent_is_in_the_inboxes() {
    for protocol in ["grpc", "http"] {
        let server = Server::start();
        let direct = report(bench(&server, protocol, &["--mode", "direct"]));
        let group = ["--mode", "group", "--group-size", "7"];
        let group = report(bench(&server, protocol, &group));
        for report in [&direct, &group] {
            assert_eq!(number(report, "failed_ever"), 0, "{report}");
            assert!(number(report, "requests") > 0, "{report}");
            assert!(number(report, "requests") <= number(report, "succeeded_ever"));
            assert!(report["server_cpu_us_per_request"].as_f64().unwrap() > 0.0, "{report}");
        }
        let sent = number(&direct, "succeeded_ever") * 2 + number(&group, "succeeded_ever") * 7;
        assert_eq!(stored(&server), sent, "{protocol}: {direct} {group}");
    }
}

#[test]
fn pages_are_full_and_counted() {
    let server = Server::start();
    for protocol in ["grpc", "http"] {
        let report = report(bench(&server, protocol, &["--mode", "sync", "--page", "10"]));
        let pages = number(&report, "requests");
        assert!(pages > 0, "{report}");
        let (pages, entries) =
            (number(&report, "requests_per_second"), number(&report, "entries_per_second"));
        assert!((pages * 10).abs_diff(entries) <= 10, "{report}");
        assert_eq!(number(&report, "failed_ever"), 0, "{report}");
    }
}

#[test]
fn a_server_that_refuses_everything_is_a_failure_that_says_why() {
    let server = Server::start_set(&[("limits.group_members_max", "5")]);
    for protocol in ["grpc", "http"] {
        let ran = bench(&server, protocol, &["--mode", "group", "--group-size", "7"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:#?}");
        assert!(ran.stderr.contains("no request succeeded"), "{}", ran.stderr);
        assert!(ran.stderr.contains("group_members"), "{}", ran.stderr);
    }
    assert_eq!(stored(&server), 0);
}

#[test]
fn refusals_among_successes_are_counted_and_the_first_is_shown() {
    let server = Server::start_set(&[("limits.requests_in_flight_max", "2")]);
    let report = report(bench(&server, "grpc", &["--mode", "direct"]));
    assert!(number(&report, "errors") > 0, "{report}");
    assert!(number(&report, "requests") > 0, "{report}");
    assert!(report["first_error"].as_str().unwrap().contains("gRPC"), "{report}");
    assert_eq!(stored(&server), number(&report, "succeeded_ever") * 2);
}

#[test]
fn the_limit_is_that_of_a_server_which_keeps_nothing() {
    let server = Server::start();
    let report = report(bench(&server, "grpc", &["--mode", "direct", "--limit"]));
    assert!(number(&report["limit"], "requests") > number(&report, "requests"), "{report}");
    assert_eq!(stored(&server), number(&report, "succeeded_ever") * 2);
}

#[test]
fn the_rows_of_the_store_alone_are_printed_and_leave_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("new");
    let data = data.to_str().unwrap();
    let rows = "direct,group50,paced100k,large,pages,disk,reopen,soak";
    let args = ["bench", "--engine", "--seconds", "1", "--members", "1000", "--fill", "20000"];
    let args = [&args[..], &["--json", "--rows", rows, "--data", data]].concat();
    let printed = seqline(&args).ok().json_lines();
    let names: Vec<&str> = printed.iter().map(|row| row["row"].as_str().unwrap()).collect();
    let wanted: Vec<&str> =
        ["about"].into_iter().chain(rows.split(',')).chain(["memory"]).collect();
    assert_eq!(names, wanted);
    for row in &printed {
        assert!(row.get("errors").is_none_or(|errors| errors == 0), "{row}");
    }
    assert!(number(&printed[7], "stored_sends") >= number(&printed[7], "acknowledged_sends"));
    assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none(), "nothing is left");

    let taken = seqline(&["bench", "--engine", "--data", dir.path().to_str().unwrap()]);
    assert_eq!(taken.code, 2, "{taken:#?}");
    assert!(taken.stderr.contains("exists"), "{}", taken.stderr);
}
