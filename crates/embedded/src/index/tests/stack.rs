//! Merged runs that are stacked in the last level.

use std::sync::Arc;

use lsm_tree::SeqNo;
use lsm_tree::compaction::MoveDown;

use super::*;

/// Flushes until the unsorted tables are merged, and waits until the merged run is stacked. Some
/// rows are new, some replace those of the flush before, some are deleted.
fn merge_once(index: &Index, model: &mut Model, flushed: &mut u64) {
    loop {
        let number = *flushed;
        let mut batch = Batch::default();
        for n in number * 500..number * 500 + 1000 {
            let (key, _) = row(n);
            let payload = format!("payload {n} of flush {number}").into_bytes();
            batch.put(&key, &payload);
            model.insert(key, payload);
        }
        for n in (number * 500).saturating_sub(1000)..(number * 500).saturating_sub(900) {
            let (key, _) = row(n);
            batch.delete(&key);
            model.remove(&key);
        }
        index.write(&batch);
        let unsorted = index.unsorted_runs();
        index.flush().unwrap();
        *flushed += 1;
        if unsorted == 7 {
            break;
        }
    }
    until(|| is_merged(index));
}

/// What it is for: merging reads and writes what is new, not what was merged before.
#[test]
fn a_small_index_stacks_what_it_merges_and_the_newest_row_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    let (mut model, mut flushed) = (Model::new(), 0);
    // With the third run the stack is as large as it may become.
    for stacked in [1, 2, 1] {
        merge_once(&index, &mut model, &mut flushed);
        until(|| (runs(&index, 5), runs(&index, 6)) == (0, stacked));
        holds(&index, &model);
    }
    drop(index);
    holds(&open(dir.path()), &model);
}

/// A stop between merging and stacking leaves a run above the stack.
#[test]
fn a_run_that_was_not_stacked_yet_is_stacked_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    let (mut model, mut flushed) = (Model::new(), 0);
    merge_once(&index, &mut model, &mut flushed);
    until(|| (runs(&index, 5), runs(&index, 6)) == (0, 1));
    index.close();
    index.shared.tree.compact(Arc::new(MoveDown(6, 5)), SeqNo::MAX).unwrap();
    drop(index);
    let index = open(dir.path());
    until(|| (runs(&index, 5), runs(&index, 6)) == (0, 1));
    holds(&index, &model);
}
