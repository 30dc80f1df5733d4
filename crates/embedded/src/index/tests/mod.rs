//! Tests of the index, and what they share.

mod concurrent;
mod crash;
mod damage;
mod failures;
mod rows;
mod space;
mod stack;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use lsm_tree::AbstractTree as _;

use super::{Batch, Index, IndexOptions};

/// Small blocks and tables, so that few rows make many of both.
fn small() -> IndexOptions {
    IndexOptions {
        cache_bytes: 4 * 1024 * 1024,
        table_bytes: 64 * 1024,
        block_bytes: 512,
        unsorted_tables: 8,
        open_files: 16,
    }
}

fn open(dir: &Path) -> Index {
    Index::open(dir, &small()).unwrap()
}

fn put(index: &Index, rows: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) {
    let mut batch = Batch::default();
    for (key, payload) in rows {
        batch.put(&key, &payload);
    }
    index.write(&batch);
}

/// A key and a payload that differ by their number in every way that matters.
fn row(number: u64) -> (Vec<u8>, Vec<u8>) {
    let spread = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let key = format!("{spread:016x}/{number}").into_bytes();
    (key, format!("payload of row {number}").into_bytes())
}

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// Every row that the index has, in order.
fn all(index: &Index) -> Vec<(Vec<u8>, Vec<u8>)> {
    let rows = index.scan::<&[u8]>(..);
    rows.map(|row| row.map(|(key, value)| (key.to_vec(), value.to_vec())).unwrap()).collect()
}

#[track_caller]
fn holds(index: &Index, model: &Model) {
    let expected: Vec<_> = model.clone().into_iter().collect();
    assert!(all(index) == expected, "{} rows, expected {}", all(index).len(), expected.len());
    for (key, payload) in model {
        assert_eq!(index.get(key).unwrap().as_deref(), Some(&payload[..]));
    }
}

/// Whether compaction has caught up: fewer unsorted runs than it begins with.
fn is_merged(index: &Index) -> bool {
    index.unsorted_runs() < 8
}

/// Sorted runs in a level.
fn runs(index: &Index, level: usize) -> usize {
    index.shared.tree.current_version().level(level).map_or(0, |level| level.run_count())
}

/// Waits until `done`; gives up after half a minute.
#[track_caller]
fn until(mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(30), "it does not come to that");
        std::thread::yield_now();
    }
}

/// Numbers that look random, the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }
}
