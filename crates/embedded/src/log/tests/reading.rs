//! Reads by address: one, many, and only what is in memory.

use super::{Pushed, SEGMENT_BYTES, commit, new_log, push};
use crate::log::{Lsn, ReadError, Segments, Writer};
use crate::storage::faulty::FaultyDisk;

/// Frames over three segments, with heads from nothing to longer than one read.
fn filled(disk: &FaultyDisk) -> (Writer, Segments, Vec<Pushed>) {
    let (mut writer, segments) = new_log(disk);
    let mut pushed = Vec::new();
    for (at, bytes) in [0, 10, 5000, 300, 30_000, 1].into_iter().cycle().take(18).enumerate() {
        if at % 6 == 5 {
            writer.roll(1).unwrap();
        }
        pushed.push(push(&mut writer, at as u8, &vec![at as u8; bytes], &[7; 40]));
        writer.commit(true).unwrap();
    }
    (writer, segments, pushed)
}

#[track_caller]
fn same(read: Vec<Result<crate::log::Head, ReadError>>, pushed: &[Pushed]) {
    assert_eq!(read.len(), pushed.len());
    for (read, pushed) in read.into_iter().zip(pushed) {
        let read = read.unwrap();
        assert_eq!((read.kind, &read.head[..]), (pushed.kind, &pushed.head[..]));
    }
}

#[test]
fn many_are_read_in_the_order_asked_for_from_memory_or_the_device() {
    let disk = FaultyDisk::new(1);
    let (_writer, segments, mut pushed) = filled(&disk);
    pushed.reverse();
    pushed.push(pushed[3].clone());
    let lsns: Vec<Lsn> = pushed.iter().map(|frame| frame.lsn).collect();
    same(segments.read_many(&lsns), &pushed);
    same(segments.try_read_many(&lsns).unwrap(), &pushed);
    assert_eq!(disk.prefetches(), 0);
    disk.forget_cache(true);
    assert!(segments.try_read_many(&lsns).is_none());
    same(segments.read_many(&lsns), &pushed);
    assert!(disk.prefetches() >= 3, "each run is asked for before the first is read");
    assert!(segments.read_many(&[]).is_empty());
}

#[test]
fn an_address_where_no_frame_begins_is_told_and_spoils_no_other() {
    let (mut writer, segments) = new_log(&FaultyDisk::new(2));
    let good = commit(&mut writer, 1, 100).remove(0);
    let end = writer.end().raw();
    let wrong =
        [0, 1, SEGMENT_BYTES, good.lsn.raw() + 1, good.lsn.raw() + 8, end, end + 8, u64::MAX];
    for raw in wrong {
        let lsn = Lsn::from_raw(raw);
        assert!(segments.read(lsn).is_err(), "{lsn:?}");
        let both = segments.read_many(&[lsn, good.lsn]);
        assert!(both[0].is_err() && both[1].is_ok(), "{lsn:?}");
    }
}

#[test]
fn a_freed_segment_is_gone_and_not_damaged() {
    let disk = FaultyDisk::new(3);
    let (mut writer, segments, pushed) = filled(&disk);
    writer.free(1);
    let read = segments.read_many(&[pushed[0].lsn, pushed[6].lsn]);
    assert!(matches!(read[0], Err(ReadError::Gone)) && read[1].is_ok());
    assert_eq!(segments.list().unwrap().first().map(|segment| segment.0), Some(2));
}
