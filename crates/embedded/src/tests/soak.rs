//! Reads while writing: tables are written, timelines leave memory and segments end all the time,
//! while senders send, followers follow and readers read what is old.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::storage::faulty::Random;

/// In the usual run; `SEQLINE_SOAK_SECONDS` sets another time.
const SECONDS: u64 = 3;
const SENDERS: u64 = 3;
const FOLLOWERS: u64 = 3;
const MEMBERS: u64 = 60;
/// The newest entries that a trim leaves, so that followers are not overtaken.
const KEPT: u64 = 20_000;

struct Soak<'a> {
    bench: &'a Bench,
    store: &'a EmbeddedStore,
    over: AtomicBool,
    /// How many messages each sender has in its own group.
    sent: Vec<AtomicU64>,
}

fn sender_body(sender: u64, n: u64) -> String {
    format!("{{\"s\":{sender},\"n\":{n},\"x\":\"{}\"}}", "x".repeat((n % 50) as usize * 20))
}

impl Soak<'_> {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Sends to a group of its own, in turn to everybody and to some, and repeats itself.
    fn send(&self, sender: u64) {
        let name = format!("g{sender}");
        let all: Vec<String> = (0..MEMBERS).map(|n| format!("m{n}")).collect();
        let mut n = 0;
        while !self.is_over() {
            let some = (n % MEMBERS) as usize;
            let to: Vec<&str> = match n % 4 {
                0 => all.iter().map(String::as_str).collect(),
                _ => vec!["m0", "m1", &all[some]],
            };
            n += 1;
            let mut send = to_group(&name, &to, &sender_body(sender, n));
            if n % 3 == 0 {
                send = with_key(send, &format!("{n}"));
            }
            let receipt = self.bench.send(self.store, send.clone()).unwrap();
            assert_eq!((receipt.conversation_seq.get(), receipt.repeat), (n, false));
            self.sent[sender as usize].store(n, Ordering::Release);
            if n % 9 == 0 {
                let again = self.bench.send(self.store, send).unwrap();
                assert_eq!(again, Receipt { repeat: true, ..receipt });
            }
        }
    }

    /// Follows an inbox that everybody sends to: every number once, every sender in order.
    fn follow(&self, member: u64) {
        let timeline = inbox(&format!("m{member}"));
        let mut after = Seq::ZERO;
        let mut newest = vec![Seq::ZERO; SENDERS as usize];
        loop {
            let over = self.is_over();
            let watch = self.store.watch(&timeline);
            let read = Read { after, entries_max: 300, ..everything(timeline.clone()) };
            let page = self.bench.runtime.block_on(self.store.read(read)).unwrap();
            for entry in &page.entries {
                assert_eq!(entry.seq, after.next(), "{timeline}: no hole and nothing twice");
                after = entry.seq;
                let TimelineId::Conversation(id) =
                    TimelineId::from(entry.message.conversation.clone())
                else {
                    unreachable!()
                };
                let sender = (0..SENDERS).find(|s| group(&format!("g{s}")) == id.clone().into());
                let before = &mut newest[sender.unwrap() as usize];
                assert!(entry.message.seq > *before, "{timeline}: out of order at {after}");
                *before = entry.message.seq;
                let body = sender_body(sender.unwrap(), entry.message.seq.get());
                assert_eq!(entry.message.body.as_str(), body);
            }
            assert_eq!(page.bounds.latest.max(after), page.bounds.latest, "it only grows");
            if over && !page.more {
                return;
            }
            if page.entries.is_empty() {
                let most = Duration::from_millis(50);
                drop(
                    self.bench
                        .runtime
                        .block_on(async { tokio::time::timeout(most, watch.grown()).await }),
                );
            }
        }
    }

    /// Reads anything that was acknowledged, old or new, and trims now and then.
    fn look_back(&self) {
        let mut random = Random::new(5);
        while !self.is_over() {
            let sender = random.below(SENDERS);
            let sent = self.sent[sender as usize].load(Ordering::Acquire);
            if sent == 0 {
                continue;
            }
            let timeline = group(&format!("g{sender}"));
            let after = Seq::new(random.below(sent));
            let read = Read { after, entries_max: 150, ..everything(timeline.clone()) };
            let page = self.bench.runtime.block_on(self.store.read(read)).unwrap();
            assert!(page.bounds.latest.get() >= sent, "what was acknowledged can be read");
            let mut expected = after.next().max(page.bounds.first);
            for entry in &page.entries {
                assert_eq!(entry.seq, expected);
                expected = expected.next();
                assert_eq!(entry.message.body.as_str(), sender_body(sender, entry.seq.get()));
            }
            if random.one_in(50) && sent > KEPT {
                let up_to = Seq::new(sent - KEPT);
                let bounds = self.bench.runtime.block_on(self.store.trim(timeline, up_to)).unwrap();
                assert!(bounds.first >= up_to.next());
            }
        }
    }
}

/// Ends the others, however this thread ends.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn readers_and_followers_see_the_same_as_everything_moves() {
    let seconds = std::env::var("SEQLINE_SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
    let mut bench = Bench::new();
    bench.tuning = Tuning { segment_bytes: 256 << 10, table_bytes_max: 12 << 10, ..tiny() };
    let store = bench.open();
    let soak = Soak {
        bench: &bench,
        store: &store,
        over: AtomicBool::new(false),
        sent: (0..SENDERS).map(|_| AtomicU64::new(0)).collect(),
    };
    let began = Instant::now();
    std::thread::scope(|scope| {
        (0..SENDERS).for_each(|n| {
            drop(scope.spawn({
                let soak = &soak;
                move || soak.send(n)
            }));
        });
        (0..FOLLOWERS).for_each(|n| {
            drop(scope.spawn({
                let soak = &soak;
                move || soak.follow(n)
            }));
        });
        scope.spawn(|| soak.look_back());
        scope.spawn(|| {
            let _ending = Ending(&soak.over);
            // The whole of it now and then, in the middle of everything.
            while began.elapsed() < Duration::from_secs(seconds.unwrap_or(SECONDS)) {
                assert_eq!(checked(&store).1, Vec::<String>::new());
            }
        });
    });
    assert_eq!(checked(&store).1, Vec::<String>::new());
    let sent: u64 = soak.sent.iter().map(|sent| sent.load(Ordering::Relaxed)).sum();
    assert!(sent > 50, "{sent}");
    eprintln!("{sent} sends in {:?}", began.elapsed());
    store.abandon();
    let store = bench.open();
    assert_eq!(checked(&store).1, Vec::<String>::new());
}
