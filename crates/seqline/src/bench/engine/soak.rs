//! A long run: sends as fast as they go while readers follow inboxes and look for a gap.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use seqline_core::id::TimelineId;
use seqline_core::page::{Direction, Read};
use seqline_core::seq::Seq;
use seqline_core::store::Store;

use super::Engine;
use super::driver::{Until, drive};
use super::place::{close, open};
use super::rates::fifties;
use super::report::Found;
use crate::bench::process::Process;
use crate::commands::terminal::{Problem, note};
use crate::machine::grouped;

/// How often it says how it does.
const SAY_INTERVAL: Duration = Duration::from_secs(10);
/// How often it looks whether the end has come.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
const READERS: usize = 2;
/// Inboxes each reader follows.
const FOLLOWED: usize = 50;
const PAGE_ENTRIES: usize = 500;
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// What sender and readers count.
#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    read: AtomicU64,
    /// What was wrong, the first thing.
    wrong: Mutex<Option<String>>,
    is_over: AtomicBool,
}

impl Counts {
    fn note_wrong(&self, text: String) {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(text);
    }
}

impl Engine<'_> {
    /// Groups of 50 for the whole time.
    pub fn soak(&self, row: &str) -> Result<Found, Problem> {
        let mut traffic = self.traffic(fifties())?;
        let dir = self.place.store_dir(row);
        let store = open(&dir)?;
        let members = traffic.grouped();
        let counts = Counts::default();
        let each = traffic.deliveries_per_send();
        let outcome = thread::scope(|scope| {
            for followed in members.chunks(FOLLOWED).take(READERS) {
                let inboxes: Vec<TimelineId> = followed
                    .iter()
                    .map(|member| TimelineId::Inbox(traffic.member(*member)))
                    .collect();
                let (store, counts) = (&*store, &counts);
                scope.spawn(move || self.follow(store, &inboxes, counts));
            }
            scope.spawn(|| say(&*store, &counts, each));
            let call = || store.append(traffic.outgoing());
            let done = |_| {
                counts.sent.fetch_add(1, Ordering::Relaxed);
            };
            let until = Until::Time(Duration::ZERO, self.settings.time);
            let outcome = drive(self.closed(), until, call, done);
            counts.is_over.store(true, Ordering::Relaxed);
            outcome
        });
        let wrong = counts.wrong.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(wrong) = wrong {
            return Err(Problem::Failed(wrong));
        }
        let stored = store.status().stored_bytes;
        close(store, &self.runtime)?;
        std::fs::remove_dir_all(&dir)?;
        let deliveries = outcome.done * each;
        Ok(Found::new(row)
            .number("deliveries_per_second", deliveries as f64 / outcome.time.as_secs_f64())
            .count("deliveries", deliveries)
            .count("entries_followed", counts.read.into_inner())
            .count("stored_bytes", stored)
            .latencies(&outcome))
    }

    /// Follows inboxes until the end, each from its beginning.
    fn follow(&self, store: &dyn Store, inboxes: &[TimelineId], counts: &Counts) {
        let mut cursors = vec![Seq::ZERO; inboxes.len()];
        while !counts.is_over.load(Ordering::Relaxed) {
            let mut any = false;
            for (timeline, cursor) in inboxes.iter().zip(&mut cursors) {
                let read = Read {
                    timeline: timeline.clone(),
                    after: *cursor,
                    until: Seq::MAX,
                    direction: Direction::Forward,
                    entries_max: PAGE_ENTRIES,
                    bytes_max: PAGE_BYTES,
                };
                let page = match self.runtime.block_on(store.read(read)) {
                    Ok(page) => page,
                    Err(error) => return counts.note_wrong(format!("{timeline}: {error}")),
                };
                for entry in &page.entries {
                    if entry.seq != cursor.next() {
                        let found = format!("{timeline}: {} follows {cursor}", entry.seq);
                        return counts.note_wrong(found);
                    }
                    *cursor = entry.seq;
                }
                any |= !page.entries.is_empty();
                counts.read.fetch_add(page.entries.len() as u64, Ordering::Relaxed);
            }
            if !any {
                thread::sleep(Duration::from_millis(2));
            }
        }
    }
}

/// Says how it does, for people who watch.
fn say(store: &dyn Store, counts: &Counts, each: u64) {
    let begun = Instant::now();
    let (mut last, mut before) = (begun, (0, 0));
    while !counts.is_over.load(Ordering::Relaxed) {
        thread::sleep(LOOK_INTERVAL);
        let now = Instant::now();
        if let Some(reason) = store.status().refuses_sends {
            counts.note_wrong(format!("sends are refused: {reason}"));
        }
        if now - last < SAY_INTERVAL {
            continue;
        }
        let counted = (counts.sent.load(Ordering::Relaxed), counts.read.load(Ordering::Relaxed));
        let rate = |count: u64| grouped((count as f64 / (now - last).as_secs_f64()) as u64);
        let memory = Process::this().memory_bytes().unwrap_or_default();
        let wrong = counts.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone();
        note(&format!(
            "{:>6} s  {:>12} deliveries/s  {:>10} entries read/s  {:>6} MiB (most {})  {}",
            (now - begun).as_secs(),
            rate((counted.0 - before.0) * each),
            rate(counted.1 - before.1),
            memory.0 >> 20,
            memory.1 >> 20,
            wrong.map_or_else(|| "no errors".to_owned(), |wrong| format!("WRONG: {wrong}"))
        ));
        (last, before) = (now, counted);
    }
}
