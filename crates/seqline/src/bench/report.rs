//! What a measurement found, for people and for programs.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::load::{Mode, Settings};
use super::run::Seen;
use crate::machine::{Machine, grouped, per_second};

/// The result, with all that is needed to compare it with another.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Version of the program.
    pub version: &'static str,
    /// What was measured.
    pub mode: Mode,
    /// "grpc" or "http".
    pub protocol: &'static str,
    /// What it ran on.
    pub machine: Machine,
    /// Requests at a time.
    pub workers: usize,
    /// Connections they shared.
    pub connections: usize,
    /// Threads of this program.
    pub threads: usize,
    /// How long requests were counted.
    pub seconds: f64,
    /// How many members there were.
    pub members: usize,
    /// How many of them got each message.
    pub group_size: Option<usize>,
    /// Length of a message.
    pub payload_bytes: usize,
    /// Most entries of a page.
    pub page_entries: Option<i32>,
    /// Requests that succeeded.
    pub requests: u64,
    /// `requests` in a second: sends, or pages.
    pub requests_per_second: u64,
    /// Inbox entries made, or read, in a second.
    pub entries_per_second: u64,
    /// Half of the requests took at most so long.
    pub p50_us: u64,
    /// 99 of 100 requests took at most so long.
    pub p99_us: u64,
    /// The slowest one.
    pub max_us: u64,
    /// Requests that failed.
    pub errors: u64,
    /// Why, the first one.
    pub first_error: Option<String>,
    /// Processor time of this program for each request.
    pub client_cpu_us_per_request: f64,
    /// Cores this program kept busy.
    pub client_cores: f64,
}

impl Report {
    /// What `seen` says; `used` is this program's processor time meanwhile.
    pub fn new(settings: &Settings, seen: &Seen, used: Duration) -> Report {
        let is = |mode| settings.mode == mode;
        let requests = seen.latencies.count();
        let entries = match settings.mode {
            Mode::Direct => requests * 2,
            Mode::Group => requests * settings.group_size as u64,
            Mode::Sync => seen.entries,
        };
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Report {
            version: env!("CARGO_PKG_VERSION"),
            mode: settings.mode,
            protocol: settings.endpoint.protocol.name(),
            machine: Machine::this(),
            workers: settings.pool.workers,
            connections: settings.pool.connections,
            threads: settings.pool.threads,
            seconds: settings.time.as_secs_f64(),
            members: settings.members,
            group_size: is(Mode::Group).then_some(settings.group_size),
            payload_bytes: settings.payload_bytes,
            page_entries: is(Mode::Sync).then_some(settings.page_entries),
            requests,
            requests_per_second: per_second(requests, settings.time),
            entries_per_second: per_second(entries, settings.time),
            p50_us: micros(seen.latencies.quantile(0.5)),
            p99_us: micros(seen.latencies.quantile(0.99)),
            max_us: micros(seen.latencies.max()),
            errors: seen.errors,
            first_error: seen.first_error.clone(),
            client_cpu_us_per_request: used.as_secs_f64() * 1e6 / requests as f64,
            client_cores: used.as_secs_f64() / settings.time.as_secs_f64(),
        }
    }

    fn title(&self) -> String {
        let what = match (self.group_size, self.page_entries) {
            (Some(size), _) => format!("groups of {size}"),
            (_, Some(entries)) => format!("pages of {entries}"),
            _ => "direct".to_owned(),
        };
        format!(
            "{what} over {}: {} workers on {} connections, {} members, {} bytes, {:.0} s",
            self.protocol,
            self.workers,
            self.connections,
            grouped(self.members as u64),
            self.payload_bytes,
            self.seconds
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (requests, entries) = match self.mode {
            Mode::Direct | Mode::Group => ("sends/s", "deliveries/s"),
            Mode::Sync => ("pages/s", "entries/s"),
        };
        let machine = &self.machine;
        writeln!(f, "{}", self.title())?;
        writeln!(
            f,
            "seqline {} on {} cores, {}, Linux {}\n",
            self.version, machine.cores, machine.processor, machine.kernel
        )?;
        let millis = |micros: u64| format!("{:.3} ms", micros as f64 / 1e3);
        let mut row = |name: &str, value: String| writeln!(f, "{name:<14}{value:>14}");
        row(requests, grouped(self.requests_per_second))?;
        row(entries, grouped(self.entries_per_second))?;
        row("p50", millis(self.p50_us))?;
        row("p99", millis(self.p99_us))?;
        row("max", millis(self.max_us))?;
        row("errors", grouped(self.errors))?;
        row("client CPU", format!("{:.1} µs each", self.client_cpu_us_per_request))?;
        row("client cores", format!("{:.2}", self.client_cores))?;
        match &self.first_error {
            Some(error) => writeln!(f, "\nfirst error: {error}"),
            None => Ok(()),
        }
    }
}
