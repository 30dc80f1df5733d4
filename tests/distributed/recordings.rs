//! What was recorded from go-timeline, answered the same from MongoDB.

use super::{settings, start};
use crate::conformance;
use crate::support::mongo::Mongo;
use crate::support::redis::Redis;

#[test]
fn every_recording_is_answered_the_same_from_mongodb() {
    let (mongo, redis) = (Mongo::in_memory(), Redis::start());
    let server = start(&settings(&mongo, Some(&redis)), &[]);
    let (steps, failures) = conformance::replay_all(&server);
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
    assert_eq!(steps, 616);
}
