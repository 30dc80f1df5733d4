//! What was written is what is read.

use std::ops::Bound;

use super::*;

#[test]
fn a_row_reads_back_from_memory_and_from_a_table() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    put(&index, [(b"a".to_vec(), b"1".to_vec()), (b"b".to_vec(), Vec::new())]);
    for _ in 0..2 {
        assert_eq!(index.get(b"a").unwrap().as_deref(), Some(&b"1"[..]));
        assert_eq!(index.get(b"b").unwrap().as_deref(), Some(&b""[..]));
        assert_eq!(index.get(b"c").unwrap(), None);
        index.flush().unwrap();
        assert_eq!(index.unflushed_bytes(), 0);
    }
}

#[test]
fn of_several_writes_to_a_key_in_a_batch_the_last_counts() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    let mut batch = Batch::default();
    batch.put(b"a", b"1");
    batch.put(b"a", b"2");
    batch.put(b"b", b"1");
    batch.delete(b"b");
    batch.delete(b"c");
    batch.put(b"c", b"3");
    index.write(&batch);
    for _ in 0..2 {
        assert_eq!(index.get(b"a").unwrap().as_deref(), Some(&b"2"[..]));
        assert_eq!(index.get(b"b").unwrap(), None);
        assert_eq!(index.get(b"c").unwrap().as_deref(), Some(&b"3"[..]));
        index.flush().unwrap();
    }
}

#[test]
fn an_empty_flush_does_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    index.flush().unwrap();
    index.write(&Batch::default());
    index.flush().unwrap();
    assert_eq!(index.disk_bytes(), 0);
}

#[test]
fn a_snapshot_keeps_its_rows_while_all_of_them_are_replaced_flushed_and_merged() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    put(&index, (0..2000).map(row));
    index.flush().unwrap();
    put(&index, (2000..3000).map(row));
    let before = all(&index);
    let snapshot = index.snapshot();
    let mut scan = snapshot.scan::<&[u8]>(..);
    let first = scan.next().unwrap().unwrap();
    for round in 0..12_u64 {
        put(&index, (0..3000).map(|n| (row(n).0, round.to_string().into_bytes())));
        index.flush().unwrap();
    }
    until(|| is_merged(&index));
    let rest = scan.map(Result::unwrap);
    let seen = std::iter::once(first).chain(rest).map(|(k, v)| (k.to_vec(), v.to_vec()));
    assert!(seen.eq(before.iter().cloned()), "the scan that was open");
    let again = snapshot.scan::<&[u8]>(..).map(Result::unwrap);
    assert!(again.map(|(k, v)| (k.to_vec(), v.to_vec())).eq(before.iter().cloned()));
    for (key, payload) in &before {
        assert_eq!(snapshot.get(key).unwrap().as_deref(), Some(&payload[..]));
        assert_eq!(index.get(key).unwrap().as_deref(), Some(&b"11"[..]));
    }
}

/// Some bounds over the keys of `row`, empty and reversed ones too.
fn bounds(numbers: &mut Numbers) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let mut bound = || {
        let key = match numbers.below(4) {
            0 => format!("{:016x}", numbers.below(u64::MAX)).into_bytes(),
            1 => Vec::new(),
            _ => row(numbers.below(4000)).0,
        };
        match numbers.below(5) {
            0 => Bound::Unbounded,
            1 | 2 => Bound::Included(key),
            _ => Bound::Excluded(key),
        }
    };
    (bound(), bound())
}

fn is_valid((start, end): &(Bound<Vec<u8>>, Bound<Vec<u8>>)) -> bool {
    use Bound::{Excluded, Included};
    match (start, end) {
        (Excluded(start), Excluded(end)) => start < end,
        (Included(start) | Excluded(start), Included(end) | Excluded(end)) => start <= end,
        _ => true,
    }
}

/// Takes from both ends in a random order and compares with the model.
fn scans_like_the_model(index: &Index, model: &Model, numbers: &mut Numbers) {
    let bounds = bounds(numbers);
    let mut rows = index.scan(bounds.clone());
    if !is_valid(&bounds) {
        assert!(rows.next().is_none() && rows.next_back().is_none());
        return;
    }
    let mut expected = model.range(bounds.clone());
    let from_back = numbers.below(3);
    for _ in 0..=model.len() {
        let (row, expected) = match from_back == 2 || (from_back == 1 && numbers.below(2) == 1) {
            true => (rows.next_back(), expected.next_back()),
            false => (rows.next(), expected.next()),
        };
        let row = row.map(|row| row.map(|(key, value)| (key.to_vec(), value.to_vec())).unwrap());
        assert_eq!(row, expected.map(|(k, v)| (k.clone(), v.clone())), "{bounds:?}");
        if row.is_none() {
            break;
        }
    }
}

#[test]
fn any_order_of_writes_flushes_merges_and_restarts_reads_like_a_sorted_map() {
    for seed in 0..4 {
        let dir = tempfile::tempdir().unwrap();
        let mut numbers = Numbers(seed);
        let mut model = Model::new();
        let mut index = open(dir.path());
        for round in 0..60_u64 {
            let mut batch = Batch::default();
            for _ in 0..numbers.below(400) {
                let (key, mut payload) = row(numbers.below(4000));
                if numbers.below(4) == 0 {
                    batch.delete(&key);
                    model.remove(&key);
                } else {
                    payload.extend_from_slice(&round.to_le_bytes());
                    batch.put(&key, &payload);
                    model.insert(key, payload);
                }
            }
            index.write(&batch);
            match numbers.below(8) {
                0..3 => index.flush().unwrap(),
                3 => {
                    index.flush().unwrap();
                    drop(index);
                    index = open(dir.path());
                }
                _ => {}
            }
            for _ in 0..20 {
                scans_like_the_model(&index, &model, &mut numbers);
            }
        }
        holds(&index, &model);
        index.flush().unwrap();
        index.verify(&mut |_, _| {}).unwrap();
        assert_eq!(index.failed(), None);
        drop(index);
        holds(&open(dir.path()), &model);
    }
}

#[test]
fn tables_with_many_index_and_filter_blocks_read_like_a_sorted_map() {
    let dir = tempfile::tempdir().unwrap();
    let options = IndexOptions { table_bytes: 8 << 20, block_bytes: 256, ..small() };
    let index = Index::open(dir.path(), &options).unwrap();
    let mut model = Model::new();
    for start in (0..60_000).step_by(6_000) {
        put(&index, (start..start + 6_000).map(row));
        model.extend((start..start + 6_000).map(row));
        index.flush().unwrap();
    }
    until(|| is_merged(&index));
    let mut numbers = Numbers(7);
    for _ in 0..40 {
        scans_like_the_model(&index, &model, &mut numbers);
    }
    holds(&index, &model);
    for number in 60_000..120_000 {
        assert_eq!(index.get(&row(number).0).unwrap(), None);
    }
}
