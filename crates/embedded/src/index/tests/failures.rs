//! A disk that refuses: it is told, and nothing is lost.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use super::*;
use crate::index::IndexError;

/// What the counters say that were made while it was the recorder.
#[derive(Default)]
struct Counts(Mutex<HashMap<String, Arc<AtomicU64>>>);

impl Counts {
    fn of(&self, name: &str) -> u64 {
        self.0.lock().unwrap()[name].load(Ordering::Relaxed)
    }
}

impl Recorder for Counts {
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut counts = self.0.lock().unwrap();
        Counter::from_arc(Arc::clone(counts.entry(key.name().to_owned()).or_default()))
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
}

#[test]
fn a_flush_into_a_folder_that_is_gone_fails_and_can_be_repeated_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    let model: Model = (0..300).map(row).collect();
    put(&index, (0..100).map(row));
    index.flush().unwrap();
    put(&index, (100..200).map(row));
    let (tables, away) = (dir.path().join("tables"), dir.path().join("away"));
    std::fs::rename(&tables, &away).unwrap();
    for _ in 0..3 {
        assert!(matches!(index.flush(), Err(IndexError::Io { .. })));
        assert!(index.unflushed_bytes() > 0);
    }
    std::fs::rename(&away, &tables).unwrap();
    put(&index, (200..300).map(row));
    holds(&index, &model);
    index.flush().unwrap();
    holds(&index, &model);
    drop(index);
    holds(&open(dir.path()), &model);
}

#[test]
fn after_a_version_that_may_be_half_written_nothing_changes_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    put(&index, (0..100).map(row));
    index.flush().unwrap();
    index.close();
    put(&index, (100..200).map(row));
    // The next version's name is taken by a folder, so writing it fails; and the pointer has
    // moved, as when only its last sync failed.
    let pointer = dir.path().join("current");
    let mut bytes = std::fs::read(&pointer).unwrap();
    let next = u64::from_le_bytes(bytes[..8].try_into().unwrap()) + 1;
    std::fs::create_dir(dir.path().join(format!("v{next}"))).unwrap();
    bytes[..8].copy_from_slice(&next.to_le_bytes());
    std::fs::write(&pointer, bytes).unwrap();
    for _ in 0..2 {
        assert!(matches!(index.flush(), Err(IndexError::Stopped(_))));
    }
    assert!(index.failed().is_some());
    holds(&index, &(0..200).map(row).collect());
}

#[test]
fn a_version_that_cannot_be_written_is_written_by_the_next_flush() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    put(&index, (0..100).map(row));
    index.flush().unwrap();
    index.close();
    put(&index, (100..200).map(row));
    let pointer = std::fs::read(dir.path().join("current")).unwrap();
    let next = u64::from_le_bytes(pointer[..8].try_into().unwrap()) + 1;
    let taken = dir.path().join(format!("v{next}"));
    std::fs::create_dir(&taken).unwrap();
    assert!(matches!(index.flush(), Err(IndexError::Io { .. })));
    std::fs::remove_dir(&taken).unwrap();
    index.flush().unwrap();
    drop(index);
    holds(&open(dir.path()), &(0..200).map(row).collect());
}

#[test]
fn a_compaction_that_meets_damage_is_told_and_copies_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let model: Model = (0..4000).map(row).collect();
    let index = open(dir.path());
    for part in 0..3 {
        put(&index, (part * 1000..part * 1000 + 1000).map(row));
        index.flush().unwrap();
    }
    index.close();
    drop(index);
    let tables: Vec<_> = std::fs::read_dir(dir.path().join("tables")).unwrap().collect();
    let table = tables[0].as_ref().unwrap().path();
    let whole = std::fs::read(&table).unwrap();
    let mut bytes = whole.clone();
    bytes[1000] ^= 1;
    std::fs::write(&table, &bytes).unwrap();
    let counts = Counts::default();
    let index = metrics::with_local_recorder(&counts, || open(dir.path()));
    for part in 0..8 {
        put(&index, (3000 + part * 125..3125 + part * 125).map(row));
        index.flush().unwrap();
    }
    until(|| index.failed().is_some());
    assert!(counts.of("seqline_index_compaction_failures_total") > 0);
    let before = index.disk_bytes();
    assert!(index.scan::<&[u8]>(..).any(|row| row.is_err()));
    drop(index);
    std::fs::write(&table, &whole).unwrap();
    let index = open(dir.path());
    assert!(index.disk_bytes() <= before);
    holds(&index, &model);
    until(|| is_merged(&index));
    assert_eq!(index.failed(), None);
    holds(&index, &model);
}

#[test]
fn what_a_failed_step_left_is_deleted_and_what_readers_have_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    put(&index, (0..2000).map(row));
    index.flush().unwrap();
    let snapshot = index.snapshot();
    for _ in 0..10 {
        put(&index, (0..2000).map(|n| (row(n).0, b"new".to_vec())));
        index.flush().unwrap();
    }
    until(|| is_merged(&index));
    let leftover = dir.path().join("tables").join("900");
    std::fs::write(&leftover, b"half").unwrap();
    index.shared.sweep_due.store(true, std::sync::atomic::Ordering::Release);
    index.shared.bell.ring();
    until(|| !leftover.exists());
    let rows = snapshot.scan::<&[u8]>(..).map(|row| row.unwrap().1.to_vec());
    assert!(rows.eq((0..2000).map(row).collect::<Model>().into_values()));
}

#[test]
fn a_directory_that_cannot_be_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, b"").unwrap();
    assert!(matches!(Index::open(&file.join("index"), &small()), Err(crate::OpenError::Io { .. })));
    assert!(matches!(Index::open(&file, &small()), Err(crate::OpenError::Io { .. })));
}

#[test]
fn a_flush_is_refused_before_the_tree_would_forget_its_unsorted_runs() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    index.close();
    let mut flushed = 0;
    let refused = loop {
        put(&index, (0..3).map(|n| (row(n).0, flushed.to_string().into_bytes())));
        match index.flush() {
            Ok(()) => flushed += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, IndexError::Behind { runs: 64 }), "{refused}");
    drop(index);
    let index = open(dir.path());
    let last = (flushed - 1).to_string().into_bytes();
    holds(&index, &(0..3).map(|n| (row(n).0, last.clone())).collect());
    until(|| is_merged(&index));
    index.flush().unwrap();
}
