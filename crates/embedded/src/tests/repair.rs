//! Repairs: of an index, and of a log. What survives is compared message by message with what had
//! been stored; what is lost, with what stood in the damaged bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use seqline_core::clock::{Clock as _, CountingEntropy, Entropy};
use seqline_core::message::Message;
use seqline_core::page::Bounds;

use super::*;
use crate::index::IndexOptions;
use crate::repair::{RepairEvent, RepairSummary, Repaired, repair_on};
use crate::{format, log, record};

const MEMBERS: [&str; 6] = ["ann", "bob", "cyd", "dan", "eve", "fay"];
const GROUPS: [(&str, &[&str]); 2] = [("all", &MEMBERS), ("few", &["cyd", "eve", "ann"])];

/// A store with some segments, with keys, groups, directs and a trim.
struct Stored {
    bench: Bench,
    epoch: String,
    content: Content,
    /// Keys of sends, with the bodies they had.
    keyed: BTreeMap<String, Outgoing>,
}

type Content = BTreeMap<String, (Bounds, Vec<Message>)>;

impl Stored {
    fn new(sends: usize) -> Stored {
        Stored::tuned(sends, Tuning { segment_bytes: 64 << 10, flush_bytes: 16 << 10, ..tiny() })
    }

    fn tuned(sends: usize, tuning: Tuning) -> Stored {
        let mut bench = Bench::new();
        bench.tuning = tuning;
        let mut keyed = BTreeMap::new();
        let store = bench.open();
        for n in 0..sends {
            let mut send = nth(n);
            if n % 3 == 0 {
                let key = format!("key {n}");
                send = with_key(send, &key);
                keyed.insert(key, send.clone());
            }
            bench.clock.advance(1);
            bench.send(&store, send).unwrap();
        }
        let content = content(&bench, &store);
        let epoch = store.epoch().to_string();
        bench.runtime.block_on(store.close()).unwrap();
        drop(store);
        Stored { bench, epoch, content, keyed }
    }

    fn dir(&self) -> &Path {
        self.bench.dir()
    }

    fn segment(&self, number: u64) -> PathBuf {
        format::log_dir(self.dir()).join(format!("{number:016x}.seg"))
    }

    fn newest(&self) -> u64 {
        (1..).take_while(|n| self.segment(*n).exists()).last().unwrap()
    }

    fn repair(&self) -> (RepairSummary, Vec<RepairEvent>) {
        self.repair_until(&mut |_| Ok(())).unwrap()
    }

    fn repair_until(
        &self,
        step: crate::repair::Step<'_>,
    ) -> std::result::Result<(RepairSummary, Vec<RepairEvent>), OpenError> {
        let entropy: Arc<dyn Entropy> = Arc::new(CountingEntropy::default());
        let mut events = Vec::new();
        let Bench { options, tuning, clock, .. } = &self.bench;
        let report = &mut |event| events.push(event);
        let summary = repair_on(options, *tuning, (clock.now(), &entropy), report, step)?;
        Ok((summary, events))
    }

    /// Frames of sends whose bytes meet a range of a segment: each conversation with its seq.
    fn sends_in(&self, segment: u64, from: u64, to: u64) -> BTreeSet<(String, u64)> {
        let disk = Arc::new(RealDisk);
        let entropy: Arc<dyn Entropy> = Arc::new(CountingEntropy::default());
        let dir = format::log_dir(self.dir());
        let settings = crate::open::log_settings(dir, &entropy, disk, self.bench.tuning);
        let found = log::survey(&settings, log::Lsn::NONE, false).unwrap().segments;
        let mut sends = BTreeSet::new();
        let visit = &mut |scan: log::Scan<'_>| {
            let log::Scan::Frame(frame) = scan else { panic!("the log is sound") };
            let start = frame.lsn.raw() - found.base(segment).raw();
            let end = start + (log::FRAME_BYTES + frame.head.len() + frame.rest.len()) as u64;
            if frame.kind == record::SEND && start < to && from < end {
                let head = record::Head::decode(frame.head).unwrap();
                let conversation = TimelineId::from_key(head.conversation).unwrap().to_string();
                sends.insert((conversation, head.seq.get()));
            }
        };
        found.scan(segment, visit).unwrap();
        sends
    }

    /// Opens the repaired store and makes sure that exactly `lost` is gone, and nothing else.
    fn check_all_but(&self, lost: &BTreeSet<(String, u64)>, summary: &RepairSummary) {
        let store = self.bench.open();
        assert_ne!(store.epoch().to_string(), self.epoch);
        assert_eq!(Some(store.epoch()), summary.new_epoch);
        let gone = |m: &Message| {
            lost.contains(&(TimelineId::from(m.conversation.clone()).to_string(), m.seq.get()))
        };
        let now = content(&self.bench, &store);
        for (timeline, (_, messages)) in &self.content {
            let left: Vec<_> = messages.iter().filter(|m| !gone(m)).map(plain).collect();
            let (bounds, found) = &now[timeline];
            assert_eq!(found.iter().map(plain).collect::<Vec<_>>(), left, "{timeline}");
            assert_eq!(bounds.latest.get() - bounds.first.get() + 1, left.len() as u64);
        }
        self.check_keys(&store, &now);
        assert_eq!(checked(&store).1, Vec::<String>::new());
        // Sends go on, and the next start finds them too.
        let receipt = self.bench.send(&store, nth(1)).unwrap();
        let few = now.get(&group("few").to_string()).map_or(0, |(b, _)| b.latest.get());
        assert_eq!(receipt.conversation_seq.get(), few + 1);
        self.bench.runtime.block_on(store.close()).unwrap();
        drop(store);
        let store = self.bench.open();
        assert_eq!(checked(&store).1, Vec::<String>::new());
        assert_eq!(self.bench.all(&store, group("few")).unwrap().bounds.latest.get(), few + 1);
    }

    /// A key of a message that is there gives the receipt that fits its present numbers.
    fn check_keys(&self, store: &EmbeddedStore, now: &Content) {
        let mut repeats = 0;
        for send in self.keyed.values() {
            let conversation = TimelineId::from(send.conversation.clone()).to_string();
            let (_, messages) = &now[&conversation];
            let Some(message) = messages.iter().find(|m| m.body == send.body) else { continue };
            let receipt = self.bench.send(store, send.clone()).unwrap();
            assert!(receipt.repeat);
            assert_eq!(receipt.conversation_seq, message.seq);
            let last = send.recipients.get(send.recipients.len() - 1);
            let (bounds, inbox) = &now[&inbox(std::str::from_utf8(last).unwrap()).to_string()];
            // It may be trimmed there.
            if let Some(at) = inbox.iter().position(|m| m.body == send.body) {
                assert_eq!(receipt.receiver_seq.get(), bounds.first.get() + at as u64);
            }
            repeats += 1;
        }
        assert!(repeats > self.keyed.len() / 3);
    }
}

/// All of a message but its number.
fn plain(message: &Message) -> Message {
    Message { seq: Seq::ZERO, ..message.clone() }
}

fn nth(n: usize) -> Outgoing {
    let body = format!("{{\"n\": {n}, \"pad\": \"{}\"}}", "x".repeat(n % 7 * 40));
    let mut send = match n % 4 {
        0 => to_group(GROUPS[0].0, GROUPS[0].1, &body),
        1 => to_group(GROUPS[1].0, GROUPS[1].1, &body),
        2 => direct("ann", "bob", &body),
        _ => direct(MEMBERS[n % 5 + 1], MEMBERS[n % 3], &body),
    };
    send.id = MessageId(n as u128);
    send
}

fn timelines() -> Vec<TimelineId> {
    let inboxes = MEMBERS.iter().map(|id| inbox(id));
    let groups = GROUPS.iter().map(|(id, _)| group(id));
    let mut all: Vec<TimelineId> = inboxes.chain(groups).collect();
    for n in 0..120 {
        let conversation: TimelineId = nth(n).conversation.into();
        if !all.contains(&conversation) {
            all.push(conversation);
        }
    }
    all
}

fn content(bench: &Bench, store: &EmbeddedStore) -> Content {
    let one = |timeline: TimelineId| {
        let page = bench.all(store, timeline.clone()).unwrap();
        let messages = page.entries.into_iter().map(|entry| entry.message).collect();
        (timeline.to_string(), (page.bounds, messages))
    };
    timelines().into_iter().map(one).collect()
}

/// The messages that were told to be lost.
fn told(events: &[RepairEvent]) -> BTreeSet<(String, u64)> {
    let lost = events.iter().filter_map(|event| match event {
        RepairEvent::MessageLost { timeline, seq, .. } => Some((timeline.clone(), *seq)),
        _ => None,
    });
    lost.collect()
}

/// Every file of the directory with its bytes, but for the lock.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !path.ends_with("LOCK") {
            found.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    found
}

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(bytes, at).unwrap();
}

fn flip(path: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
}

mod indexes;
mod interrupted;
mod logs;
