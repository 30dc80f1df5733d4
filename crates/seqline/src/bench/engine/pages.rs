//! Rows about reading: pages of inboxes from memory and from the disk.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use seqline_core::error::Error;
use seqline_core::id::TimelineId;
use seqline_core::page::{Direction, Page, Read};
use seqline_core::seq::Seq;
use seqline_core::store::Store;

use super::Engine;
use super::driver::{Outcome, Pace, Until, drive};
use super::place::{close, drop_caches, files, open};
use super::rates::GROUP_MEMBERS;
use super::report::Found;
use super::traffic::{GROUPS, Shape, Traffic};
use crate::commands::terminal::Problem;
use crate::replay::synthetic::Random;

/// Entries of a page.
const PAGE_ENTRIES: u64 = 100;
/// Inboxes that are read.
const INBOXES: usize = 10_000;
/// Readers at a time, when it is about how many pages there can be.
const READERS: usize = 16;
/// Most bytes of messages in a page; never reached.
const PAGE_BYTES: usize = 16 * 1024 * 1024;

impl Engine<'_> {
    /// Pages of the newest 100 entries of members who were just written to, then of all after
    /// the store was opened again and the system's cache was emptied.
    pub fn pages(&self, row: &str) -> Result<Found, Problem> {
        // So few groups that each member has a page.
        let wanted = self.settings.fill / (GROUP_MEMBERS as u64 * PAGE_ENTRIES);
        let count = (wanted as usize).clamp(1, GROUPS);
        let mut traffic = self.traffic(Shape::Groups { count, size: GROUP_MEMBERS })?;
        let dir = self.place.store_dir(row);
        let store = open(&dir)?;
        let least = count as u64 * GROUP_MEMBERS as u64 * PAGE_ENTRIES;
        let filled = self.fill(&*store, &mut traffic, self.settings.fill.max(least))?;
        let reads = self.reads(&*store, &traffic)?;
        let until = Until::Time(self.warm_up(), self.settings.time);
        let mut short = 0;
        let one = read(&*store, &reads, Pace::Closed(1), until, &mut short);
        let many = read(&*store, &reads, Pace::Closed(READERS), until, &mut short);
        close(store, &self.runtime)?;

        let reopened = Instant::now();
        let store = open(&dir)?;
        let reopened = reopened.elapsed();
        let cold = self.cold(&*store, &dir, &reads, &mut short)?;
        close(store, &self.runtime)?;
        std::fs::remove_dir_all(&dir)?;
        if short > 0 {
            return Err(Problem::Failed(format!("{short} pages had not the entries asked for")));
        }
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        Ok(Found::new(row)
            .count("filled_entries", filled)
            .count("inboxes", reads.len() as u64)
            .number("pages_per_second_16_readers", many.done as f64 / many.time.as_secs_f64())
            .number("warm_p50_us", micros(one.latencies.quantile(0.5)))
            .number("warm_p99_us", micros(one.latencies.quantile(0.99)))
            .count("cold_pages", cold.done)
            .number("cold_p50_us", micros(cold.latencies.quantile(0.5)))
            .number("cold_p99_us", micros(cold.latencies.quantile(0.99)))
            .number("cpu_us_per_page", micros(many.used) / many.done as f64)
            .number("open_after_close_ms", micros(reopened) / 1e3)
            .count("errors", one.errors + many.errors + cold.errors))
    }

    /// The newest page of random members of groups.
    fn reads(&self, store: &dyn Store, traffic: &Traffic) -> Result<Vec<Read>, Problem> {
        let mut members = traffic.grouped();
        members.sort_unstable();
        members.dedup();
        let mut random = Random::new(3);
        for place in (1..members.len()).rev() {
            members.swap(place, random.below(place as u64 + 1) as usize);
        }
        members.truncate(INBOXES);
        let inboxes: Vec<TimelineId> =
            members.into_iter().map(|member| TimelineId::Inbox(traffic.member(member))).collect();
        let bounds = self.runtime.block_on(store.bounds(inboxes.clone()));
        let bounds = bounds.map_err(|error| Problem::Failed(error.to_string()))?;
        let newest = |(timeline, latest): (TimelineId, u64)| Read {
            timeline,
            after: Seq::new(latest.saturating_sub(PAGE_ENTRIES)),
            until: Seq::MAX,
            direction: Direction::Forward,
            entries_max: PAGE_ENTRIES as usize,
            bytes_max: PAGE_BYTES,
        };
        Ok(inboxes.into_iter().zip(bounds.iter().map(|b| b.latest.get())).map(newest).collect())
    }

    /// Each inbox once, as long as there is time; the cache is emptied before each.
    fn cold(
        &self,
        store: &dyn Store,
        dir: &Path,
        reads: &[Read],
        short: &mut u64,
    ) -> Result<Outcome, Problem> {
        let mut open = Vec::new();
        for file in files(dir)? {
            let file = File::open(file)?;
            // What is not written yet cannot be dropped.
            file.sync_all()?;
            open.push(file);
        }
        let mut cold = Outcome::default();
        let end = Instant::now() + self.settings.time;
        for read in reads {
            drop_caches(&open)?;
            let begun = Instant::now();
            if begun >= end {
                break;
            }
            let page = self.runtime.block_on(store.read(read.clone()));
            match page {
                Ok(page) => {
                    cold.latencies.add(begun.elapsed());
                    cold.done += 1;
                    *short += u64::from(!is_whole(&page, read));
                }
                Err(error) => cold.failed(&error),
            }
        }
        Ok(cold)
    }
}

impl Outcome {
    fn failed(&mut self, error: &Error) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| error.to_string());
    }
}

fn read(store: &dyn Store, reads: &[Read], pace: Pace, until: Until, short: &mut u64) -> Outcome {
    let mut reads = reads.iter().cycle();
    let call = || match reads.next() {
        Some(read) => store.read(read.clone()),
        None => Box::pin(std::future::ready(Err(Error::invalid("members", "there are none")))),
    };
    let done = |page: Page| *short += u64::from(page.entries.len() as u64 != PAGE_ENTRIES);
    drive(pace, until, call, done)
}

/// Whether a page has the numbers asked for.
fn is_whole(page: &Page, read: &Read) -> bool {
    let numbers = page.entries.iter().map(|entry| entry.seq.get());
    let first = read.after.get() + 1;
    numbers.eq(first..first + PAGE_ENTRIES)
}
