//! Settings, each with its default. Handles to anything that runs are not settings.

use std::time::Duration;

use seqline_core::limits::Limits as DomainLimits;

/// Everything that can be set.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Where and how the service is reached.
    pub server: Server,
    /// What a request may ask for, and how many there may be.
    pub limits: Limits,
}

/// `server`: where and how the service is reached.
#[derive(Clone, Debug)]
pub struct Server {
    /// The HTTP side.
    pub http: Listener,
    /// The gRPC side.
    pub grpc: Listener,
    /// How long a stop waits for requests in flight.
    pub shutdown_timeout: Duration,
    /// Threads that serve connections; 0 for one a core.
    pub threads: usize,
}

impl Default for Server {
    fn default() -> Server {
        let at = |addr: &str| Listener { addr: addr.to_owned(), timeout: Duration::from_secs(10) };
        Server {
            http: at("127.0.0.1:8000"),
            grpc: at("127.0.0.1:9000"),
            shutdown_timeout: Duration::from_secs(10),
            threads: 0,
        }
    }
}

/// `server.http`, `server.grpc`: one listening side.
#[derive(Clone, Debug)]
pub struct Listener {
    /// `HOST:PORT`; port 0 picks a free one.
    pub addr: String,
    /// The longest one request may take.
    pub timeout: Duration,
}

/// `limits`: what a request may ask for, and how many there may be.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest message body, in bytes.
    pub message_bytes_max: usize,
    /// Most members one group send may list.
    pub group_members_max: usize,
    /// Most entries in one page.
    pub page_entries_max: usize,
    /// Most bytes of message bodies in one page.
    pub page_bytes_max: usize,
    /// Largest HTTP request body, in bytes.
    pub request_bytes_max: usize,
    /// Largest gRPC request, in bytes.
    pub grpc_request_bytes_max: usize,
    /// Most open connections, both protocols together.
    pub connections_max: usize,
    /// Most requests in flight, both protocols together.
    pub requests_in_flight_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        let domain = DomainLimits::default();
        Limits {
            message_bytes_max: domain.message_bytes_max,
            group_members_max: domain.group_members_max,
            page_entries_max: domain.page_entries_max,
            page_bytes_max: domain.page_bytes_max,
            request_bytes_max: 8 * 1024 * 1024,
            grpc_request_bytes_max: 4 * 1024 * 1024,
            connections_max: 20_000,
            requests_in_flight_max: 10_000,
        }
    }
}
