//! What the figures about Redis mean.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

pub(super) fn describe() {
    describe_gauge!("seqline_redis_up", "Whether Redis answered when it was asked last");
    describe_gauge!("seqline_redis_listening", "Whether notices of other servers are heard");
    describe_histogram!("seqline_redis_seconds", Unit::Seconds, "Time of one round trip to Redis");
    describe_counter!(
        "seqline_redis_hints_total",
        "Tails asked of Redis: hit, miss, unusable (too old or not sound), skipped (no answer)"
    );
    describe_counter!(
        "seqline_redis_claims_total",
        "Claims of contested inboxes: taken, busy (another server has it), skipped (no answer)"
    );
    describe_counter!(
        "seqline_redis_errors_total",
        "Round trips that failed: reply (it refused), connection, late"
    );
    describe_counter!("seqline_redis_breaks_total", "Connections given up");
    describe_counter!("seqline_redis_notices_total", "Notices of growth, sent and heard");
    describe_counter!(
        "seqline_redis_dropped_total",
        "Hints, notices and ends of claims that were not written: Redis did not take them in time"
    );
}
