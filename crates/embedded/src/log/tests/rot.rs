//! Whatever byte of a segment changes, a scan finds it.

use super::{SEGMENT_BYTES, commit, new_log, offset, path};
use crate::log::{Lsn, Scan, Segments};
use crate::storage::faulty::FaultyDisk;

/// The frames that hold and the damaged ranges, as bytes in the segment.
fn scan(segments: &Segments, segment: u64) -> (Vec<Lsn>, Vec<(u64, u64)>) {
    let (mut frames, mut damaged) = (Vec::new(), Vec::new());
    let visit = &mut |scan: Scan<'_>| match scan {
        Scan::Frame(frame) => frames.push(frame.lsn),
        Scan::Damaged { from, bytes } => damaged.push((offset(from), offset(from) + bytes)),
    };
    segments.scan(segment, visit).unwrap();
    (frames, damaged)
}

#[test]
fn one_flipped_bit_anywhere_is_found_and_costs_one_frame() {
    for closed in [false, true] {
        let disk = FaultyDisk::new(1);
        let (mut writer, segments) = new_log(&disk);
        let pushed = commit(&mut writer, 5, 61);
        let end = offset(writer.end());
        if closed {
            writer.roll(1).unwrap();
        }
        assert_eq!(segments.list().unwrap()[0], (1, end));
        for byte in 0..end {
            disk.flip_bit(&path(1), byte, byte as u32 % 8);
            let (frames, damaged) = scan(&segments, 1);
            let [(from, to)] = damaged[..] else { panic!("{damaged:?} with byte {byte} flipped") };
            assert!((from..to).contains(&byte));
            let lost = pushed.iter().filter(|frame| !frames.contains(&frame.lsn));
            assert!(lost.eq(pushed.iter().filter(|frame| offset(frame.lsn) == from)));
            disk.flip_bit(&path(1), byte, byte as u32 % 8);
        }
        assert_eq!(scan(&segments, 1).1, []);
    }
}

#[test]
fn a_damaged_head_is_never_read() {
    let disk = FaultyDisk::new(2);
    let (mut writer, segments) = new_log(&disk);
    let lsn = commit(&mut writer, 1, 100)[0].lsn;
    for byte in 0..40 + 50 {
        disk.flip_bit(&path(1), offset(lsn) + byte, 5);
        assert!(segments.read(lsn).is_err(), "byte {byte}");
        assert!(segments.read_many(&[lsn])[0].is_err(), "byte {byte}");
        disk.flip_bit(&path(1), offset(lsn) + byte, 5);
    }
    assert!(segments.read(lsn).is_ok());
}

#[test]
fn a_zeroed_page_is_found_wherever_it_is() {
    let disk = FaultyDisk::new(3);
    let (mut writer, segments) = new_log(&disk);
    while writer.room() > 1000 {
        commit(&mut writer, 1, 900);
    }
    writer.roll(1).unwrap();
    let bytes = disk.contents(&path(1));
    for page in (0..SEGMENT_BYTES).step_by(4096) {
        disk.zero_page(&path(1), page);
        let damaged = scan(&segments, 1).1;
        assert!(damaged.len() == 1 && damaged[0].0 <= page, "{page}: {damaged:?}");
        let file = crate::storage::Disk::open(&disk, &path(1)).unwrap();
        file.write_all_at(&bytes, 0).unwrap();
    }
    assert_eq!(scan(&segments, 1).1, []);
}

#[test]
fn the_end_of_a_segment_is_known_after_the_next_one_was_freed() {
    let disk = FaultyDisk::new(4);
    let (mut writer, _) = new_log(&disk);
    let last = commit(&mut writer, 3, 200)[2].lsn;
    writer.roll(1).unwrap();
    writer.roll(1).unwrap();
    writer.free(2);
    drop(writer);
    disk.flip_bit(&path(1), offset(last), 0);
    let log = super::reopen(&disk, 3, false).unwrap();
    assert_eq!(scan(&log.segments, 1).1.len(), 1);
}
