//! Damaged files: an error, or the same answers as before; never other rows, never a panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use super::crash::copy_tree;
use super::*;
use crate::index::IndexError;

const ABSENT: std::ops::Range<u64> = 900_000..900_040;

/// A small tree with three unsorted tables that overlap, with deletes and older versions.
fn tree() -> (tempfile::TempDir, Model) {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    let mut model = Model::new();
    for round in 0..3_u64 {
        let mut batch = Batch::default();
        for number in round * 20..round * 20 + 40 {
            let (key, _) = row(number);
            if number % 7 == round {
                batch.delete(&key);
                model.remove(&key);
            } else {
                let payload = format!("{round} of {number}").into_bytes();
                batch.put(&key, &payload);
                model.insert(key, payload);
            }
        }
        index.write(&batch);
        index.flush().unwrap();
    }
    index.close();
    holds(&index, &model);
    drop(index);
    (dir, model)
}

/// Whether the damage was seen. Panics if an answer is wrong.
fn is_seen(dir: &Path, model: &Model) -> bool {
    let Ok(index) = Index::open(dir, &small()) else { return true };
    let scanned: Result<Vec<_>, IndexError> = index.scan::<&[u8]>(..).collect();
    let backwards: Result<Vec<_>, IndexError> = index.scan::<&[u8]>(..).rev().collect();
    assert_eq!(scanned.is_err(), backwards.is_err());
    let mut seen = scanned.is_err();
    if let (Ok(rows), Ok(mut backwards)) = (scanned, backwards) {
        backwards.reverse();
        assert!(rows == backwards);
        let rows = rows.iter().map(|(key, value)| (key.to_vec(), value.to_vec()));
        assert!(rows.eq(model.clone()), "other rows than before");
    }
    for (key, payload) in model {
        match index.get(key) {
            Ok(value) => assert_eq!(value.as_deref(), Some(&payload[..])),
            Err(_) => seen = true,
        }
    }
    for number in ABSENT {
        match index.get(&row(number).0) {
            Ok(value) => assert_eq!(value, None),
            Err(_) => seen = true,
        }
    }
    index.verify(&mut |_, _| {}).is_err() || seen
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in [dir.to_owned(), dir.join("tables")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                found.push(path.strip_prefix(dir).unwrap().to_owned());
            }
        }
    }
    found
}

/// Damages `file`, looks, mends it, and returns whether it was seen.
fn damaged(dir: &Path, model: &Model, file: &Path, damage: &dyn Fn(&mut Vec<u8>)) -> bool {
    let path = dir.join(file);
    let whole = std::fs::read(&path).unwrap();
    let mut bytes = whole.clone();
    damage(&mut bytes);
    std::fs::write(&path, bytes).unwrap();
    let seen = catch_unwind(AssertUnwindSafe(|| is_seen(dir, model)));
    std::fs::write(&path, whole).unwrap();
    seen.unwrap_or_else(|_| panic!("a wrong answer or a panic with {}", file.display()))
}

#[test]
fn every_flipped_byte_is_seen_or_harmless() {
    let (dir, model) = tree();
    let (mut flips, mut unseen) = (0, Vec::new());
    for file in files(dir.path()) {
        for at in 0..std::fs::metadata(dir.path().join(&file)).unwrap().len() {
            let at = usize::try_from(at).unwrap();
            let mask = [0x01, 0x80, 0xFF][at % 3];
            flips += 1;
            if !damaged(dir.path(), &model, &file, &|bytes| bytes[at] ^= mask) {
                unseen.push((file.clone(), at));
            }
        }
    }
    assert!(flips > 3000, "{flips}");
    assert!(unseen.is_empty(), "{unseen:?}");
}

#[test]
fn every_zeroed_page_is_seen() {
    let (dir, model) = tree();
    for file in files(dir.path()) {
        let length = std::fs::metadata(dir.path().join(&file)).unwrap().len();
        for size in [16, 64, 512, 4096] {
            for start in (0..usize::try_from(length).unwrap()).step_by(size) {
                let zero = |bytes: &mut Vec<u8>| {
                    let end = bytes.len().min(start + size);
                    bytes[start..end].fill(0);
                };
                let mut changed = std::fs::read(dir.path().join(&file)).unwrap();
                let before = changed.clone();
                zero(&mut changed);
                let seen = damaged(dir.path(), &model, &file, &zero);
                assert!(seen || changed == before, "{} {start} {size}", file.display());
            }
        }
    }
}

#[test]
fn every_cut_off_end_and_every_lost_file_is_seen() {
    let (dir, model) = tree();
    for file in files(dir.path()) {
        let length = std::fs::metadata(dir.path().join(&file)).unwrap().len();
        let length = usize::try_from(length).unwrap();
        for keep in (0..length).step_by(37).chain([length - 1]) {
            let cut = |bytes: &mut Vec<u8>| bytes.truncate(keep);
            assert!(damaged(dir.path(), &model, &file, &cut), "{} {keep}", file.display());
        }
        let copy = tempfile::tempdir().unwrap();
        copy_tree(dir.path(), copy.path());
        std::fs::remove_file(copy.path().join(&file)).unwrap();
        assert!(Index::open(copy.path(), &small()).is_err(), "without {}", file.display());
        assert_eq!(files(copy.path()).len() + 1, files(dir.path()).len(), "nothing was deleted");
    }
}

#[test]
fn a_table_in_the_place_of_another_is_seen_when_everything_is_verified() {
    let (dir, _) = tree();
    let tables: Vec<_> =
        files(dir.path()).into_iter().filter(|f| f.starts_with("tables")).collect();
    assert!(tables.len() >= 2);
    std::fs::copy(dir.path().join(&tables[0]), dir.path().join(&tables[1])).unwrap();
    if let Ok(index) = Index::open(dir.path(), &small()) {
        assert!(index.verify(&mut |_, _| {}).is_err());
    }
}

/// In tables of several blocks of each kind, after a merge.
#[test]
fn random_flips_in_a_merged_tree_are_seen_or_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    let model: Model = (0..20_000).map(row).collect();
    for part in 0..10 {
        put(&index, (part * 2000..part * 2000 + 2000).map(row));
        index.flush().unwrap();
    }
    until(|| is_merged(&index) && (runs(&index, 5), runs(&index, 6)) == (0, 1));
    index.close();
    drop(index);
    let files = files(dir.path());
    let mut numbers = Numbers(3);
    for _ in 0..60 {
        let file = &files[usize::try_from(numbers.below(files.len() as u64)).unwrap()];
        let length = std::fs::metadata(dir.path().join(file)).unwrap().len();
        let at = usize::try_from(numbers.below(length)).unwrap();
        assert!(damaged(dir.path(), &model, file, &|bytes| bytes[at] ^= 0x10), "{file:?} {at}");
    }
}
