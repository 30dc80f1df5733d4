//! What a crash takes away.

use super::*;

/// Copies the files as a crash would leave them: those of the last flush.
fn crashed(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_tree(dir, copy.path());
    copy
}

pub(super) fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn a_crash_takes_what_was_not_flushed_all_of_it_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    let mut model = Model::new();
    for round in 0..3 {
        let rows = (round * 100..round * 100 + 100).map(row);
        put(&index, rows.clone());
        model.extend(rows);
        index.flush().unwrap();
        put(&index, (0..50).map(|n| (row(n).0, b"lost".to_vec())));
        put(&index, (9000..9050).map(row));
        holds(&open(crashed(dir.path()).path()), &model);
        model.extend((0..50).map(|n| (row(n).0, b"lost".to_vec())));
        model.extend((9000..9050).map(row));
    }
    index.flush().unwrap();
    holds(&open(crashed(dir.path()).path()), &model);
}

#[test]
fn leftovers_of_unfinished_steps_are_neither_refused_nor_kept() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    let model: Model = (0..100).map(row).collect();
    put(&index, model.clone());
    index.flush().unwrap();
    drop(index);
    let leftovers = ["tables/77", "v9", ".tmpAbCdEf"];
    for leftover in leftovers {
        std::fs::write(dir.path().join(leftover), b"half").unwrap();
    }
    holds(&open(dir.path()), &model);
    for leftover in leftovers {
        assert!(!dir.path().join(leftover).exists(), "{leftover}");
    }
}

#[test]
fn a_first_start_that_was_cut_off_begins_anew() {
    for files in [&["tables/"][..], &["tables/", "v0"], &["tables/", "v0", ".tmpAbCdEf"]] {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            match file.strip_suffix('/') {
                Some(folder) => std::fs::create_dir(dir.path().join(folder)).unwrap(),
                None => std::fs::write(dir.path().join(file), b"half").unwrap(),
            }
        }
        holds(&open(dir.path()), &Model::new());
    }
}

/// Stops a process at each write of the disk in turn would need a file system of our own; this
/// is what each step of a flush leaves, in the order in which the steps are made durable.
#[test]
fn every_step_of_a_flush_leaves_the_state_before_or_after() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    let mut model: Model = (0..100).map(row).collect();
    put(&index, model.clone());
    index.flush().unwrap();
    index.close();
    let before = crashed(dir.path());
    let old = model.clone();
    put(&index, (100..200).map(row));
    model.extend((100..200).map(row));
    index.flush().unwrap();
    let after = crashed(dir.path());
    let new_files: Vec<_> = ["tables", "."]
        .iter()
        .flat_map(|folder| std::fs::read_dir(after.path().join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && !path.ends_with("current"))
        .filter_map(|path| path.strip_prefix(after.path()).ok().map(Path::to_owned))
        .filter(|path| !before.path().join(path).exists())
        .collect();
    assert!(new_files.len() >= 2, "a table and a version");
    let step = crashed(before.path());
    for file in &new_files {
        for part in [2, 1] {
            let whole = std::fs::read(after.path().join(file)).unwrap();
            std::fs::write(step.path().join(file), &whole[..whole.len() / part]).unwrap();
            holds(&open(crashed(step.path()).path()), &old);
        }
    }
    std::fs::copy(after.path().join("current"), step.path().join("current")).unwrap();
    holds(&open(crashed(step.path()).path()), &model);
}
