//! The published Go client of go-timeline, unmodified, finds servers through etcd alone.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{start, until};
use crate::clients::build_go;
use crate::support::etcd::Etcd;
use crate::support::{Server, http};

/// A running client that makes calls when it is asked to.
pub struct Client {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// How calls went: which server answered how many, and why others failed.
#[derive(Debug, Default, PartialEq, Eq, serde::Deserialize)]
struct Answers {
    answered: BTreeMap<String, u32>,
    failed: BTreeMap<String, u32>,
}

impl Client {
    /// A client of `discovery:///go-timeline` that knows nothing but where etcd is.
    pub fn start(etcd: &Etcd, transport: &str, more: &[&str]) -> Client {
        static BUILT: OnceLock<PathBuf> = OnceLock::new();
        let mut command = Command::new(BUILT.get_or_init(|| build_go("discovery")));
        command.args(["-etcd", &etcd.endpoint(), "-transport", transport]).args(more);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it was built");
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Client { child, input, output }
    }

    /// Makes this many calls, one after the other.
    pub fn calls<T: serde::de::DeserializeOwned>(&mut self, count: u32) -> T {
        self.begin(count);
        self.end()
    }

    fn begin(&mut self, count: u32) {
        writeln!(self.input, "{count}").unwrap();
    }

    fn end<T: serde::de::DeserializeOwned>(&mut self) -> T {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A registered server that answers with its name: each has its own data.
fn named(etcd: &Etcd, name: &str) -> Server {
    let server = start(&etcd.endpoint(), &[]);
    let message = json!({"server": name}).to_string();
    let message = json!({"from": "setup", "to": "who", "message": message});
    assert_eq!(http::post_json(server.http, "/timeline/send", &message).status, 200);
    until(&server, "\nregistered in etcd");
    server
}

/// All calls of one go were answered, by all of these servers and no others.
#[track_caller]
fn check_all(answers: &Answers, names: &[&str]) {
    let by: Vec<&str> = answers.answered.keys().map(String::as_str).collect();
    assert_eq!((by.as_slice(), answers.failed.len()), (names, 0), "{answers:?}");
}

/// Calls until exactly these servers answer, and no call fails any more.
#[track_caller]
fn until_all(client: &mut Client, names: &[&str]) {
    let begin = Instant::now();
    loop {
        let answers: Answers = client.calls(100);
        if answers.failed.is_empty() && answers.answered.keys().eq(names) {
            return;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{answers:?}, not {names:?}");
    }
}

fn follows_servers(transport: &str) {
    let etcd = Etcd::start();
    let (mut first, mut second) = (named(&etcd, "first"), named(&etcd, "second"));
    let mut client = Client::start(&etcd, transport, &[]);
    check_all(&client.calls(200), &["first", "second"]);

    first.kill();
    // Its record stands until its lease lapses, and its connection fails what was on it.
    let answers: Answers = client.calls(200);
    let failed: u32 = answers.failed.values().sum();
    if transport == "grpc" {
        assert!(failed <= 2, "{answers:?}");
        check_all(&client.calls(200), &["second"]);
    } else {
        // kratos' HTTP client asks every server that is registered, dead or not.
        assert!(answers.answered["second"] >= 50, "{answers:?}");
    }

    let _third = named(&etcd, "third");
    until_all(&mut client, &["second", "third"]);
    check_all(&client.calls(200), &["second", "third"]);

    // A stop is no failure to anybody: the record goes first.
    client.begin(20_000);
    assert!(second.stop().success());
    let answers: Answers = client.end();
    check_all(&answers, &["second", "third"]);
    check_all(&client.calls(200), &["third"]);
}

#[test]
fn the_go_client_follows_servers_that_come_die_and_stop_over_grpc() {
    follows_servers("grpc");
}

#[test]
fn the_go_client_follows_servers_that_come_die_and_stop_over_http() {
    follows_servers("http");
}
