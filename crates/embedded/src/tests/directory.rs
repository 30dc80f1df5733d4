//! What may be opened as a data directory, and what is refused.

use std::fs;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::hooks::{Doing, HookedDisk};
use super::*;
use crate::Durability;

#[test]
fn a_second_opening_is_refused_and_told_who_has_the_directory() {
    let bench = Bench::new();
    let store = bench.open();
    let error = bench.try_open().err().unwrap();
    assert!(matches!(error, OpenError::Locked { .. }));
    let process = format!("process {}", std::process::id());
    assert!(error.to_string().contains(&process), "{error}");
    drop(store);
    bench.open();
}

#[test]
fn a_directory_of_something_else_is_left_alone() {
    let bench = Bench::new();
    fs::create_dir(bench.dir()).unwrap();
    fs::write(bench.dir().join("letter.txt"), "dear").unwrap();
    let opened = bench.try_open();
    assert!(matches!(opened, Err(OpenError::Foreign { found, .. }) if found == "letter.txt"));
    assert_eq!(fs::read_to_string(bench.dir().join("letter.txt")).unwrap(), "dear");
    assert!(!bench.dir().join("LOCK").exists());
}

#[test]
fn newer_and_older_formats_are_refused() {
    let bench = Bench::new();
    drop(bench.open());
    fs::write(bench.dir().join("FORMAT"), "seqline data format 3\n").unwrap();
    let error = bench.try_open().err().unwrap();
    assert!(matches!(error, OpenError::Newer { found: 3, supported: 2, .. }), "{error}");
    fs::write(bench.dir().join("FORMAT"), "seqline data format 1\n").unwrap();
    let error = bench.try_open().err().unwrap();
    assert!(matches!(error, OpenError::Older { found: 1, .. }), "{error}");
    assert!(error.to_string().contains("use an empty directory"), "{error}");
}

#[test]
fn a_damaged_format_and_missing_files_are_refused() {
    let bench = Bench::new();
    drop(bench.open());
    fs::rename(bench.dir().join("index/current"), bench.dir().join("aside")).unwrap();
    assert!(matches!(bench.try_open(), Err(OpenError::Damaged { .. })));
    fs::rename(bench.dir().join("aside"), bench.dir().join("index/current")).unwrap();
    drop(bench.open());
    for text in [&b""[..], b"seqline data format x\n", b"seqline data format 0\n", b"\xff\xff"] {
        fs::write(bench.dir().join("FORMAT"), text).unwrap();
        assert!(matches!(bench.try_open(), Err(OpenError::Damaged { .. })), "{text:?}");
    }
}

#[test]
fn an_interrupted_creation_is_begun_again() {
    let bench = Bench::new();
    drop(bench.open());
    fs::rename(bench.dir().join("FORMAT"), bench.dir().join("FORMAT.new")).unwrap();
    let store = bench.open();
    assert!(bench.send(&store, direct("a", "b", "{}")).is_ok());
}

#[test]
fn a_missing_parent_directory_is_an_error_and_not_made() {
    let mut bench = Bench::new();
    bench.options.dir = bench.dir().join("one/two");
    assert!(matches!(bench.try_open(), Err(OpenError::Io { .. })));
    assert!(!bench.dir().parent().unwrap().exists());
}

#[test]
fn losing_unsynced_sends_with_the_machine_makes_a_new_epoch() {
    let mut bench = Bench::new();
    bench.options.durability = Durability::None;
    let store = bench.open();
    let epoch = store.epoch();
    bench.send(&store, direct("a", "b", "{}")).unwrap();
    // The process was killed, the machine went on: nothing is lost.
    store.abandon();
    let store = bench.open();
    assert_eq!(store.epoch(), epoch);
    assert_eq!(bench.bodies(&store, inbox("b")).len(), 1);
    // The machine was started again since. Another clock of chance, as another process has.
    store.abandon();
    fs::write(bench.dir().join("UNSYNCED"), "another boot").unwrap();
    let store = bench.open();
    assert_ne!(store.epoch(), epoch);
    assert_eq!(bench.all(&store, inbox("a")).unwrap().epoch, store.epoch());
    let epoch = store.epoch();
    // A clean end has synced everything.
    bench.runtime.block_on(store.close()).unwrap();
    assert!(!bench.dir().join("UNSYNCED").exists());
    assert_eq!(bench.open().epoch(), epoch);
}

#[test]
fn an_interval_syncs_without_further_sends() {
    let mut bench = Bench::new();
    bench.options.durability = Durability::Interval(Duration::from_millis(1));
    bench.tuning.background = false;
    let (synced, syncs) = channel();
    let disk = HookedDisk::new(move |doing, _| {
        if doing == Doing::Sync {
            // Nobody listens any more once the test has heard enough.
            let _ = synced.send(()).is_ok();
        }
        Ok(())
    });
    let store = bench.open_on(disk).unwrap();
    while syncs.try_recv().is_ok() {}
    bench.send(&store, direct("a", "b", "{}")).unwrap();
    syncs.recv_timeout(Duration::from_secs(30)).unwrap();
}
