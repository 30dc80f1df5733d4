//! What a crash leaves is cut off; what it cannot have left is refused.

use super::{SEGMENT_BYTES, commit, new_log, offset, path, push, refused, reopen};
use crate::storage::Disk as _;
use crate::storage::faulty::{Fault, FaultyDisk};

#[test]
fn a_torn_end_is_cut_even_if_its_later_frames_are_whole() {
    let disk = FaultyDisk::new(1);
    let (mut writer, _) = new_log(&disk);
    let kept = commit(&mut writer, 3, 900);
    let torn = commit(&mut writer, 4, 900);
    drop(writer);
    disk.flip_bit(&path(1), offset(torn[1].lsn) + 50, 3);
    let log = reopen(&disk, 0, false).unwrap();
    assert_eq!(log.frames, [&kept[..], &torn[..1]].concat());
    assert_eq!(log.recovered.cut.map(|(at, _)| at), Some(torn[1].lsn));
    assert_eq!(log.recovered.end, torn[1].lsn);
    let end = offset(torn[1].lsn) as usize;
    assert!(disk.contents(&path(1))[end..].iter().all(|byte| *byte == 0), "the rest is zeros");
    assert_eq!(reopen(&disk, 0, false).unwrap().recovered.cut, None);
}

#[test]
fn damage_before_a_finished_write_is_refused_and_says_where() {
    let disk = FaultyDisk::new(2);
    let (mut writer, _) = new_log(&disk);
    let damaged = commit(&mut writer, 1, 300)[0].lsn;
    commit(&mut writer, 1, 300);
    drop(writer);
    disk.flip_bit(&path(1), offset(damaged) + 50, 3);
    let before = disk.contents(&path(1));
    let detail = format!("at byte {}", offset(damaged));
    refused(reopen(&disk, 0, false), &path(1), &detail);
    refused(reopen(&disk, 0, false), &path(1), "restore a backup");
    assert!(before == disk.contents(&path(1)), "nothing was changed");
    let log = reopen(&disk, 0, true).unwrap();
    assert_eq!((log.frames.len(), log.recovered.end), (0, damaged), "lenient: it is given up");
}

#[test]
fn a_closed_segment_is_whole_up_to_the_end_that_the_next_one_states() {
    let disk = FaultyDisk::new(3);
    let (mut writer, _) = new_log(&disk);
    let last = commit(&mut writer, 5, 300)[4].lsn;
    writer.roll(1).unwrap();
    drop(writer);
    disk.flip_bit(&path(1), offset(last), 0);
    refused(reopen(&disk, 0, false), &path(1), &format!("at byte {}", offset(last)));
    refused(reopen(&disk, 1, true), &path(1), "at byte");
    assert_eq!(reopen(&disk, 2, false).unwrap().frames, []);
}

#[test]
fn segments_that_are_missing_or_of_another_log_are_refused() {
    let disk = FaultyDisk::new(4);
    let (mut writer, _) = new_log(&disk);
    for _ in 0..3 {
        commit(&mut writer, 2, 300);
        writer.roll(1).unwrap();
    }
    drop(writer);
    refused(reopen(&disk, 9, false), &path(9), "missing");
    let other = FaultyDisk::new(5);
    // The epochs of a test's log follow from how much its disk was changed before.
    for _ in 0..2 {
        other.sync_dir(std::path::Path::new("/")).unwrap();
    }
    let (mut foreign, _) = new_log(&other);
    foreign.roll(1).unwrap();
    let file = disk.open(&path(2)).unwrap();
    let own = disk.contents(&path(2));
    file.write_all_at(&other.contents(&path(2)), 0).unwrap();
    refused(reopen(&disk, 1, false), &path(2), "not one of this log");
    file.write_all_at(&own, 0).unwrap();
    assert_eq!(reopen(&disk, 0, false).unwrap().frames.len(), 6);
    disk.remove(&path(2)).unwrap();
    refused(reopen(&disk, 0, false), &path(2), "missing");
    assert_eq!(reopen(&disk, 3, false).unwrap().frames.len(), 2);
    for segment in [1, 3, 4] {
        disk.remove(&path(segment)).unwrap();
    }
    refused(reopen(&disk, 3, false), std::path::Path::new("/data/log"), "no segment");
}

#[test]
fn a_roll_that_stops_at_any_step_loses_nothing() {
    for seed in 0..20 {
        for before in 0..12 {
            let disk = FaultyDisk::new(seed);
            let (mut writer, _) = new_log(&disk);
            let mut kept = commit(&mut writer, 3, 700);
            disk.fail_after(before, Fault::Stop);
            let rolled = writer.roll(2);
            let disk = disk.power_cut();
            let mut log = reopen(&disk, 0, false).unwrap();
            assert_eq!(log.frames, kept, "seed {seed}, stopped after {before}");
            assert!(rolled.is_err() || log.recovered.store_epoch == 2);
            kept.extend(commit(&mut log.writer, 2, 700));
            drop(log);
            assert_eq!(reopen(&disk, 0, false).unwrap().frames, kept);
        }
    }
}

#[test]
fn a_newest_segment_without_a_header_is_removed_only_if_it_is_empty() {
    let disk = FaultyDisk::new(6);
    let (mut writer, _) = new_log(&disk);
    let mut kept = commit(&mut writer, 3, 700);
    writer.roll(1).unwrap();
    drop(writer);
    disk.zero_page(&path(2), 0);
    refused(reopen(&disk, 2, false), &path(2), "at byte 0");
    let mut log = reopen(&disk, 1, false).unwrap();
    assert_eq!((&log.frames, log.writer.segment()), (&kept, 1));
    log.writer.roll(1).unwrap();
    kept.extend(commit(&mut log.writer, 1, 100));
    drop(log);
    disk.flip_bit(&path(2), 20, 1);
    refused(reopen(&disk, 1, false), &path(2), "at byte 0");
}

#[test]
fn stale_frames_of_a_recycled_segment_never_replay() {
    let disk = FaultyDisk::new(7);
    let (mut writer, _) = new_log(&disk);
    for _ in 0..5 {
        while writer.room() > 1000 {
            commit(&mut writer, 1, 900);
        }
        writer.roll(1).unwrap();
        writer.free(writer.segment() - 1);
    }
    let kept = push(&mut writer, 1, b"kept", b"");
    writer.commit(true).unwrap();
    drop(writer);
    let stale = disk.contents(&path(6));
    assert!(stale[SEGMENT_BYTES as usize / 2..].iter().any(|byte| *byte != 0), "it was recycled");
    assert_eq!(reopen(&disk.power_cut(), 6, false).unwrap().frames, [kept]);
}

#[test]
fn what_a_failed_sync_left_in_memory_is_written_again() {
    // A failed sync, a new process, a power cut: the log was refused as damaged, since what the
    // first process had written was still seen by the second, and never got to the disk.
    for seed in 0..50 {
        let disk = FaultyDisk::new(seed);
        let (mut writer, _) = new_log(&disk);
        push(&mut writer, 1, &[1; 3000], b"");
        disk.fail_after(1, Fault::Once);
        assert!(writer.commit(true).is_err());
        let disk = disk.process_kill();
        let mut log = reopen(&disk, 0, false).unwrap();
        let mut kept = log.frames;
        kept.extend(commit(&mut log.writer, 1, 100));
        assert_eq!(reopen(&disk.power_cut(), 0, false).unwrap().frames, kept);
    }
}
