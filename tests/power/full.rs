//! A disk that fills up: sends are refused with the reason, reads go on, and once there is room
//! again everything acknowledged is there.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use seqline_api::timeline::v1::{
    GetSingleHistoryMessageRequest, SendGroupRequest, SendMessageRequest,
};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tonic::{Code, Status};

use super::disk::{self, Disk};
use crate::crash::load;
use crate::support::Server;
use crate::support::command::seqline;
use crate::support::http::{get, post_json};
use crate::support::process::SEQLINE;

const PAIRS: usize = 8;
/// What the system says of a full disk.
const NO_SPACE: &str = "No space left on device";
const MIB: u64 = 1 << 20;

/// A pair of members who send large messages, one after another, until one fails.
#[derive(Clone, Copy)]
struct Pair(usize);

impl Pair {
    fn send(self, n: i64) -> SendMessageRequest {
        let (from, to) = (format!("from-{}", self.0), format!("to-{}", self.0));
        let pad = format!("{}-{n} ", self.0).repeat(20_000);
        SendMessageRequest { from, to, message: format!("{{\"n\": {n}, \"pad\": \"{pad}\"}}") }
    }
}

/// Sends until the disk is full. How many of each pair were acknowledged, and how each ended.
fn send_until_refused(server: &Server, sent: &[i64]) -> (Vec<i64>, Vec<Status>) {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for (pair, already) in sent.iter().copied().enumerate() {
            let grpc = server.grpc;
            tasks.spawn(async move {
                let mut client = load::connect(grpc).await.unwrap();
                for n in already + 1.. {
                    match client.send(Pair(pair).send(n)).await {
                        Ok(reply) => assert_eq!(reply.into_inner().sequence, n),
                        Err(status) => return (pair, n - 1, status),
                    }
                }
                unreachable!("a disk is full at some time")
            });
        }
        let mut ended = tasks.join_all().await;
        ended.sort_by_key(|(pair, ..)| *pair);
        ended.into_iter().map(|(_, sent, status)| (sent, status)).unzip()
    })
}

/// Everything acknowledged is there, to the byte, and at most one message more of each pair.
/// Returns what is there.
fn read_all(server: &Server, sent: &[i64]) -> Vec<i64> {
    let runtime = Runtime::new().unwrap();
    let read = async |(pair, sent): (usize, i64)| {
        let mut client = load::connect(server.grpc).await.unwrap();
        let SendMessageRequest { from, to, .. } = Pair(pair).send(0);
        let mut last_read = 0;
        loop {
            let (from, to) = (from.clone(), to.clone());
            let page = GetSingleHistoryMessageRequest { from, to, last_read, count: 0 };
            let page = client.get_single_history_message(page).await.unwrap().into_inner();
            if page.entry_set.is_empty() {
                break;
            }
            for entry in page.entry_set {
                last_read += 1;
                assert_eq!(entry.sequence, last_read);
                assert!(entry.message == Pair(pair).send(last_read).message, "{pair}: {last_read}");
            }
        }
        assert!((sent..=sent + 1).contains(&last_read), "{pair}: {last_read} of {sent}");
        last_read
    };
    let mut there = Vec::new();
    for pair in sent.iter().copied().enumerate() {
        there.push(runtime.block_on(read(pair)));
    }
    there
}

/// Sends are refused with what is wrong, and the readiness says so too.
fn refuses(server: &Server) {
    let ready = get(server.http, "/readyz");
    let reason = String::from_utf8(ready.body).unwrap();
    assert_eq!(ready.status, 503, "{reason}");
    assert!(reason.contains(NO_SPACE), "{reason}");
    let body = json!({"from": "a", "to": "b", "message": "{}"});
    let answer = post_json(server.http, "/timeline/send", &body);
    assert_eq!((answer.status, &answer.json()["reason"]), (503, &json!("UNAVAILABLE")));
    assert!(server.log().contains(NO_SPACE), "{}", server.log());
}

fn is_sound(data: &Path) {
    seqline(&[Path::new("check"), data]).ok();
}

/// Begins with `left` bytes of room.
fn fills_up(left: u64) {
    if !disk::available() {
        return;
    }
    let disk = Disk::new(220);
    let data = disk.path().join("data");
    let ballast = disk.fill(left);
    let mut server = Server::start_on(&data, &[] as &[&str]);
    let (sent, ended) = send_until_refused(&server, &[0; PAIRS]);
    let unknown = ended.iter().filter(|status| status.code() == Code::Internal).count();
    let refused = ended.iter().filter(|status| status.code() == Code::Unavailable).count();
    println!("{sent:?} acknowledged, {unknown} unknown, {refused} refused");
    assert_eq!(unknown + refused, PAIRS, "{ended:?}");
    refuses(&server);
    assert_eq!(read_all(&server, &sent), sent, "what failed cannot be read");
    // The index has no room either, so this need not end well.
    server.stop();

    let mut server = Server::start_on(&data, &[] as &[&str]);
    let there = read_all(&server, &sent);
    server.stop();
    fs::remove_file(ballast).unwrap();
    let mut server = Server::start_on(&data, &[] as &[&str]);
    assert_eq!(read_all(&server, &there), there);
    takes_sends(&server);
    assert!(server.stop().success(), "{}", server.log());
    is_sound(&data);
}

fn takes_sends(server: &Server) {
    assert_eq!(get(server.http, "/readyz").status, 200);
    let body = json!({"from": "a", "to": "b", "message": "{}"});
    assert_eq!(post_json(server.http, "/timeline/send", &body).status, 200);
}

#[test]
fn a_disk_that_is_full_while_a_segment_grows_refuses_sends_and_loses_nothing() {
    fills_up(24 * MIB);
}

#[test]
fn a_disk_that_is_full_when_a_segment_begins_refuses_sends_and_loses_nothing() {
    fills_up(150 * MIB);
}

#[test]
fn a_new_store_on_a_full_disk_is_refused_and_can_be_made_once_there_is_room() {
    if !disk::available() {
        return;
    }
    let disk = Disk::new(220);
    let data = disk.path().join("data");
    for left in [0, 4_096, 8_192] {
        let ballast = disk.fill(left);
        let mut command = Command::new(SEQLINE);
        command.arg("serve").arg("--data").arg(&data);
        command.args(["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{log}");
        let words = log.lines().last().unwrap();
        assert!(words.contains(NO_SPACE) && !words.contains("damaged"), "{words}");
        fs::remove_file(ballast).unwrap();
    }
    let mut server = Server::start_on(&data, &[] as &[&str]);
    takes_sends(&server);
    assert!(server.stop().success());
    is_sound(&data);
}

const CROWD: usize = 10_000;

/// Sends to a group whose references fill the index, until one is refused. How many were not.
fn send_to_the_crowd_until_refused(server: &Server) -> (i64, Status) {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let mut client = load::connect(server.grpc).await.unwrap();
        for n in 1..10_000 {
            let request = SendGroupRequest {
                group_name: "crowd".to_owned(),
                group_members: (0..CROWD).map(|member| format!("member-{member}")).collect(),
                message: format!("{{\"n\": {n}}}"),
            };
            if let Err(status) = client.send_group(request).await {
                return (n - 1, status);
            }
        }
        unreachable!("the index of so many entries needs room")
    })
}

#[test]
fn a_disk_that_is_full_when_the_index_is_written_refuses_sends_and_loses_nothing() {
    if !disk::available() {
        return;
    }
    let disk = Disk::new(220);
    let data = disk.path().join("data");
    let settings = [("data.memory_bytes", "32MiB")];
    let mut server = Server::start_on_set(&data, &settings);
    // The second segment has its room before it is begun, so the log does not miss any.
    let mut begun = 0;
    let runtime = Runtime::new().unwrap();
    let mut client = runtime.block_on(load::connect(server.grpc)).unwrap();
    while !data.join("log/0000000000000002.seg").exists() {
        begun += 1;
        runtime.block_on(client.send(Pair(0).send(begun))).unwrap();
    }
    let ballast = disk.fill(0);
    let (crowd, status) = send_to_the_crowd_until_refused(&server);
    println!("{begun} and {crowd} sends acknowledged, then {status:?}");
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    refuses(&server);
    assert!(server.log().contains("the index cannot be written"), "{}", server.log());
    let latest = |server: &Server| {
        let target = format!("/timeline/sync?member=member-{}&last_read=0&count=1", CROWD - 1);
        get(server.http, &target).json()["latestSeq"].clone()
    };
    assert_eq!(latest(&server), crowd.to_string());
    server.kill();
    fs::remove_file(ballast).unwrap();
    let mut server = Server::start_on_set(&data, &settings);
    assert_eq!(latest(&server), crowd.to_string());
    assert_eq!(read_all(&server, &[begun]), [begun]);
    takes_sends(&server);
    assert!(server.stop().success(), "{}", server.log());
    is_sound(&data);
}

#[test]
fn a_disk_that_is_full_when_the_server_stops_loses_nothing() {
    if !disk::available() {
        return;
    }
    let disk = Disk::new(220);
    let data = disk.path().join("data");
    let mut server = Server::start_on(&data, &[] as &[&str]);
    takes_sends(&server);
    let ballast = disk.fill(0);
    let status = server.stop();
    assert_eq!(status.code(), Some(1), "{}", server.log());
    assert!(server.log().contains("what was acknowledged is safe"), "{}", server.log());
    fs::remove_file(ballast).unwrap();
    let mut server = Server::start_on(&data, &[] as &[&str]);
    let page = get(server.http, "/timeline/sync?member=b").json();
    assert_eq!(page["entrySet"], json!([{"sequence": "1", "message": "{}"}]));
    assert!(server.stop().success());
    is_sound(&data);
}
