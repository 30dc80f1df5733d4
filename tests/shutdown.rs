//! Starting and stopping: the ready line, signals under load, and starts that must fail clearly.

use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::crash::ledger::{Findings, Ledger};
use crate::crash::load::{self, Counters};
use crate::support::Server;
use crate::support::http;
use crate::support::process::SEQLINE;

/// Runs `seqline serve`, which must not get ready.
fn refused(data: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(SEQLINE);
    command.arg("serve").arg("--data").arg(data);
    if !args.contains(&"--http") {
        command.args(["--http", "127.0.0.1:0"]);
    }
    command.args(["--grpc", "127.0.0.1:0"]).args(args);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.stdout.is_empty(), "{output:?}");
    output
}

fn last_words(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines().filter(|line| line.starts_with("seqline: ")).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn check_refusal(output: &Output, code: i32, parts: &[&str]) {
    let words = last_words(output);
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert_eq!(words.lines().count(), 1, "{output:?}");
    for part in parts {
        assert!(words.contains(part), "{part:?} is not in {words:?}");
    }
}

/// Stops a server under load: every acknowledged send must be there, and nothing else ended badly.
fn stop_under_load(signal: Signal) {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = Server::start_on(&data, &[] as &[&str]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (mut ledger, counters) = (Ledger::new(), Arc::new(Counters::default()));
    runtime.block_on(async {
        let mut workers = load::start(server.grpc, &counters);
        counters.reach(500).await;
        server.signal(signal);
        while let Some(attempts) = workers.join_next().await {
            ledger.record(attempts.expect("no send was refused"));
        }
    });
    let (status, rest) = server.wait();
    assert_eq!(status.code(), Some(0), "{}", server.log());
    assert_eq!(rest, "", "the ready line is all there is on standard output");
    assert!(server.log().contains("stopped"), "{}", server.log());

    let server = Server::start_on(&data, &[] as &[&str]);
    runtime.block_on(async {
        let mut client = load::connect(server.grpc).await.unwrap();
        load::read_on(&mut client, &mut ledger).await;
    });
    let findings = ledger.findings();
    assert_eq!(findings, Findings::default(), "{findings}");
    assert!(ledger.acknowledged() >= 500);
}

#[test]
fn sigterm_under_load_keeps_every_acknowledged_send_and_exits_0() {
    stop_under_load(Signal::TERM);
}

#[test]
fn sigint_under_load_keeps_every_acknowledged_send_and_exits_0() {
    stop_under_load(Signal::INT);
}

#[test]
fn a_server_is_ready_within_a_second_and_takes_requests_then() {
    let start = Instant::now();
    let server = Server::start();
    let took = start.elapsed();
    assert_eq!(http::get(server.http, "/readyz").status, 200);
    assert_ne!(server.http.port(), server.grpc.port());
    // The machine of the tests may be busy with others; alone it takes a tenth of this.
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn a_request_in_flight_is_finished_before_the_server_ends() {
    use std::io::Write as _;
    let mut server = Server::start();
    let body = r#"{"from":"a","to":"b","message":"{}"}"#;
    let mut stream = TcpStream::connect(server.http).unwrap();
    let head = format!(
        "POST /timeline/send HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The server asks for the body only once it works on the request.
    let mut asked = [0; 12];
    stream.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100");
    server.signal(Signal::TERM);
    stop_taking(server.http);
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("HTTP/1.1 200 OK") && answer.contains("sequence"), "{answer}");
    assert_eq!(server.wait().0.code(), Some(0));
}

/// Returns once the server takes no new connections.
fn stop_taking(addr: SocketAddr) {
    while TcpStream::connect(addr).is_ok() {
        std::thread::yield_now();
    }
}

#[test]
fn a_second_signal_ends_a_server_that_waits_at_once() {
    use std::io::Write as _;
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let mut server = Server::start();
        let mut stream = TcpStream::connect(server.http).unwrap();
        let head = "POST /timeline/send HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                    Expect: 100-continue\r\nContent-Length: 9\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        stream.read_exact(&mut [0; 12]).unwrap();
        server.signal(signal);
        stop_taking(server.http);
        server.signal(signal);
        assert_eq!(server.wait().0.code(), Some(code), "{}", server.log());
    }
}

#[test]
fn a_directory_has_one_server_at_a_time_and_is_free_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut first = Server::start_on(&data, &[] as &[&str]);
    let pid = first.pid().to_string();
    check_refusal(&refused(&data, &[]), 3, &["data is in use by", &pid, "stop it first"]);
    let check = Command::new(SEQLINE).arg("check").arg(&data).output().unwrap();
    check_refusal(&check, 3, &["in use by", &pid]);
    assert!(first.stop().success());
    assert!(Server::start_on(&data, &[] as &[&str]).stop().success());
}

#[test]
fn a_taken_port_is_refused_and_the_directory_is_left_free() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let output = refused(&data, &["--http", &addr]);
    check_refusal(&output, 3, &[&addr, "server.http.addr", "another program has this port"]);
    assert!(Server::start_on(&data, &[] as &[&str]).stop().success());
}

#[test]
fn a_directory_that_cannot_be_used_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("thesis.txt"), "mine").unwrap();
    check_refusal(&refused(dir.path(), &[]), 3, &["thesis.txt", "choose another"]);
    let file = dir.path().join("thesis.txt");
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
    check_refusal(&refused(&file, &[]), 3, &["thesis.txt"]);
    // Nobody may write there, not even root.
    check_refusal(&refused(Path::new("/proc/seqline"), &[]), 3, &["/proc/seqline"]);
}
