//! Replays what was recorded from go-timeline: 616 requests over HTTP and gRPC, 40 scenarios.
//!
//! `fixtures/conformance/README.md` describes the files. Each scenario is a test of its own; all
//! of them share one server, because every id starts with characters chosen anew.

mod answer;
mod scenario;
mod wire;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::support::Server;

use self::scenario::Scenario;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/conformance")
}

/// The server of whichever scenarios run now; the last of them ends it.
fn server() -> Arc<Server> {
    static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let server = Arc::new(Server::start());
        *shared = Arc::downgrade(&server);
        server
    })
}

#[track_caller]
fn replay(name: &str, steps: usize) {
    let scenario = Scenario::load(&folder().join(file_name(name)));
    let server = server();
    let outcome = scenario.run(&server);
    assert!(outcome.failures.is_empty(), "\n{}\n", outcome.failures.join("\n"));
    assert_eq!(outcome.steps, steps);
}

/// Replays all of it against another server: how many steps, and what was answered otherwise.
pub fn replay_all(server: &Server) -> (usize, Vec<String>) {
    let (mut steps, mut failures) = (0, Vec::new());
    for (name, _) in SCENARIOS {
        let outcome = Scenario::load(&folder().join(file_name(name))).run(server);
        steps += outcome.steps;
        failures.extend(outcome.failures);
    }
    (steps, failures)
}

fn file_name(name: &str) -> String {
    format!("{}.json", name.replace('_', "-"))
}

/// A test per file, and how many steps it has.
macro_rules! scenarios {
    ($($name:ident $steps:literal;)*) => {
        const SCENARIOS: &[(&str, usize)] = &[$((stringify!($name), $steps),)*];

        $(
            #[test]
            fn $name() {
                replay(stringify!($name), $steps);
            }
        )*
    };
}

scenarios! {
    accept 20;
    content_types 24;
    cors 10;
    count 22;
    empty_parameters 20;
    field_spellings 16;
    form_bodies 17;
    group_basics 11;
    group_duplicates 6;
    group_empty_member 5;
    group_large 8;
    grpc_errors 12;
    grpc_services 8;
    http_errors 9;
    ids_colliding 9;
    ids_long 9;
    ids_not_only_text 11;
    ids_punctuation 32;
    ids_unicode 24;
    interleaved 17;
    json_escapes 9;
    json_fields 25;
    json_syntax 30;
    last_read 18;
    messages_bad 22;
    messages_byte_exact 12;
    messages_extreme 11;
    messages_null 4;
    messages_odd_keys 5;
    messages_plain 11;
    methods 12;
    mixed_transports 11;
    paths 22;
    protobuf_bodies 17;
    query_integers 42;
    query_keys 25;
    readme_chat 22;
    self_send 6;
    unknown_ids 13;
    unknown_paths 9;
}

#[test]
fn every_recorded_file_is_replayed_and_all_have_616_steps() {
    let recorded: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".json"))
        .collect();
    let replayed: BTreeSet<String> = SCENARIOS.iter().map(|(name, _)| file_name(name)).collect();
    assert_eq!(replayed, recorded);
    assert_eq!(SCENARIOS.len(), 40);
    assert_eq!(SCENARIOS.iter().map(|(_, steps)| steps).sum::<usize>(), 616);
}

#[test]
fn seqline_deviates_exactly_where_that_is_documented() {
    let mut used = BTreeSet::new();
    for (name, _) in SCENARIOS {
        used.extend(Scenario::load(&folder().join(file_name(name))).deviations());
    }
    let readme = fs::read_to_string(folder().join("README.md")).unwrap();
    let (_, list) = readme.split_once("on purpose; `expected` then stands beside").unwrap();
    let (_, list) = list.split_once(':').unwrap();
    let named = |word: &str| word.bytes().all(|b| b.is_ascii_lowercase() || b"-1".contains(&b));
    let mut documented = BTreeSet::new();
    // What stands in brackets explains the names before it.
    for part in list.split(')').filter_map(|part| part.split('(').next()) {
        let words = part.split([',', ';', ' ', '\n', '.']).filter(|word| !word.is_empty());
        documented.extend(words.filter(|word| named(word)).map(str::to_owned));
    }
    // The reference fails to write one of its errors; no recorded step shows that.
    assert!(documented.remove("unwritable-error"));
    assert_eq!(used, documented);
}
