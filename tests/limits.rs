//! Load beyond every limit against a real server: a clear refusal, bounded memory, and everybody
//! else is served.

mod connections;
mod http2;
mod memory;
mod slow;

use serde_json::json;

use crate::support::Server;
use crate::support::http::post_json;

const MIB: u64 = 1 << 20;

/// The server still takes messages; `n` is the number it must give to this one of `l1` to `l2`.
fn still_sends(server: &Server, n: u64) {
    let send = json!({"from": "l1", "to": "l2", "message": "{}"});
    let answer = post_json(server.http, "/timeline/send", &send);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["sequence"], n.to_string());
}

/// The server's memory stayed below `start` and so much more, and its log has no panic.
fn unharmed(server: &mut Server, start: u64, more: u64) {
    assert!(server.is_alive());
    let peak = server.memory_peak_bytes();
    let grown = peak.saturating_sub(start) / MIB;
    assert!(peak <= start + more, "memory grew by {grown} MiB, more than {}", more / MIB);
    let log = server.log();
    assert!(!log.contains("panic"), "{log}");
}
