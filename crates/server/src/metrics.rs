//! Metrics: their names, what they mean, and the one recorder of the process.

use std::sync::OnceLock;

use metrics::{Counter, counter};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Counter `{kind="direct|group", outcome="ok|repeat|<REASON>"}`: sends answered.
pub const SENDS: &str = "seqline_sends_total";
/// Counter: entries put into inboxes; stores count them.
pub const DELIVERIES: &str = "seqline_deliveries_total";
/// Counter `{kind="sync|history"}`: pages answered.
pub const PAGES: &str = "seqline_pages_total";
/// Histogram `{protocol="http|grpc", method}`: time to answer a request.
pub const REQUEST_SECONDS: &str = "seqline_request_seconds";
/// Histogram: time to commit one batch of sends, the disk's sync included.
pub const COMMIT_SECONDS: &str = "seqline_commit_seconds";
/// Histogram: time of one sync of the disk.
pub const SYNC_SECONDS: &str = "seqline_sync_seconds";
/// Histogram: sends in one commit.
pub const COMMIT_SENDS: &str = "seqline_commit_sends";
/// Histogram: time the storage engine held up a commit.
pub const STALL_SECONDS: &str = "seqline_stall_seconds";
/// Counter: merges of the embedded store's index that failed.
pub const COMPACTION_FAILURES: &str = "seqline_index_compaction_failures_total";
/// Gauge: sends that wait for the disk.
pub const QUEUE_SENDS: &str = "seqline_queue_sends";
/// Gauge: bytes of the sends that wait for the disk.
pub const QUEUE_BYTES: &str = "seqline_queue_bytes";
/// Gauge: bytes the store takes on disk.
pub const STORE_BYTES: &str = "seqline_store_bytes";
/// Gauge `{protocol="http|grpc"}`: open connections.
pub const CONNECTIONS: &str = "seqline_connections";
/// Counter `{protocol="http|grpc"}`: connections closed at once because of the limit.
pub const CONNECTIONS_REFUSED: &str = "seqline_connections_refused_total";
/// Gauge: 1 while the registration is known to be in etcd, otherwise 0; absent if none is wanted.
pub const REGISTERED: &str = "seqline_registry_registered";
/// Counter: attempts to register, or to renew that, that failed.
pub const REGISTRY_RETRIES: &str = "seqline_registry_retries_total";

/// From a tenth of a millisecond, a fast disk's sync, to the longest a request may take.
const SECONDS: [f64; 16] = [
    0.0001, 0.000_25, 0.0005, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

/// From a send alone to a full queue.
const SENDS_OF_A_COMMIT: [f64; 9] =
    [1.0, 4.0, 16.0, 64.0, 256.0, 1_024.0, 4_096.0, 16_384.0, 65_536.0];

/// Installs the process's recorder; every later call returns the same handle.
pub fn install() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let builder = PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)
                .and_then(|builder| {
                    let commits = Matcher::Full(COMMIT_SENDS.into());
                    builder.set_buckets_for_metric(commits, &SENDS_OF_A_COMMIT)
                })
                .expect("there are buckets");
            let recorder = builder.build_recorder();
            let handle = recorder.handle();
            // Another recorder can only be there if whoever embeds the server wants its own.
            if metrics::set_global_recorder(recorder).is_err() {
                tracing::warn!("another metrics recorder is installed; /metrics stays empty");
            }
            describe();
            handle
        })
        .clone()
}

/// The counters of the calls, looked up once: a look-up costs as much as a small request.
#[derive(Clone)]
pub struct Counters {
    /// Sends between two members.
    pub direct: Sends,
    /// Group sends.
    pub group: Sends,
    /// Pages of inboxes.
    pub syncs: Counter,
    /// Pages of conversations.
    pub histories: Counter,
}

/// The counters of one kind of send.
#[derive(Clone)]
pub struct Sends {
    kind: &'static str,
    stored: Counter,
    repeated: Counter,
}

impl Counters {
    /// The counters of the installed recorder.
    pub fn new() -> Counters {
        Counters {
            direct: Sends::new("direct"),
            group: Sends::new("group"),
            syncs: counter!(PAGES, "kind" => "sync"),
            histories: counter!(PAGES, "kind" => "history"),
        }
    }
}

impl Default for Counters {
    fn default() -> Counters {
        Counters::new()
    }
}

impl Sends {
    fn new(kind: &'static str) -> Sends {
        let stored = counter!(SENDS, "kind" => kind, "outcome" => "ok");
        let repeated = counter!(SENDS, "kind" => kind, "outcome" => "repeat");
        Sends { kind, stored, repeated }
    }

    /// Counts a send that was stored, or that an earlier one had stored.
    pub fn answered(&self, repeat: bool) {
        if repeat { &self.repeated } else { &self.stored }.increment(1);
    }

    /// Counts a send that was refused for `reason`.
    pub fn refused(&self, reason: &'static str) {
        counter!(SENDS, "kind" => self.kind, "outcome" => reason).increment(1);
    }
}

fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
    describe_counter!(SENDS, "Sends answered, by kind and outcome");
    describe_counter!(DELIVERIES, "Entries put into inboxes");
    describe_counter!(PAGES, "Pages answered, by kind");
    describe_histogram!(REQUEST_SECONDS, Unit::Seconds, "Time to answer a request");
    describe_histogram!(COMMIT_SECONDS, Unit::Seconds, "Time to commit one batch of sends");
    describe_histogram!(SYNC_SECONDS, Unit::Seconds, "Time of one sync of the disk");
    describe_histogram!(COMMIT_SENDS, "Sends in one commit");
    describe_histogram!(STALL_SECONDS, Unit::Seconds, "Time the engine held up a commit");
    describe_counter!(COMPACTION_FAILURES, "Merges of the index's tables that failed");
    describe_gauge!(QUEUE_SENDS, "Sends that wait for the disk");
    describe_gauge!(QUEUE_BYTES, Unit::Bytes, "Bytes of the sends that wait for the disk");
    describe_gauge!(STORE_BYTES, Unit::Bytes, "Bytes the store takes on disk");
    describe_gauge!(CONNECTIONS, "Open connections, by protocol");
    describe_counter!(CONNECTIONS_REFUSED, "Connections closed at once because of the limit");
    describe_gauge!(REGISTERED, "Whether the registration is known to be in etcd");
    describe_counter!(REGISTRY_RETRIES, "Attempts to register or to renew it that failed");
}
