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
    /// How long requests were counted.
    pub seconds: f64,
    /// How many members there were.
    pub members: usize,
    /// How many groups there were, each with the same members for the whole run.
    pub groups: Option<usize>,
    /// How many members got each message.
    pub group_size: Option<usize>,
    /// Length of a message.
    pub payload_bytes: usize,
    /// Most entries of a page.
    pub page_entries: Option<i32>,
    /// What the server did.
    #[serde(flatten)]
    pub found: Found,
    /// What a server did that keeps nothing, if it was asked for.
    pub limit: Option<Found>,
    /// `requests_per_second` as a share of the limit's.
    pub share_of_limit: Option<f64>,
}

/// What one server did.
#[derive(Debug, Serialize)]
pub struct Found {
    /// Requests that succeeded while it counted.
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
    /// Requests that failed while it counted.
    pub errors: u64,
    /// Why, the first one.
    pub first_error: Option<String>,
    /// Requests that succeeded, those before and after the counting too.
    pub succeeded_ever: u64,
    /// Requests that failed, those before and after the counting too.
    pub failed_ever: u64,
    /// Processor time of the server for each request, if it is on this machine.
    pub server_cpu_us_per_request: Option<f64>,
    /// Cores the server kept busy, if it is on this machine.
    pub server_cores: Option<f64>,
    /// Memory of the server at the end, if it is on this machine.
    pub server_memory_bytes: Option<u64>,
    /// Most memory the server ever had, if it is on this machine.
    pub server_memory_peak_bytes: Option<u64>,
    /// Processor time of this program for each request.
    pub client_cpu_us_per_request: f64,
    /// Cores this program kept busy.
    pub client_cores: f64,
}

impl Found {
    /// What `seen` says.
    pub fn new(settings: &Settings, seen: &Seen) -> Found {
        let requests = seen.latencies.count();
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let each = |time: Duration| time.as_secs_f64() * 1e6 / requests as f64;
        let cores = |time: Duration| time.as_secs_f64() / settings.time.as_secs_f64();
        Found {
            requests,
            requests_per_second: per_second(requests, settings.time),
            entries_per_second: per_second(seen.entries_of(settings), settings.time),
            p50_us: micros(seen.latencies.quantile(0.5)),
            p99_us: micros(seen.latencies.quantile(0.99)),
            max_us: micros(seen.latencies.max()),
            errors: seen.errors,
            first_error: seen.first_error.clone(),
            succeeded_ever: seen.succeeded_ever,
            failed_ever: seen.failed_ever,
            server_cpu_us_per_request: seen.server_time.map(each),
            server_cores: seen.server_time.map(cores),
            server_memory_bytes: seen.server_memory_bytes.map(|(now, _)| now),
            server_memory_peak_bytes: seen.server_memory_bytes.map(|(_, peak)| peak),
            client_cpu_us_per_request: each(seen.client_time),
            client_cores: cores(seen.client_time),
        }
    }
}

impl Report {
    /// What was found, and the limit.
    pub fn new(settings: &Settings, found: Found, limit: Option<Found>) -> Report {
        let only = |mode| settings.mode == mode;
        let share = |limit: &Found| found.requests as f64 / limit.requests as f64;
        Report {
            version: env!("CARGO_PKG_VERSION"),
            mode: settings.mode,
            protocol: settings.endpoint.protocol.name(),
            machine: Machine::this(),
            workers: settings.workers,
            connections: settings.connections,
            seconds: settings.time.as_secs_f64(),
            members: settings.members,
            groups: only(Mode::Group).then(|| settings.groups()),
            group_size: only(Mode::Group).then_some(settings.group_size),
            payload_bytes: settings.payload_bytes,
            page_entries: only(Mode::Sync).then_some(settings.page_entries),
            share_of_limit: limit.as_ref().map(share),
            found,
            limit,
        }
    }

    fn title(&self) -> String {
        let what = match (self.group_size, self.groups, self.page_entries) {
            (Some(size), Some(groups), _) => {
                format!("{} fixed groups of {size}", grouped(groups as u64))
            }
            (_, _, Some(entries)) => format!("pages of {entries}"),
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

    /// Names of the rows, the server's values, the limit's.
    fn rows(&self) -> Vec<(&'static str, String, String)> {
        let (requests, entries) = match self.mode {
            Mode::Direct | Mode::Group => ("sends/s", "deliveries/s"),
            Mode::Sync => ("pages/s", "entries/s"),
        };
        let mut rows = Vec::new();
        let mut row = |name, value: &dyn Fn(&Found) -> String| {
            rows.push((
                name,
                value(&self.found),
                self.limit.as_ref().map_or_else(String::new, value),
            ));
        };
        let millis = |micros: u64| format!("{:.3} ms", micros as f64 / 1e3);
        let some = |value: Option<String>| value.unwrap_or_else(|| "not known".to_owned());
        row(requests, &|found| grouped(found.requests_per_second));
        row(entries, &|found| grouped(found.entries_per_second));
        row("p50", &|found| millis(found.p50_us));
        row("p99", &|found| millis(found.p99_us));
        row("max", &|found| millis(found.max_us));
        row("errors", &|found| grouped(found.errors));
        row("server CPU", &|found| {
            some(found.server_cpu_us_per_request.map(|micros| format!("{micros:.1} µs each")))
        });
        row("server cores", &|found| some(found.server_cores.map(|cores| format!("{cores:.2}"))));
        row("server memory", &|found| {
            let mib = |bytes| format!("{} MiB", grouped(bytes / (1024 * 1024)));
            some(found.server_memory_peak_bytes.map(mib))
        });
        row("client CPU", &|found| format!("{:.1} µs each", found.client_cpu_us_per_request));
        row("client cores", &|found| format!("{:.2}", found.client_cores));
        rows
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = &self.machine;
        writeln!(f, "{}", self.title())?;
        writeln!(
            f,
            "seqline {} on {} cores, {}, Linux {}",
            self.version, machine.cores, machine.processor, machine.kernel
        )?;
        if self.mode != Mode::Sync {
            writeln!(f, "durable as the server is set: by default on the disk before the reply")?;
        }
        writeln!(f)?;
        if self.limit.is_some() {
            writeln!(f, "{:<14}{:>16}{:>18}", "", "server", "keeping nothing")?;
        }
        for (name, found, limit) in self.rows() {
            writeln!(f, "{}", format!("{name:<14}{found:>16}{limit:>18}").trim_end())?;
        }
        if let Some(share) = self.share_of_limit {
            let text = "of the rate with a store that costs nothing";
            writeln!(f, "\n{:.1} % {text}", share * 100.0)?;
        }
        match &self.found.first_error {
            Some(error) => writeln!(f, "\nfirst error: {error}"),
            None => Ok(()),
        }
    }
}
