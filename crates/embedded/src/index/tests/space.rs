//! Space on the disk and in memory is given back.

use super::*;

/// Bytes of the files; one may be deleted while this looks.
fn table_files(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir.join("tables")).unwrap().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

#[test]
fn rows_written_over_and_over_do_not_fill_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    put(&index, (0..4000).map(row));
    index.flush().unwrap();
    let once = index.disk_bytes();
    for _ in 0..40 {
        put(&index, (0..4000).map(row));
        index.flush().unwrap();
        until(|| is_merged(&index));
    }
    until(|| table_files(dir.path()) < once * 6);
    assert!(index.disk_bytes() < once * 6, "{} of {once}", index.disk_bytes());
}

#[test]
fn deleted_rows_leave_the_disk_as_new_ones_come() {
    let dir = tempfile::tempdir().unwrap();
    let options = IndexOptions { table_bytes: 8 * 1024, ..small() };
    let index = Index::open(dir.path(), &options).unwrap();
    let part = |part: u64| (part * 1000..part * 1000 + 1000).map(row);
    put(&index, part(0));
    index.flush().unwrap();
    let once = index.disk_bytes();
    for number in 1..80 {
        put(&index, part(number));
        let mut batch = Batch::default();
        part(number - 1).for_each(|(key, _)| batch.delete(&key));
        index.write(&batch);
        index.flush().unwrap();
        until(|| is_merged(&index));
    }
    until(|| table_files(dir.path()) < once * 20);
    holds(&index, &part(79).collect());
}

#[test]
fn a_flush_gives_the_memory_of_its_rows_back() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    for part in 0..5 {
        put(&index, (part * 1000..part * 1000 + 1000).map(row));
        assert!(index.unflushed_bytes() > 50_000);
        index.flush().unwrap();
        assert_eq!(index.unflushed_bytes(), 0);
    }
}
