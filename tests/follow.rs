//! Reads while everything is written: followers over both protocols see no hole, no step back and
//! no wrong byte, in little memory.
//!
//! `SEQLINE_FOLLOW_SECONDS` says how long (4 if it is not set).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use seqline_api::timeline::v1::{
    GetGroupHistoryMessageRequest, SendGroupRequest, SyncMessageRequest, TimelineEntry,
};
use tokio::task::JoinSet;

use crate::crash::load::{self, Client};
use crate::crash::setting;
use crate::support::Server;
use crate::support::http::get;

const GROUPS: usize = 2_400;
const GROUP_MEMBERS: usize = 50;
/// So many that their timelines do not all fit into the memory that is set.
const MEMBERS: usize = 100_000;
const SENDERS: usize = 8;
/// Over each protocol.
const FOLLOWERS: usize = 6;
/// What a sender waits after each send, so that a long run fits on a disk.
const PAUSE: Duration = Duration::from_millis(2);
const MEMORY: u64 = 32 << 20;
/// What the process may have beside `data.memory_bytes`: requests, pages, its own code.
const BESIDE: u64 = 160 << 20;

fn members(group: usize) -> Vec<String> {
    (0..GROUP_MEMBERS).map(|n| format!("member-{}", (group * 7 + n * n * 613) % MEMBERS)).collect()
}

/// The nth message of a group. Its position in the group's timeline is `n`, as one sender has it.
fn body(group: usize, n: i64) -> String {
    let pad = "吃了".repeat((group * 31 + n as usize * 17) % 60);
    format!("{{\"group\":{group}, \"n\":{n}, \"pad\": \"{pad}\"}}")
}

fn parse(body: &str) -> (usize, i64) {
    let value: serde_json::Value = serde_json::from_str(body).unwrap();
    (value["group"].as_u64().unwrap() as usize, value["n"].as_i64().unwrap())
}

/// What all tasks share.
struct Scene {
    server: Server,
    /// Senders end after the send they are at.
    sent_all: AtomicBool,
    /// Followers end once there is nothing more.
    stop: AtomicBool,
    /// How many messages of each group were acknowledged.
    sent: Vec<AtomicU64>,
    entries: AtomicU64,
    pages: AtomicU64,
}

impl Scene {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn read(&self, entries: usize) {
        self.entries.fetch_add(entries as u64, Ordering::Relaxed);
        self.pages.fetch_add(1, Ordering::Relaxed);
    }

    fn sent(&self, group: usize) -> i64 {
        self.sent[group].load(Ordering::SeqCst) as i64
    }
}

/// Sends to every `SENDERS`th group in turn, and between any two of them to its first one.
async fn send(scene: Arc<Scene>, sender: usize) {
    let mut client = load::connect(scene.server.grpc).await.unwrap();
    let turns = (sender..GROUPS).step_by(SENDERS).cycle();
    for group in turns.flat_map(|group| [sender, group]) {
        if scene.sent_all.load(Ordering::Relaxed) {
            return;
        }
        let message = body(group, scene.sent(group) + 1);
        let group_name = format!("group-{group}");
        let group_members = members(group);
        let request = SendGroupRequest { group_name, group_members, message };
        client.send_group(request).await.unwrap();
        scene.sent[group].fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(PAUSE).await;
    }
}

/// A conversation: entry n is message n. What was acknowledged before the read is in it.
fn judge_history(group: usize, after: i64, acknowledged: i64, entries: &[TimelineEntry]) {
    for (n, entry) in (after + 1..).zip(entries) {
        assert_eq!(entry.sequence, n, "group {group}");
        assert_eq!(entry.message, body(group, n), "group {group}");
    }
    assert!(!entries.is_empty() || after >= acknowledged, "group {group} ends at {after}");
}

/// How far one inbox was read.
struct Inbox {
    member: String,
    last_read: i64,
    latest: i64,
    /// The last message of each of its groups.
    groups: Vec<i64>,
}

impl Inbox {
    fn new(follower: usize) -> Inbox {
        let member = members(follower).swap_remove(follower % GROUP_MEMBERS);
        Inbox { member, last_read: 0, latest: 0, groups: vec![0; GROUPS] }
    }

    /// Takes the next page: no hole in the inbox, and none in what it has of each group.
    fn take(&mut self, latest: i64, entries: &[TimelineEntry]) {
        assert!(latest >= self.latest, "{}: {latest} after {}", self.member, self.latest);
        self.latest = latest;
        for entry in entries {
            self.last_read += 1;
            assert_eq!(entry.sequence, self.last_read, "{}", self.member);
            let (group, n) = parse(&entry.message);
            assert_eq!(entry.message, body(group, n));
            self.groups[group] += 1;
            assert_eq!(self.groups[group], n, "{}: group {group}", self.member);
        }
        assert!(self.last_read <= latest);
        assert!(!entries.is_empty() || self.last_read == latest, "{}: {latest}", self.member);
    }

    /// Everything of its groups has come.
    fn is_whole(&self, scene: &Scene) {
        let whole = |group: usize| {
            let sent = if members(group).contains(&self.member) { scene.sent(group) } else { 0 };
            assert_eq!(self.groups[group], sent, "{}: group {group}", self.member);
        };
        (0..GROUPS).for_each(whole);
    }
}

async fn sync(client: &mut Client, inbox: &mut Inbox) -> usize {
    let (member, last_read) = (inbox.member.clone(), inbox.last_read);
    let page = SyncMessageRequest { member, last_read, count: 0 };
    let page = client.get_sync_message(page).await.unwrap().into_inner();
    inbox.take(page.latest_seq, &page.entry_set);
    page.entry_set.len()
}

/// Every other time one of the long ones.
fn some_group(turn: usize, step: usize) -> usize {
    turn / 2 * step % if turn.is_multiple_of(2) { GROUPS } else { SENDERS }
}

/// Follows an inbox, and looks at conversations from anywhere.
async fn follow(scene: Arc<Scene>, follower: usize) {
    let mut client = load::connect(scene.server.grpc).await.unwrap();
    let mut inbox = Inbox::new(follower);
    for turn in follower.. {
        let stopped = scene.stopped();
        let read = sync(&mut client, &mut inbox).await;
        scene.read(read);
        if stopped && read == 0 {
            return inbox.is_whole(&scene);
        }
        let group = some_group(turn, 37);
        let acknowledged = scene.sent(group);
        let last_read = acknowledged * (turn as i64 % 11) / 10;
        let request = GetGroupHistoryMessageRequest {
            group: format!("group-{group}"),
            last_read,
            count: 100,
        };
        let page = client.get_group_history_message(request).await.unwrap().into_inner();
        judge_history(group, last_read, acknowledged, &page.entry_set);
        scene.read(page.entry_set.len());
    }
}

/// A page; a conversation's says nothing of what is the newest.
fn read_page(addr: SocketAddr, target: &str) -> (Option<i64>, Vec<TimelineEntry>) {
    let answer = get(addr, target);
    assert_eq!(answer.status, 200, "{target}");
    let answer = answer.json();
    let maybe = |value: &serde_json::Value| value.as_str().map(|n| n.parse::<i64>().unwrap());
    let entry = |entry: &serde_json::Value| TimelineEntry {
        sequence: maybe(&entry["sequence"]).unwrap(),
        message: entry["message"].as_str().unwrap().to_owned(),
    };
    (
        maybe(&answer["latestSeq"]),
        answer["entrySet"].as_array().unwrap().iter().map(entry).collect(),
    )
}

/// The same over HTTP.
fn follow_http(scene: &Scene, follower: usize) {
    let mut inbox = Inbox::new(follower);
    for turn in follower.. {
        let stopped = scene.stopped();
        let Inbox { member, last_read, .. } = &inbox;
        let target = format!("/timeline/sync?member={member}&last_read={last_read}");
        let (latest, page) = read_page(scene.server.http, &target);
        inbox.take(latest.unwrap(), &page);
        scene.read(page.len());
        if stopped && page.is_empty() {
            return inbox.is_whole(scene);
        }
        let group = some_group(turn, 41);
        let acknowledged = scene.sent(group);
        let after = acknowledged * (turn as i64 % 7) / 6;
        let target = format!("/timeline/history/group/group-{group}?last_read={after}&count=100");
        let (_, page) = read_page(scene.server.http, &target);
        judge_history(group, after, acknowledged, &page);
        scene.read(page.len());
    }
}

#[test]
fn followers_miss_nothing_while_everything_is_written_in_little_memory() {
    let seconds = setting("SEQLINE_FOLLOW_SECONDS", 4);
    let memory = MEMORY.to_string();
    let server = Server::start_set(&[("data.memory_bytes", &memory)]);
    let scene = Arc::new(Scene {
        server,
        sent_all: AtomicBool::new(false),
        stop: AtomicBool::new(false),
        sent: (0..GROUPS).map(|_| AtomicU64::new(0)).collect(),
        entries: AtomicU64::new(0),
        pages: AtomicU64::new(0),
    });
    let end = Instant::now() + Duration::from_secs(seconds);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut senders = JoinSet::new();
        (0..SENDERS).for_each(|sender| drop(senders.spawn(send(Arc::clone(&scene), sender))));
        let mut followers = JoinSet::new();
        for follower in 0..FOLLOWERS {
            followers.spawn(follow(Arc::clone(&scene), follower * 29));
            let scene = Arc::clone(&scene);
            followers.spawn_blocking(move || follow_http(&scene, follower * 31 + 1));
        }
        tokio::time::sleep_until(end.into()).await;
        scene.sent_all.store(true, Ordering::Relaxed);
        senders.join_all().await;
        scene.stop.store(true, Ordering::Relaxed);
        followers.join_all().await;
    });
    report(&scene);
}

fn report(scene: &Scene) {
    let sends: i64 = (0..GROUPS).map(|group| scene.sent(group)).sum();
    let (entries, pages) = (&scene.entries, &scene.pages);
    let peak = scene.server.memory_peak_bytes();
    println!(
        "{sends} sends, {} deliveries, {} entries in {} pages, all as they should be; \
         {} MiB at most of {} MiB set and {} MiB allowed beside",
        sends as usize * GROUP_MEMBERS,
        entries.load(Ordering::Relaxed),
        pages.load(Ordering::Relaxed),
        peak >> 20,
        MEMORY >> 20,
        BESIDE >> 20,
    );
    assert!(peak <= MEMORY + BESIDE, "{peak} bytes");
    assert!(sends > 0 && entries.load(Ordering::Relaxed) > 0);
}
