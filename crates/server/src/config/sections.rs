//! Every setting: its name, its text, its default and what it may be. `data` and `registry` are in
//! the files of their names; nothing else lists settings.

use std::time::Duration;

use seqline_core::limits::{
    GROUP_MEMBERS_MAX, Limits as DomainLimits, MESSAGE_BYTES_MAX, PAGE_BYTES_MAX, PAGE_ENTRIES_MAX,
};

use super::amount::{bytes, count, span};
use super::data::Data;
use super::kind::choice;
use super::registry::Registry;
use super::setting::{Nested, settings};
use super::words::{address, origins};

pub(super) const KIB: u64 = 1 << 10;
pub(super) const MIB: u64 = 1 << 20;
pub(super) const GIB: u64 = 1 << 30;
pub(super) const DAY: Duration = Duration::from_secs(86_400);

settings! {
    /// Every setting of Seqline.
    Config {
        /// Where and how the service is reached.
        server: Server = Server::default(), Nested;
        /// Where messages are kept, and how safely.
        data: Data = Data::default(), Nested;
        /// What a request may ask for, and how much there may be of everything.
        limits: Limits = Limits::default(), Nested;
        /// Which web pages of other origins may call the service.
        cors: Cors = Cors::default(), Nested;
        /// What the service says about itself, on standard error.
        log: Log = Log::default(), Nested;
        /// Where other services find this one.
        registry: Registry = Registry::default(), Nested;
    }
}

settings! {
    /// `server`: where and how the service is reached.
    Server {
        /// The HTTP side: the API, the page at `/`, `/metrics`, `/healthz` and `/readyz`.
        http: Http = Http::default(), Nested;
        /// The gRPC side.
        grpc: Grpc = Grpc::default(), Nested;
        /// Threads that serve connections; 0 is one for each core.
        threads: usize = 0, count(0..=1_024);
        /// How long a stop waits for the requests that are in flight.
        shutdown_timeout: Duration = Duration::from_secs(10), span(Duration::ZERO..=DAY);
    }
}

/// Networks go-timeline's file may name; all of them are TCP.
const NETWORKS: &[(&str, Network)] =
    &[("tcp", Network::Tcp), ("tcp4", Network::Tcp), ("tcp6", Network::Tcp), ("", Network::Tcp)];

/// What a listener listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// TCP; the address decides whether it is IPv4 or IPv6.
    Tcp,
}

settings! {
    /// `server.http`: the HTTP side.
    Http {
        /// The kind of network. There is only TCP.
        network: Network = Network::Tcp, choice(NETWORKS);
        /// Where to listen. The default is reached from this machine only.
        addr: String = "127.0.0.1:8000".to_owned(), address();
        /// The longest one request may take; 0s is no limit.
        timeout: Duration = Duration::from_secs(10), span(Duration::ZERO..=DAY);
    }
}

settings! {
    /// `server.grpc`: the gRPC side.
    Grpc {
        /// The kind of network. There is only TCP.
        network: Network = Network::Tcp, choice(NETWORKS);
        /// Where to listen. The default is reached from this machine only.
        addr: String = "127.0.0.1:9000".to_owned(), address();
        /// The longest one request may take, if its client does not want less; 0s is no limit.
        timeout: Duration = Duration::from_secs(10), span(Duration::ZERO..=DAY);
    }
}

settings! {
    /// `limits`: what a request may ask for, and how much there may be of everything.
    Limits {
        /// Largest message.
        message_bytes_max: usize = MESSAGE_BYTES_MAX, bytes(1..=16 * MIB);
        /// Most members one group send may list.
        group_members_max: usize = GROUP_MEMBERS_MAX, count(1..=1_000_000);
        /// Most entries in one page.
        page_entries_max: usize = PAGE_ENTRIES_MAX, count(1..=100_000);
        /// Most bytes of messages in one page; its first entry comes however large it is. gRPC
        /// clients refuse replies of more than 4MiB unless told otherwise.
        page_bytes_max: usize = PAGE_BYTES_MAX, bytes(KIB..=64 * MIB);
        /// Largest body of an HTTP request.
        request_bytes_max: usize = 8 << 20, bytes(KIB..=GIB);
        /// Largest gRPC request.
        grpc_request_bytes_max: usize = 4 << 20, bytes(KIB..=GIB);
        /// Most open connections, HTTP and gRPC together.
        connections_max: usize = 20_000, count(1..=1_000_000);
        /// Most requests being worked on, HTTP and gRPC together; more are refused at once.
        requests_in_flight_max: usize = 10_000, count(1..=1_000_000);
    }
}

impl Limits {
    /// The part of the limits that the domain applies.
    pub fn domain(&self) -> DomainLimits {
        DomainLimits {
            message_bytes_max: self.message_bytes_max,
            group_members_max: self.group_members_max,
            page_entries_max: self.page_entries_max,
            page_bytes_max: self.page_bytes_max,
        }
    }
}

settings! {
    /// `cors`: which web pages of other origins may call the service.
    Cors {
        /// Their origins, for example "https://chat.example.org", or "*" for any. The built-in
        /// page needs none.
        allowed_origins: Vec<String> = Vec::new(), origins();
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The least important thing that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// What broke.
    Error,
    /// What may need somebody.
    Warn,
    /// What happened to the service as a whole.
    Info,
    /// What happened to single requests.
    Debug,
}

const LOG_FORMATS: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];
const LOG_LEVELS: &[(&str, LogLevel)] = &[
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
];

impl LogLevel {
    /// The word for it in a file.
    pub fn as_str(self) -> &'static str {
        LOG_LEVELS.iter().find(|(_, level)| *level == self).map_or("info", |(word, _)| word)
    }
}

settings! {
    /// `log`: what the service says about itself.
    Log {
        /// How a line looks: for people, or one JSON object each.
        format: LogFormat = LogFormat::Text, choice(LOG_FORMATS);
        /// The least important thing that is logged.
        level: LogLevel = LogLevel::Info, choice(LOG_LEVELS);
    }
}
