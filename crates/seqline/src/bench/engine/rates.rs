//! Rows about sends: how many, beside the bare log; how late at a given pace; what they cost.

use std::time::Duration;

use seqline_core::store::Store;

use super::driver::{Outcome, Pace, Until, drive};
use super::place::{close, disk_bytes, open};
use super::report::Found;
use super::traffic::{GROUPS, Shape, Traffic};
use super::{Engine, bare};
use crate::bench::null::NullStore;
use crate::commands::terminal::Problem;
use crate::machine::processor_time;

/// How long the driver's own cost is measured.
const OWN_TIME: Duration = Duration::from_millis(200);
/// A program that hardly used the processor for so long is done.
const IDLE_TIME: Duration = Duration::from_millis(500);
/// Members of the groups of all rows that do not say otherwise.
pub const GROUP_MEMBERS: usize = 50;

/// Members of a large group, and how many messages a second it gets.
const LARGE_MEMBERS: usize = 100_000;
const LARGE_PER_SECOND: u64 = 10;

/// The groups of those rows.
pub fn fifties() -> Shape {
    Shape::Groups { count: GROUPS, size: GROUP_MEMBERS }
}

/// Sends from `traffic` to `store`.
pub fn send(store: &dyn Store, traffic: &mut Traffic, pace: Pace, until: Until) -> Outcome {
    drive(pace, until, || store.append(traffic.outgoing()), |_| ())
}

/// The same, and waits until the work that it leaves behind is done, whose processor time counts.
fn send_settled(store: &dyn Store, traffic: &mut Traffic, pace: Pace, until: Until) -> Outcome {
    let mut outcome = send(store, traffic, pace, until);
    outcome.used += settle();
    outcome
}

/// Waits until this program does nothing; the processor time it used meanwhile.
fn settle() -> Duration {
    let start = processor_time();
    let mut last = start;
    loop {
        std::thread::sleep(IDLE_TIME);
        let now = processor_time();
        if now.saturating_sub(last) < IDLE_TIME / 50 {
            return now.saturating_sub(start);
        }
        last = now;
    }
}

/// The processor time of this program for each delivery.
fn cost_nanos(outcome: &Outcome, traffic: &Traffic) -> f64 {
    let deliveries = outcome.done * traffic.deliveries_per_send();
    outcome.used.as_secs_f64() * 1e9 / deliveries as f64
}

impl Engine<'_> {
    /// As many sends as there can be, beside the bare log.
    pub fn rate(&self, row: &str, shape: Shape) -> Result<Found, Problem> {
        let fresh = || self.traffic(shape);
        let bare = bare::run(self.place.dir(), &mut fresh()?, self.warm_up(), self.settings.time)?;
        let mut traffic = fresh()?;
        let own = self.own_cost(&mut fresh()?)?;
        let dir = self.place.store_dir(row);
        let store = open(&dir)?;
        let until = Until::Time(self.warm_up(), self.settings.time);
        let found = send(&*store, &mut traffic, self.closed(), until);
        close(store, &self.runtime)?;
        std::fs::remove_dir_all(&dir)?;
        let each = traffic.deliveries_per_send();
        let rate = |outcome: &Outcome| outcome.done as f64 / outcome.time.as_secs_f64();
        Ok(Found::new(row)
            .number("sends_per_second", rate(&found))
            .number("deliveries_per_second", rate(&found) * each as f64)
            .number("bare_sends_per_second", rate(&bare))
            .number("bare_deliveries_per_second", rate(&bare) * each as f64)
            .number("bare_p50_us_per_sync", bare.latencies.quantile(0.5).as_secs_f64() * 1e6)
            .number("bare_p99_us_per_sync", bare.latencies.quantile(0.99).as_secs_f64() * 1e6)
            .number("ratio_to_bare", rate(&found) / rate(&bare))
            .latencies(&found)
            .number("cpu_ns_per_delivery", cost_nanos(&found, &traffic))
            .number("bare_cpu_ns_per_delivery", cost_nanos(&bare, &traffic))
            .number("driver_cpu_ns_per_delivery", cost_nanos(&own, &traffic)))
    }

    /// What callers and messages cost when the store costs nothing.
    fn own_cost(&self, traffic: &mut Traffic) -> Result<Outcome, Problem> {
        let nothing = NullStore::new().map_err(|error| Problem::Failed(error.to_string()))?;
        let until = Until::Time(OWN_TIME / 4, OWN_TIME);
        Ok(send(&nothing, traffic, self.closed(), until))
    }

    /// So many deliveries a second in groups of 50, counted from when each was due.
    pub fn paced(&self, row: &str, deliveries: u64) -> Result<Found, Problem> {
        let mut traffic = self.traffic(fifties())?;
        let dir = self.place.store_dir(row);
        let store = open(&dir)?;
        let pace = Pace::Open(deliveries / traffic.deliveries_per_send());
        let until = Until::Time(self.warm_up(), self.settings.time);
        let found = send(&*store, &mut traffic, pace, until);
        close(store, &self.runtime)?;
        std::fs::remove_dir_all(&dir)?;
        let reached = found.done * traffic.deliveries_per_send();
        Ok(Found::new(row)
            .count("wanted_deliveries_per_second", deliveries)
            .number("deliveries_per_second", reached as f64 / found.time.as_secs_f64())
            .latencies(&found)
            .number("cpu_ns_per_delivery", cost_nanos(&found, &traffic)))
    }

    /// Direct sends as fast as they go, beside large groups' sends at a pace.
    pub fn large(&self, row: &str) -> Result<Found, Problem> {
        let size = LARGE_MEMBERS.min(self.settings.members);
        let (mut direct, mut large) =
            (self.traffic(Shape::Pairs)?, self.traffic(Shape::Groups { count: 1, size })?);
        let dir = self.place.store_dir(row);
        let store = open(&dir)?;
        let until = Until::Time(self.warm_up(), self.settings.time);
        let inside = self.runtime.handle();
        let (direct, large) = std::thread::scope(|scope| {
            let beside = scope.spawn(|| {
                let _inside = inside.enter();
                send(&*store, &mut large, Pace::Open(LARGE_PER_SECOND), until)
            });
            let direct = send(&*store, &mut direct, self.closed(), until);
            (direct, beside.join().expect("a sender does not panic"))
        });
        close(store, &self.runtime)?;
        std::fs::remove_dir_all(&dir)?;
        let rate = |outcome: &Outcome| outcome.done as f64 / outcome.time.as_secs_f64();
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        Ok(Found::new(row)
            .count("large_members", size as u64)
            .number("large_sends_per_second", rate(&large))
            .number("large_p50_ms", millis(large.latencies.quantile(0.5)))
            .number("large_p99_ms", millis(large.latencies.quantile(0.99)))
            .count("large_errors", large.errors)
            .number("direct_sends_per_second", rate(&direct))
            .latencies(&direct))
    }

    /// What a delivery costs with few and with many entries stored. Processor time counts until
    /// the work behind the log is done too, which sends of either kind leave behind.
    pub fn cost(&self, row: &str) -> Result<Found, Problem> {
        let mut traffic = self.traffic(fifties())?;
        let dir = self.place.store_dir(row);
        let store = open(&dir)?;
        let until = Until::Time(self.warm_up(), self.settings.time);
        let few = send_settled(&*store, &mut traffic, self.closed(), until);
        let filled = self.fill(&*store, &mut traffic, self.settings.fill)?;
        settle();
        let many = send_settled(&*store, &mut traffic, self.closed(), until);
        close(store, &self.runtime)?;
        std::fs::remove_dir_all(&dir)?;
        let rate = |outcome: &Outcome| {
            let deliveries = outcome.done * traffic.deliveries_per_send();
            deliveries as f64 / outcome.time.as_secs_f64()
        };
        Ok(Found::new(row)
            .number("few_cpu_ns_per_delivery", cost_nanos(&few, &traffic))
            .number("few_deliveries_per_second", rate(&few))
            .count("filled_entries", filled)
            .number("many_cpu_ns_per_delivery", cost_nanos(&many, &traffic))
            .number("many_deliveries_per_second", rate(&many))
            .count("errors", few.errors + many.errors))
    }

    /// Bytes on disk for each delivery in groups of 50.
    pub fn disk(&self, row: &str) -> Result<Found, Problem> {
        let mut traffic = self.traffic(fifties())?;
        let dir = self.place.store_dir(row);
        let store = open(&dir)?;
        let filled = self.fill(&*store, &mut traffic, self.settings.fill)?;
        let said = store.status().stored_bytes;
        close(store, &self.runtime)?;
        let used = disk_bytes(&dir)?;
        // Again, since it may have changed what it keeps when it closed.
        let store = open(&dir)?;
        let said_after = store.status().stored_bytes;
        close(store, &self.runtime)?;
        std::fs::remove_dir_all(&dir)?;
        let each = |bytes: u64| bytes as f64 / filled as f64;
        Ok(Found::new(row)
            .count("deliveries", filled)
            .count("disk_bytes_after_close", used)
            .number("disk_bytes_per_delivery", each(used))
            .number("stored_bytes_per_delivery", each(said))
            .number("stored_bytes_per_delivery_reopened", each(said_after)))
    }

    /// Puts at least so many entries into inboxes; how many it were.
    pub fn fill(
        &self,
        store: &dyn Store,
        traffic: &mut Traffic,
        entries: u64,
    ) -> Result<u64, Problem> {
        let sends = entries.div_ceil(traffic.deliveries_per_send());
        let filled = send(store, traffic, Pace::Closed(FILL_CALLERS), Until::Calls(sends));
        if let Some(error) = filled.first_error {
            return Err(Problem::Failed(format!("filling failed: {error}")));
        }
        Ok(sends * traffic.deliveries_per_send())
    }
}

/// Callers that fill, when only the result matters.
const FILL_CALLERS: usize = 512;
