//! After the first failure nothing is written any more.

use super::{Pushed, SEGMENT_BYTES, commit, new_log, push, reopen, settings};
use crate::log::{Settings, create};
use crate::storage::faulty::{Fault, FaultyDisk};

#[test]
fn a_failed_write_or_sync_poisons_the_writer() {
    for before in 0..2 {
        let disk = FaultyDisk::new(before);
        let (mut writer, segments) = new_log(&disk);
        let kept = commit(&mut writer, 2, 300);
        let end = segments.end();
        push(&mut writer, 1, &[1; 2000], b"");
        disk.fail_after(before, Fault::Once);
        assert!(writer.commit(true).is_err());
        let changes = disk.changes();
        push(&mut writer, 1, b"later", b"");
        assert!(writer.commit(true).is_err() && writer.commit(false).is_err());
        assert!(writer.sync().is_err() && writer.roll(1).is_err());
        writer.free(1);
        assert_eq!(disk.changes(), changes, "the disk was left alone");
        assert_eq!(segments.end(), end, "nothing of it can be read");
        assert_eq!(segments.read(kept[1].lsn).unwrap().head, kept[1].head);
    }
}

/// The bug: the system tells of a failed sync once. Whoever synced next heard that all was well,
/// and the index was written ahead of a log that was not on the disk.
#[test]
fn a_failed_sync_is_the_failure_of_all_who_sync() {
    let disk = FaultyDisk::new(3);
    let (mut writer, segments) = new_log(&disk);
    push(&mut writer, 1, b"head", b"rest");
    writer.commit(false).unwrap();
    disk.fail_after(0, Fault::Once);
    assert!(writer.sync().is_err());
    assert!(segments.sync().is_err(), "the writer's failure is the readers'");

    let disk = FaultyDisk::new(4);
    let (mut writer, segments) = new_log(&disk);
    push(&mut writer, 1, b"head", b"rest");
    writer.commit(false).unwrap();
    disk.fail_after(0, Fault::Once);
    assert!(segments.sync().is_err());
    push(&mut writer, 1, b"later", b"");
    assert!(writer.commit(false).is_err(), "and the other way round");
}

#[test]
fn a_spare_that_cannot_be_made_is_no_failure() {
    let disk = FaultyDisk::new(1);
    let (mut writer, segments) = new_log(&disk);
    disk.full_after(SEGMENT_BYTES / 2);
    commit(&mut writer, 10, 2000);
    assert_eq!(segments.disk_bytes(), SEGMENT_BYTES, "the spare was removed");
    writer.roll(1).unwrap();
    disk.full_after(0);
    push(&mut writer, 1, &[1; 5000], b"");
    assert!(writer.commit(true).is_err());
    drop(writer);
    assert_eq!(reopen(&disk.process_kill(), 0, false).unwrap().frames.len(), 10);
}

#[test]
fn a_commit_is_not_readable_before_its_sync_is_done() {
    let disk = FaultyDisk::new(2);
    let (mut writer, segments) = new_log(&disk);
    disk.hold_next_sync();
    let end = segments.end();
    let Pushed { lsn, .. } = push(&mut writer, 1, b"head", b"rest");
    let committing = std::thread::spawn(move || writer.commit(true));
    disk.wait_for_held_sync();
    assert_eq!(segments.end(), end);
    assert!(segments.read(lsn).is_err());
    disk.release_sync();
    committing.join().unwrap().unwrap();
    assert_eq!(segments.read(lsn).unwrap().head, &b"head"[..]);
}

#[test]
fn a_roll_does_not_wait_for_a_spare_that_is_being_made() {
    let disk = FaultyDisk::new(3);
    let settings = Settings { background: true, ..settings(&disk) };
    let (mut writer, _) = create(&settings, 1).unwrap();
    push(&mut writer, 1, &[1; 30_000], b"");
    disk.hold_next_sync();
    writer.commit(false).unwrap();
    disk.wait_for_held_sync();
    // The filler is stuck in its sync; a roll that waited for it would never return.
    writer.roll(1).unwrap();
    assert_eq!(writer.segment(), 2);
    disk.release_sync();
    drop(writer);
    assert_eq!(reopen(&disk, 0, false).unwrap().frames.len(), 1);
}

#[test]
fn only_a_log_without_frames_is_made_anew() {
    let disk = FaultyDisk::new(4);
    let (writer, _) = new_log(&disk);
    drop(writer);
    let (mut writer, _) = create(&settings(&disk), 1).unwrap();
    commit(&mut writer, 1, 100);
    drop(writer);
    assert!(create(&settings(&disk), 1).is_err());
}
