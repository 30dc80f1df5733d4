//! Readers while a writer writes, flushes and lets tables be merged.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;

#[test]
fn readers_see_whole_batches_in_order_while_everything_moves() {
    const KEYS: u64 = 500;
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    let key = |number: u64| row(number).0;
    let batch = |round: u64| (0..KEYS).map(move |n| (row(n).0, round.to_le_bytes().to_vec()));
    put(&index, batch(0));
    let (done, written, reads) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for reader in 0..3_u64 {
            let (index, done, written, reads) = (&index, &done, &written, &reads);
            scope.spawn(move || {
                let mut last = 0;
                while !done.load(Ordering::Acquire) {
                    let least = written.load(Ordering::Acquire);
                    let snapshot = index.snapshot();
                    let payload = |value: &[u8]| u64::from_le_bytes(value.try_into().unwrap());
                    let at = |n| payload(&snapshot.get(&key(n)).unwrap().expect("it is there"));
                    let round = at(reader);
                    assert!(round >= least.max(last), "{round} after {least} and {last}");
                    assert_eq!(at(KEYS - 1), round, "a batch in parts");
                    let rows: Vec<_> =
                        snapshot.scan::<&[u8]>(..).map(|row| payload(&row.unwrap().1)).collect();
                    assert_eq!(rows, vec![round; usize::try_from(KEYS).unwrap()]);
                    last = round;
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 1..=150 {
            put(&index, batch(round));
            written.store(round, Ordering::Release);
            if round % 3 == 0 {
                index.flush().unwrap();
            }
        }
        until(|| reads.load(Ordering::Relaxed) > 50);
        done.store(true, Ordering::Release);
    });
    assert_eq!(index.failed(), None);
    until(|| is_merged(&index));
}

#[test]
fn closing_in_the_middle_of_a_compaction_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut model = Model::new();
    for round in 0..12 {
        let index = open(dir.path());
        for part in 0..8 {
            let rows = (0..1500).map(|n| row(round * 4000 + part * 500 + n));
            put(&index, rows.clone());
            model.extend(rows);
            index.flush().unwrap();
        }
        index.close();
        assert_eq!(index.failed(), None);
        drop(index);
    }
    holds(&open(dir.path()), &model);
}
