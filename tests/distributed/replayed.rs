//! `seqline replay` against servers on MongoDB: what is sent through one is read back through the
//! other and right; so is the database, and what is imported from it.

use super::{settings, start};
use crate::support::command::seqline;
use crate::support::mongo::Mongo;
use crate::support::redis::Redis;

/// How many lines of real chat, of `SEQLINE_REPLAY_FILE` where that names a file of it.
const REAL_LINES: &str = "300";

#[test]
fn replayed_traffic_is_read_back_without_a_difference() {
    check(&["--synthetic", "300"]);
}

/// Runs where `SEQLINE_REPLAY_FILE` names a file of real chat.
#[test]
fn real_traffic_is_read_back_without_a_difference() {
    if let Some(file) = std::env::var("SEQLINE_REPLAY_FILE").ok().filter(|f| !f.is_empty()) {
        check(&[&file, "--limit", REAL_LINES]);
    }
}

fn check(traffic: &[&str]) {
    let (mongo, redis) = (Mongo::in_memory(), Redis::start());
    let [mut sending, mut reading] = [(); 2].map(|()| start(&settings(&mongo, Some(&redis)), &[]));
    let replay = |address: std::net::SocketAddr, only| {
        let address = address.to_string();
        let args = [&["replay", "--json", "--only", only, "--grpc", &address], traffic].concat();
        seqline(&args).ok().json_lines().remove(0)
    };
    let sent = replay(sending.grpc, "send");
    let [sends, deliveries] = ["sends", "deliveries"].map(|k| sent["sent"][k].as_u64().unwrap());
    let read = replay(reading.grpc, "verify");
    assert_eq!(read["verified"]["differences"], 0, "{read}");
    assert_eq!(read["verified"]["entries"], sends + deliveries);
    assert!(sending.stop().success() && reading.stop().success());

    let uri = mongo.uri();
    let data = tempfile::tempdir().unwrap();
    let data = data.path().join("data");
    let data = data.to_str().unwrap();
    let checked = seqline(&["check", "--mongo", &uri]).ok();
    seqline(&["import", "--from-mongo", &uri, "--data", data]).ok();
    let copied = seqline(&["check", data]).ok();
    let total = format!("{deliveries} inbox entries, {sends} messages, 0 problems");
    for ran in [&checked, &copied] {
        assert!(ran.stdout.contains(&total), "{total}: {ran:#?}");
    }
}
