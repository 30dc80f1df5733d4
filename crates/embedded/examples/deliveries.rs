//! Measures durable deliveries: `cargo run --release -p seqline-embedded --example deliveries`.
//!
//! Arguments: seconds (5), concurrent senders (64), members of a group (50), all members (100000).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use seqline_core::clock::{Clock, CountingEntropy, UnixMillis};
use seqline_core::fanout::{Members, Outgoing};
use seqline_core::id::{GroupId, MessageId};
use seqline_core::message::Body;
use seqline_core::store::Store as _;
use seqline_embedded::{EmbeddedStore, Options};

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixMillis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMillis(since.as_millis() as u64)
    }
}

#[allow(clippy::print_stdout, reason = "a program that prints what it measured")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let number = |at: usize, default: u64| {
        std::env::args().nth(at).and_then(|n| n.parse().ok()).unwrap_or(default)
    };
    let (seconds, senders, members, all) =
        (number(1, 5), number(2, 64), number(3, 50), number(4, 100_000));
    let dir = tempfile::TempDir::new_in(".")?;
    let options = Options { dir: dir.path().join("data"), ..Options::default() };
    let entropy = Arc::new(CountingEntropy::default());
    let store =
        Arc::new(EmbeddedStore::open(options.clone(), Arc::new(SystemClock), entropy.clone())?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    let sent = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let end = begun + Duration::from_secs(seconds);
    let mut latencies: Vec<u64> = runtime.block_on(async {
        let task = |sender: u64| {
            let (store, sent) = (Arc::clone(&store), Arc::clone(&sent));
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                let mut round = sender;
                while Instant::now() < end {
                    let begun = Instant::now();
                    store.append(send(round, members, all)).await.expect("a send is stored");
                    latencies.push(begun.elapsed().as_micros() as u64);
                    sent.fetch_add(1, Ordering::Relaxed);
                    round += senders;
                }
                latencies
            })
        };
        let tasks: Vec<_> = (0..senders).map(task).collect();
        let mut latencies = Vec::new();
        for task in tasks {
            latencies.extend(task.await.expect("a sender runs to its end"));
        }
        latencies
    });
    let seconds = begun.elapsed().as_secs_f64();
    let sends = sent.load(Ordering::Relaxed) as f64;
    latencies.sort_unstable();
    let at = |part: f64| latencies[((latencies.len() - 1) as f64 * part) as usize] as f64 / 1e3;
    println!(
        "{:.0} sends/s, {:.0} deliveries/s; p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
        sends / seconds,
        sends * members as f64 / seconds,
        at(0.5),
        at(0.99),
        at(1.0)
    );
    println!("{} MB on disk", store.status().stored_bytes / 1_000_000);
    runtime.block_on(store.close())?;
    drop(store);
    let begun = Instant::now();
    let store = EmbeddedStore::open(options, Arc::new(SystemClock), entropy)?;
    println!("opened again in {:.2} s, epoch {}", begun.elapsed().as_secs_f64(), store.epoch());
    Ok(())
}

/// A send of 200 bytes to some of all members, spread evenly and the same in every run.
fn send(round: u64, members: u64, all: u64) -> Outgoing {
    let start = round.wrapping_mul(0x9e37_79b9_7f4a_7c15) % all;
    let ids = (0..members).map(|n| format!("member-{}", (start + n * (all / members)) % all));
    let members = Members::new("members", ids, usize::MAX).expect("ids are valid");
    let group = GroupId::new("group", format!("group-{}", round % 1_000)).expect("an id");
    let body = format!("{{\"text\":\"{:0>188}\"}}", round);
    let body = Body::new(body, 1_000).expect("a body is a JSON object");
    Outgoing::group(MessageId(u128::from(round)), group, members, body, None)
}
