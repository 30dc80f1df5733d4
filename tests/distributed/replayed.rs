//! `seqline replay` against a server on MongoDB: everything that was sent is read back and right.

use super::{settings, start};
use crate::support::command::seqline;
use crate::support::mongo::Mongo;
use crate::support::redis::Redis;

#[test]
fn replayed_traffic_is_read_back_without_a_difference() {
    let (mongo, redis) = (Mongo::in_memory(), Redis::start());
    let server = start(&settings(&mongo, Some(&redis)), &[]);
    let address = server.grpc.to_string();
    let ran = seqline(&["replay", "--json", "--synthetic", "300", "--grpc", &address]).ok();
    let report = ran.json_lines().remove(0);
    assert_eq!(report["verified"]["differences"], 0, "{report}");
    let [sends, deliveries] = ["sends", "deliveries"].map(|k| report["sent"][k].as_u64().unwrap());
    assert_eq!(report["verified"]["entries"], sends + deliveries);
}
