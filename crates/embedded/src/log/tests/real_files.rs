//! The log on the operating system's files.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::log::{Lsn, Settings, Writer, create, recover};
use crate::storage::RealDisk;

const SEGMENT_BYTES: u64 = 64 * 1024;

fn settings(dir: &Path) -> Settings {
    let drawn = AtomicU32::new(7);
    Settings {
        disk: Arc::new(RealDisk),
        dir: dir.join("log"),
        segment_bytes: SEGMENT_BYTES,
        entropy: Arc::new(move || drawn.fetch_add(0x9e37_79b9, Ordering::Relaxed)),
        background: true,
    }
}

/// Frames with heads and rests of all lengths, over several segments; frees the older ones.
fn fill(writer: &mut Writer, frames: usize) -> Vec<(Lsn, Vec<u8>, Vec<u8>)> {
    let mut pushed = Vec::new();
    for at in 0..frames {
        let (head, rest) = (vec![at as u8; at * 7 % 3001], vec![!at as u8; at * 13 % 501]);
        if writer.room() < head.len() + rest.len() || writer.room() == 0 {
            writer.commit(true).unwrap();
            writer.roll(9).unwrap();
        }
        pushed.push((writer.push(at as u8, &head, &rest), head, rest));
        if at % 10 == 9 {
            writer.commit(true).unwrap();
        }
    }
    writer.commit(true).unwrap();
    pushed
}

#[test]
fn what_was_written_is_read_and_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let (mut writer, segments) = create(&settings, 9).unwrap();
    let pushed = fill(&mut writer, 300);
    assert!(writer.segment() > 4, "it has several segments");
    let lsns: Vec<Lsn> = pushed.iter().map(|frame| frame.0).collect();
    for (read, (lsn, head, _)) in segments.read_many(&lsns).into_iter().zip(&pushed) {
        let read = read.unwrap();
        assert_eq!(read.head, head);
        assert_eq!(segments.read(*lsn).unwrap(), read);
    }
    let end = writer.end();
    drop(writer);

    let mut replayed = Vec::new();
    let (writer, _, recovered) = recover(&settings, 0, Lsn::NONE, false, &mut |frame| {
        replayed.push((frame.lsn, frame.head.to_vec(), frame.rest.to_vec()));
        Ok(())
    })
    .unwrap();
    assert_eq!(replayed, pushed);
    assert_eq!((recovered.end, writer.end()), (end, end));
    assert_eq!((recovered.oldest_segment, recovered.store_epoch, recovered.cut), (1, 9, None));
}

#[test]
fn freed_segments_become_later_ones_and_never_replay() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let (mut writer, segments) = create(&settings, 1).unwrap();
    for _ in 0..20 {
        fill(&mut writer, 30);
        writer.roll(1).unwrap();
        for segment in 1..writer.segment() {
            writer.free(segment);
        }
    }
    let kept = writer.push(1, b"kept", b"");
    writer.commit(true).unwrap();
    drop(writer);
    assert!(segments.disk_bytes() <= 3 * SEGMENT_BYTES);
    let mut replayed = Vec::new();
    recover(&settings, 0, Lsn::NONE, false, &mut |frame| {
        replayed.push(frame.lsn);
        Ok(())
    })
    .unwrap();
    assert_eq!(replayed, [kept]);
}
