//! `kill -9` at random instants under load: what was acknowledged is there, once, in order, whole.
//!
//! `SEQLINE_KILLS` says how often (15 if it is not set), `SEQLINE_SEED` repeats the instants.

pub mod ledger;
pub mod load;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::Server;
use crate::support::process::SEQLINE;
use ledger::{Attempt, Findings, Ledger, Outcome};
use load::{Client, Counters};

/// Answered sends that are repeated after each restart.
const REPEATS: usize = 40;
/// Each of so many kills hits a server that is just starting.
const STARTING_EVERY: u64 = 5;
/// Most acknowledgements between two kills.
const ACKNOWLEDGED_MAX: u64 = 1_500;

/// splitmix64: enough for choosing instants, and repeatable.
pub struct Instants(u64);

impl Instants {
    /// Starts from `SEQLINE_SEED` or the time, and says from what.
    pub fn new() -> Instants {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
        let seed = setting("SEQLINE_SEED", now);
        println!("SEQLINE_SEED={seed}");
        Instants(seed)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % end
    }
}

/// A number from the environment.
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect(name))
}

#[test]
fn nothing_acknowledged_is_lost_repeated_reordered_or_half_done_by_kill_9() {
    let kills = setting("SEQLINE_KILLS", 15);
    let mut instants = Instants::new();
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (mut ledger, counters) = (Ledger::new(), Arc::new(Counters::default()));
    for kill in 1..=kills {
        if kill % STARTING_EVERY == 0 {
            let after = Duration::from_millis(instants.below(150));
            kill_while_starting(&data, || std::thread::sleep(after));
            continue;
        }
        let mut server = Server::start_on(&data, &[] as &[&str]);
        runtime.block_on(async {
            verify(&server, &mut ledger, kill).await;
            let mut workers = load::start(server.grpc, &counters);
            counters
                .reach(counters.acknowledged() + instants.below(ACKNOWLEDGED_MAX) as usize)
                .await;
            // Somewhere between two acknowledgements, or within a commit.
            tokio::time::sleep(Duration::from_micros(instants.below(3_000))).await;
            server.kill();
            while let Some(attempts) = workers.join_next().await {
                ledger.record(attempts.expect("no send was refused"));
            }
        });
    }
    let mut server = Server::start_on(&data, &[] as &[&str]);
    let findings = runtime.block_on(async {
        verify(&server, &mut ledger, kills).await;
        let mut again = ledger.unread();
        let mut client = load::connect(server.grpc).await.unwrap();
        load::read_on(&mut client, &mut again).await;
        assert!(again.same_as(&ledger), "what was read once reads the same from the start");
        again.findings()
    });
    println!("{kills} kills, {} acknowledged, {findings}", ledger.acknowledged());
    assert_eq!(findings, Findings::default());
    assert!(server.stop().success());
    assert!(ledger.acknowledged() > 0);
    let check = Command::new(SEQLINE).arg("check").arg(&data).output().unwrap();
    assert!(check.status.success(), "{check:?}");
}

/// Reads what is new, repeats what had no answer and some of what had one, and reads again.
pub async fn verify(server: &Server, ledger: &mut Ledger, kill: u64) {
    let mut client = load::connect(server.grpc).await.unwrap();
    load::read_on(&mut client, ledger).await;
    let before = ledger.findings();
    assert_eq!(before, Findings::default(), "after kill {kill}: {before}");
    let repeats = ledger.to_repeat(REPEATS);
    for attempt in &repeats {
        repeat(&mut client, attempt, ledger).await;
    }
    load::read_on(&mut client, ledger).await;
    let after = ledger.findings();
    assert_eq!(after, Findings::default(), "after the repeats that followed kill {kill}: {after}");
}

async fn repeat(client: &mut Client, attempt: &Attempt, ledger: &mut Ledger) {
    let answer = load::send(client, attempt).await.unwrap();
    if let Outcome::Acknowledged(first) = attempt.outcome {
        assert_eq!(answer, first, "a repeat has the first answer: {attempt:?}");
    }
    let outcome = Outcome::Acknowledged(answer);
    ledger.record(vec![Attempt { outcome, ..attempt.clone() }]);
}

/// A crash during recovery is a crash too.
pub fn kill_while_starting(data: &Path, meanwhile: impl FnOnce()) {
    let mut command = Command::new(SEQLINE);
    command.arg("serve").arg("--data").arg(data);
    command.args(["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    meanwhile();
    child.kill().unwrap();
    child.wait().unwrap();
}
