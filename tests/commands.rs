//! The client side of the command line against a real server: `send`, `send-group`, `sync`,
//! `history` and how they fail.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::Server;
use crate::support::command::{Ran, seqline, seqline_with_input};
use crate::support::process::SEQLINE;

/// The flags for one of the two protocols.
fn flags(server: &Server, protocol: &str) -> [String; 2] {
    match protocol {
        "grpc" => ["--grpc".to_owned(), server.grpc.to_string()],
        _ => ["--http".to_owned(), format!("http://{}", server.http)],
    }
}

fn run(server: &Server, protocol: &str, args: &[&str]) -> Ran {
    let args = args.iter().map(|a| (*a).to_owned());
    seqline(&args.chain(flags(server, protocol)).collect::<Vec<_>>())
}

/// What `sync --json` or `history --json` printed.
fn entries(ran: &Ran) -> Vec<(i64, String)> {
    let entry = |line: serde_json::Value| {
        (line["seq"].as_i64().unwrap(), line["message"].as_str().unwrap().to_owned())
    };
    ran.json_lines().into_iter().map(entry).collect()
}

fn numbered(messages: &[&str]) -> Vec<(i64, String)> {
    (1..).zip(messages.iter().map(|m| (*m).to_owned())).collect()
}

fn the_seed_scenario(protocol: &str) {
    let server = Server::start();
    let run = |args: &[&str]| run(&server, protocol, args).ok();
    let texts = [
        r#"{"text": "吃了吗？"}"#,
        r#"{"text":"吃了"}"#,
        r#"{"n":12345678901234567890}"#,
        r#"{"text":"c\n"}"#,
        r#"{"text":"a again"}"#,
    ];
    run(&["send", "--from", "a", "--to", "b", texts[0]]);
    let sent = run(&["send", "--from", "b", "--to", "a", "--text", "吃了", "--json"]);
    assert_eq!(sent.json_lines(), [serde_json::json!({"sequence": 2})]);
    for text in &texts[2..] {
        run(&["send-group", "--group", "group_a", "--members", "a,c,d", text]);
    }

    let sync = |member| entries(&run(&["sync", member, "--json"]));
    assert_eq!(sync("a"), numbered(&texts));
    assert_eq!(sync("b"), numbered(&texts[..2]));
    assert_eq!(sync("c"), numbered(&texts[2..]));
    assert_eq!(sync("d"), numbered(&texts[2..]));
    assert_eq!(sync("nobody"), []);
    let between = run(&["history", "--between", "b", "a", "--json"]);
    assert_eq!(entries(&between), numbered(&texts[..2]));
    let group = run(&["history", "--group", "group_a", "--all", "--json"]);
    assert_eq!(entries(&group), numbered(&texts[2..]));

    let page = run(&["sync", "a", "--after", "1", "--count", "2", "--json"]);
    assert_eq!(entries(&page), numbered(&texts)[1..3]);
    let all = run(&["sync", "a", "--count", "2", "--all", "--json"]);
    assert_eq!(entries(&all), numbered(&texts));
    let table = run(&["sync", "b"]);
    assert_eq!(
        table.stdout,
        format!("     seq  message\n       1  {}\n       2  {}\n", texts[0], texts[1])
    );
    assert_eq!(table.stderr, "that was all; the newest entry is 2\n");
}

#[test]
fn the_seed_scenario_comes_out_right_over_grpc() {
    the_seed_scenario("grpc");
}

#[test]
fn the_seed_scenario_comes_out_right_over_http() {
    the_seed_scenario("http");
}

#[test]
fn a_repeat_under_an_idempotency_key_is_stored_once() {
    let server = Server::start();
    for protocol in ["grpc", "http", "grpc"] {
        let key = ["send", "--from", "a", "--to", "b", "--text", "x", "--idempotency-key", "k"];
        run(&server, protocol, &key).ok();
    }
    assert_eq!(entries(&run(&server, "grpc", &["sync", "b", "--json"]).ok()).len(), 1);
    for protocol in ["grpc", "http"] {
        let other = ["send", "--from", "a", "--to", "b", "--text", "y", "--idempotency-key", "k"];
        let refused = run(&server, protocol, &other);
        assert_eq!(refused.code, 1);
        assert!(refused.stderr.contains("IDEMPOTENCY_CONFLICT"), "{}", refused.stderr);
    }
}

#[test]
fn messages_and_members_can_come_from_input_and_file() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("members.txt");
    std::fs::write(&file, "x, y\n吃\n").unwrap();
    let grpc = server.grpc.to_string();
    let args = ["send-group", "--group", "g", "-", "--grpc", &grpc, "--members-file"];
    let args = args.iter().map(|a| (*a).to_owned()).chain([file.display().to_string()]);
    seqline_with_input(&args.collect::<Vec<_>>(), "{\"a\": 1}\n").ok();
    for member in ["x, y", "吃"] {
        let synced = run(&server, "http", &["sync", member, "--json"]).ok();
        assert_eq!(entries(&synced), numbered(&["{\"a\": 1}"]));
    }
}

#[track_caller]
fn fails(args: &[&str], code: i32, says: &[&str]) {
    let ran = seqline(args);
    assert_eq!(ran.code, code, "{ran:#?}");
    assert_eq!(ran.stdout, "");
    for text in says {
        assert!(ran.stderr.contains(text), "{text:?} is not in {}", ran.stderr);
    }
}

#[test]
fn wrong_arguments_end_with_2_and_say_what_would_be_right() {
    fails(&["send", "--from", "a", "--to", "b", "hi"], 2, &["not a JSON object", "--text \"hi\""]);
    fails(&["send", "--from", "a", "--to", "b", "{\"a\":"], 2, &["not valid JSON"]);
    fails(&["send", "--from", "a", "--to", "b"], 2, &["MESSAGE"]);
    fails(&["send", "--from", "", "--to", "b", "{}"], 2, &["--from"]);
    fails(&["send-group", "--group", "g", "{}"], 2, &["--members"]);
    fails(&["history"], 2, &["--between"]);
    fails(&["history", "--between", "a"], 2, &["2 values"]);
    fails(&["sync", "a", "--after", "-1"], 2, &["--after"]);
    fails(&["sync", "a", "--grpc", "nowhere"], 2, &["HOST:PORT"]);
    fails(&["sync", "a", "--http", "https://h"], 2, &["TLS"]);
    fails(&["bench", "--mode", "group", "--members", "5"], 2, &["--members 50"]);
    fails(&["replay"], 2, &["FILE"]);
}

#[test]
fn a_server_that_is_not_there_ends_with_3_and_says_how_to_start_it() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = free.local_addr().unwrap().to_string();
    drop(free);
    let says = ["is the server running?", "seqline serve"];
    fails(&["sync", "a", "--grpc", &addr], 3, &says);
    fails(&["sync", "a", "--follow", "--grpc", &addr], 3, &says);
    fails(&["send", "--from", "a", "--to", "b", "{}", "--http", &addr], 3, &says);
    fails(&["replay", "--synthetic", "5", "--grpc", &addr], 3, &says);
    fails(&["bench", "--mode", "sync", "--grpc", &addr], 3, &says);
}

#[test]
fn a_refusal_ends_with_1_and_repeats_what_the_server_says() {
    let server = Server::start();
    let long = "x".repeat(1_025);
    for protocol in ["grpc", "http"] {
        let ran = run(&server, protocol, &["send", "--from", &long, "--to", "b", "{}"]);
        assert_eq!(ran.code, 1, "{ran:#?}");
        assert!(ran.stderr.contains("TIMELINE_INVALID_PARAM"), "{}", ran.stderr);
        assert!(ran.stderr.contains("1024"), "{}", ran.stderr);
    }
}

#[test]
fn the_other_protocols_port_is_no_seqline_server_of_this_protocol() {
    let server = Server::start();
    let grpc_to_http = ["sync", "a", "--grpc", &server.http.to_string()];
    let http_to_grpc = ["sync", "a", "--http", &server.grpc.to_string()];
    for args in [grpc_to_http, http_to_grpc] {
        let ran = seqline(&args);
        assert_eq!(ran.code, 1, "{ran:#?}");
        assert!(ran.stderr.contains("is this address a Seqline server?"), "{}", ran.stderr);
    }
}

/// A running `sync --follow`.
struct Follower {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Follower {
    fn start(protocol: &str, server: &Server) -> Follower {
        let mut command = Command::new(SEQLINE);
        command.args(["sync", "b", "--follow", "--json"]).args(flags(server, protocol));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Follower { child, lines }
    }

    /// Waits for the next entry.
    fn next(&mut self) -> (i64, String) {
        let line = self.lines.next().expect("the follower goes on").unwrap();
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        (line["seq"].as_i64().unwrap(), line["message"].as_str().unwrap().to_owned())
    }

    /// Ctrl-C.
    fn interrupt(mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        assert!(self.lines.next().is_none(), "nothing more was printed");
        self.child.wait().unwrap().code()
    }
}

fn send_number(server: &Server, number: i64) -> (i64, String) {
    let message = format!("{{\"n\":{number}}}");
    run(server, "grpc", &["send", "--from", "a", "--to", "b", &message]).ok();
    (number, message)
}

fn a_follower_survives_a_restart(protocol: &str) {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = Server::start_on(&data, &[] as &[&str]);
    let before = send_number(&server, 1);
    let mut follower = Follower::start(protocol, &server);
    assert_eq!(follower.next(), before);
    for number in 2..5 {
        let sent = send_number(&server, number);
        assert_eq!(follower.next(), sent);
    }
    server.kill();
    let (http, grpc) = (server.http, server.grpc);
    drop(server);
    let server = Server::restart_on(&data, http, grpc);
    let after = [5, 6].map(|number| send_number(&server, number));
    assert_eq!([follower.next(), follower.next()], after);
    assert_eq!(follower.interrupt(), Some(0));
}

#[test]
fn a_follower_sees_what_is_sent_later_also_after_a_restart_over_grpc() {
    a_follower_survives_a_restart("grpc");
}

#[test]
fn a_follower_sees_what_is_sent_later_also_after_a_restart_over_http() {
    a_follower_survives_a_restart("http");
}

#[test]
fn health_says_whether_a_server_takes_sends() {
    let health = |addr: &str| seqline(&["health", "--timeout", "1s", "--http", addr]);
    let server = Server::start();
    assert_eq!(health(&format!("http://{}", server.http)).ok().stdout, "ready\n");
    drop(server);

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let answers = std::thread::spawn(move || {
        let mut streams = Vec::new();
        for answer in ["503 Service Unavailable", "404 Not Found", ""] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = BufReader::new(&stream);
            let mut line = String::new();
            while line != "\r\n" {
                line.clear();
                head.read_line(&mut line).unwrap();
            }
            if !answer.is_empty() {
                let body = "a sync failed\n";
                let length = body.len();
                let reply = format!("HTTP/1.1 {answer}\r\nContent-Length: {length}\r\n\r\n{body}");
                stream.write_all(reply.as_bytes()).unwrap();
            }
            streams.push(stream);
        }
        streams
    });
    let refused = health(&addr);
    assert_eq!((refused.code, refused.stderr.as_str()), (1, "seqline: a sync failed\n"));
    assert_eq!(health(&addr).code, 1, "no Seqline");
    let late = health(&addr);
    assert_eq!(late.code, 1);
    assert!(late.stderr.contains("1s"), "{}", late.stderr);
    drop(answers.join().unwrap());
    assert_eq!(health(&addr).code, 3, "nobody listens");
}
