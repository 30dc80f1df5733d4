//! `check --repair` through the real program: what it says, what it keeps, and how it ends.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::http::post_json;
use crate::support::{Server, process::SEQLINE};

fn check(data: &Path, flags: &[&str]) -> Output {
    Command::new(SEQLINE).arg("check").arg(data).args(flags).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn object(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

/// Sends so many messages from `a` to `b`.
fn fill(data: &Path, messages: usize) {
    let mut server = Server::start_on(data, &[] as &[&str]);
    for n in 0..messages {
        let body = format!("{{\"n\": {n}, \"pad\": \"{}\"}}", "x".repeat(200));
        let message = json!({ "from": "a", "to": "b", "message": body });
        assert_eq!(post_json(server.http, "/timeline/send", &message).status, 200);
    }
    assert!(server.stop().success());
}

#[test]
fn a_store_without_its_index_is_repaired_and_a_sound_one_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    fill(&data, 5);
    let sound = check(&data, &["--repair", "--json"]);
    assert_eq!(sound.status.code(), Some(0), "{sound:?}");
    assert_eq!(object(&sound)["repaired"], "nothing");

    fs::remove_dir_all(data.join("index")).unwrap();
    let refused = check(&data, &[]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(text(&refused.stderr).contains("--repair"), "{refused:?}");
    let repaired = check(&data, &["--repair"]);
    assert_eq!(repaired.status.code(), Some(0), "{repaired:?}");
    let says = text(&repaired.stdout);
    assert!(says.contains("made again from 5 messages; nothing is lost"), "{says}");
    let checked = text(&check(&data, &[]).stdout);
    assert!(checked.contains("10 inbox entries, 5 messages, 0 problems"), "{checked}");
}

#[test]
fn what_a_damaged_log_has_lost_is_told_and_the_rest_is_served() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    fill(&data, 40);
    let segment = data.join("log/0000000000000001.seg");
    let file = fs::OpenOptions::new().write(true).open(&segment).unwrap();
    file.write_all_at(&[0; 600], 8192).unwrap();
    drop(file);
    let output = check(&data, &["--repair", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).contains("not all could be saved"), "{output:?}");
    let result = object(&output);
    let lost = result["messagesLost"].as_u64().unwrap();
    assert!((2..5).contains(&lost), "{result}");
    assert_eq!(
        (&result["repaired"], &result["epochIsNew"], &result["problems"], &result["unknownBytes"]),
        (&json!("log"), &json!(true), &json!(0), &json!(0)),
    );
    let events = result["first"].as_array().unwrap();
    let named = events.iter().filter(|event| {
        event["event"] == "messageLost" && event["inboxEntries"] == 2 && event["seq"].is_u64()
    });
    assert_eq!(named.count() as u64, lost);
    let kept = Path::new(result["keptIn"].as_str().unwrap()).join("log/0000000000000001.seg");
    assert!(kept.exists());

    // Twice is once.
    assert_eq!(object(&check(&data, &["--repair", "--json"]))["repaired"], "nothing");
    let server = Server::start_on(&data, &[] as &[&str]);
    let message = json!({ "from": "a", "to": "b", "message": "{}" });
    assert_eq!(post_json(server.http, "/timeline/send", &message).status, 200);
    drop(server);
    let checked = text(&check(&data, &[]).stdout);
    let left = 41 - lost;
    assert!(checked.contains(&format!("{} inbox entries, {left} messages", left * 2)), "{checked}");
}

#[test]
fn what_cannot_be_repaired_ends_with_3() {
    let empty = tempfile::tempdir().unwrap();
    for place in [empty.path(), Path::new("/no/such/directory")] {
        assert_eq!(check(place, &["--repair"]).status.code(), Some(3));
    }
    assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0, "no store is made");
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let server = Server::start_on(&data, &[] as &[&str]);
    let output = check(&data, &["--repair"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(text(&output.stderr).contains("in use"), "{output:?}");
    drop(server);
}
