//! What a fuzzer does to the log; see [`crate::fuzzing`].

mod build;

use std::path::PathBuf;
use std::sync::Arc;

use super::address::{FRAME_ALIGN, Geometry, Lsn};
use super::frame::{FRAME_BYTES, FrameHeader, Place, encode};
use super::header::{HEADER_BYTES, Page};
use super::recover::Recovered;
use super::segments::{ReadError, Segments};
use super::settings::Settings;
use super::walk::Walk;
use super::{Head, Scan, Writer, recover};
use crate::error::OpenError;
use crate::fuzzing::{Input, MemoryDisk};
use crate::storage::Disk as _;
use build::Log;

/// The smallest there is: two of them are made for each input.
const SEGMENT_BYTES: u64 = 16 * 1024;
/// The smallest window there can be, so that frames and fragments lie across its ends.
const WINDOW_BYTES: usize = FRAME_BYTES;

/// See [`crate::fuzzing::frames`].
pub(crate) fn frames(data: &[u8]) {
    one(data);
    page(data);
    let log = Log::build(&mut Input::new(data));
    for number in log.numbers() {
        walk(&log, number);
    }
    let strict = opened(&log, false);
    let lenient = opened(&log, true);
    assert!(lenient.is_some() || strict.is_none(), "who is lenient opens what the strict one does");
}

/// A frame that holds is one that could have been written.
fn one(data: &[u8]) {
    let Some(header) = FrameHeader::decode(data) else { return };
    let Some(frame) = header.whole(data) else { return };
    assert_eq!(header.head(data), Some(frame.head));
    let place = Place { lsn: header.lsn, epoch: header.epoch, group_back: header.group_back };
    let mut again = Vec::new();
    encode(&mut again, place, frame.kind, frame.head, frame.rest);
    assert_eq!(again.len() as u64, header.size());
    assert!(again.len() <= data.len());
    let decoded = FrameHeader::decode(&again).expect("what was written begins like a frame");
    assert_eq!(decoded.whole(&again), Some(frame));
    assert_eq!(decoded.group_back, header.group_back);
}

/// A first page that holds is one that could have been written.
fn page(data: &[u8]) {
    let disk = MemoryDisk::default();
    let path = PathBuf::from("/page");
    disk.put(path.clone(), data.to_vec());
    let file = disk.open(&path).expect("the file was made just now");
    let page = Page::read(&*file).expect("a disk in memory does not fail");
    let _ = page.end();
    assert!(page.header.is_some() || !page.holds());
    if let Some(header) = page.header {
        disk.put(path.clone(), header.encode());
        let file = disk.open(&path).expect("the file was made just now");
        let again = Page::read(&*file).expect("a disk in memory does not fail");
        assert!(again.header == Some(header) && again.holds() && again.end().is_none());
    }
}

/// Whatever a segment holds, the frames found from the start on are those found one by one.
fn walk(log: &Log, number: u64) {
    let geometry = geometry();
    let limit = geometry.capacity().min(log.used(number) + 2 * FRAME_BYTES as u64);
    let walk = |window| {
        let file = log.disk.open(&path(number)).expect("the log has this segment");
        let segment = (number, log.epoch(number));
        Walk::new(file, geometry, segment, limit).with_window(window)
    };
    let mut whole = walk(SEGMENT_BYTES as usize);
    let mut holding = Vec::new();
    let mut at = HEADER_BYTES;
    while at < limit {
        if let Some(found) = whole.frame_at(at).expect("a disk in memory does not fail") {
            assert!(at + FRAME_BYTES as u64 <= found.end && found.end <= limit);
            assert!(found.end.is_multiple_of(FRAME_ALIGN));
            assert!((HEADER_BYTES..=at).contains(&found.group_start));
            assert_eq!(found.frame.lsn, geometry.lsn(number, at));
            holding.push(at);
        }
        at += FRAME_ALIGN;
    }
    for window in [WINDOW_BYTES, WINDOW_BYTES * 5 / 2, SEGMENT_BYTES as usize] {
        let mut walk = walk(window);
        let mut from = HEADER_BYTES;
        let mut found = Vec::new();
        while let Some(at) = walk.next_frame(from).expect("a disk in memory does not fail") {
            found.push(at);
            from = at + FRAME_ALIGN;
        }
        assert_eq!(found, holding, "with a window of {window} bytes");
    }
}

type Visited = Vec<(Lsn, Head, Vec<u8>)>;

fn open(
    disk: &MemoryDisk,
    lenient: bool,
) -> Result<(Writer, Segments, Recovered, Visited), OpenError> {
    let settings = Settings {
        disk: Arc::new(disk.clone()),
        dir: build::dir(),
        segment_bytes: SEGMENT_BYTES,
        entropy: Arc::new(|| 77),
        background: false,
    };
    let mut visited = Visited::new();
    let (writer, segments, recovered) = recover(&settings, 0, Lsn::NONE, lenient, &mut |frame| {
        let head = Head { kind: frame.kind, head: frame.head.to_vec().into() };
        visited.push((frame.lsn, head, frame.rest.to_vec()));
        Ok(())
    })?;
    Ok((writer, segments, recovered, visited))
}

/// What opens is read as it was replayed, takes one frame more, and opens again to the same.
fn opened(log: &Log, lenient: bool) -> Option<()> {
    let disk = log.disk.copy();
    let (mut writer, segments, recovered, mut visited) = match open(&disk, lenient) {
        Ok(opened) => opened,
        Err(OpenError::Damaged { .. }) => return None,
        Err(other) => panic!("only damage is a reason: {other}"),
    };
    assert_eq!(writer.end(), recovered.end);
    read(&segments, &visited);
    wander(&segments, &log.places);
    scan(&segments, log, &visited);
    if writer.room() >= 8 {
        let lsn = writer.push(9, b"head", b"rest");
        assert_eq!(lsn, recovered.end);
        writer.commit(true).expect("a disk in memory does not fail");
        visited.push((lsn, Head { kind: 9, head: b"head"[..].into() }, b"rest".to_vec()));
    }
    let end = writer.end();
    drop(writer);
    let (_, _, again, visited_again) = open(&disk, false).expect("what was settled opens");
    assert_eq!((again.end, again.cut), (end, None));
    assert_eq!(visited_again, visited);
    Some(())
}

fn read(segments: &Segments, visited: &Visited) {
    let lsns: Vec<Lsn> = visited.iter().rev().map(|(lsn, ..)| *lsn).collect();
    let many = segments.read_many(&lsns);
    let at_once = segments.try_read_many(&lsns).expect("all is in memory");
    assert!(many.len() == lsns.len() && at_once.len() == lsns.len());
    let answers = many.into_iter().zip(at_once);
    for ((lsn, expected, _), (many, at_once)) in visited.iter().rev().zip(answers) {
        for answer in [segments.read(*lsn), many, at_once] {
            assert_eq!(answer.ok().as_ref(), Some(expected), "{lsn:?}");
        }
    }
}

/// Addresses that nobody was given are refused or read the same, alone and together.
fn wander(segments: &Segments, places: &[Lsn]) {
    let many = segments.read_many(places);
    assert_eq!(many.len(), places.len());
    for (lsn, answer) in places.iter().zip(many) {
        match (segments.read(*lsn), answer) {
            (Ok(alone), Ok(together)) => assert_eq!(alone, together),
            (Err(ReadError::Gone), Err(ReadError::Gone)) => {}
            (Err(ReadError::Damaged { detail: alone }), Err(ReadError::Damaged { detail })) => {
                assert_eq!(alone, detail);
            }
            (alone, together) => panic!("{lsn:?} is {alone:?} alone and {together:?} together"),
        }
    }
}

/// What was replayed is what every byte is looked at for.
fn scan(segments: &Segments, log: &Log, visited: &Visited) {
    let mut scanned = Visited::new();
    for number in log.numbers() {
        let visit = &mut |scan: Scan<'_>| match scan {
            Scan::Frame(frame) => {
                let head = Head { kind: frame.kind, head: frame.head.to_vec().into() };
                scanned.push((frame.lsn, head, frame.rest.to_vec()));
            }
            // What a header does not cover may be damaged, the frames that were replayed not.
            Scan::Damaged { from, bytes } => {
                assert_eq!((geometry().offset(from), bytes), (0, HEADER_BYTES));
            }
        };
        match segments.scan(number, visit) {
            // It had no header and no frame, so it was removed.
            Ok(()) | Err(ReadError::Gone) => {}
            Err(other) => panic!("a segment that opened can be scanned: {other}"),
        }
    }
    assert_eq!(&scanned, visited);
}

fn geometry() -> Geometry {
    Geometry::new(SEGMENT_BYTES).expect("the smallest segment is one that can be")
}

fn path(number: u64) -> PathBuf {
    super::settings::segment_path(&build::dir(), number)
}

/// What holds, to be changed: a frame, and a first page that was sealed.
#[cfg(test)]
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let place = Place { lsn: geometry().lsn(1, HEADER_BYTES), epoch: 5, group_back: 8 };
    let mut frame = Vec::new();
    encode(&mut frame, place, 2, b"head of a frame", b"rest of it");
    let (disk, page) = (MemoryDisk::default(), PathBuf::from("/page"));
    let file = disk.create(&page).unwrap();
    file.write_all_at(&build::header(2, place.lsn).encode(), 0).unwrap();
    super::header::seal(&*file, geometry().lsn(2, 8192), 5).unwrap();
    let mut sealed = vec![0; HEADER_BYTES as usize];
    file.read_at(&mut sealed, 0).unwrap();
    vec![frame, sealed]
}
