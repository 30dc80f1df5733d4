//! Tests of the log, on a disk that fails.

mod crashes;
mod failures;
mod reading;
mod real_files;
mod rot;
mod simulation;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::recover::Recovered;
use super::{Lsn, Segments, Settings, Writer, create, recover};
use crate::error::OpenError;
use crate::storage::faulty::FaultyDisk;

const SEGMENT_BYTES: u64 = 64 * 1024;

/// A frame as it was pushed or found.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pushed {
    lsn: Lsn,
    kind: u8,
    head: Vec<u8>,
    rest: Vec<u8>,
}

fn settings(disk: &FaultyDisk) -> Settings {
    let drawn = AtomicU32::new(disk.changes() as u32 | 1);
    Settings {
        disk: Arc::new(disk.clone()),
        dir: PathBuf::from("/data/log"),
        segment_bytes: SEGMENT_BYTES,
        entropy: Arc::new(move || drawn.fetch_add(0x9e37_79b9, Ordering::Relaxed)),
        background: false,
    }
}

fn new_log(disk: &FaultyDisk) -> (Writer, Segments) {
    create(&settings(disk), 1).unwrap()
}

fn push(writer: &mut Writer, kind: u8, head: &[u8], rest: &[u8]) -> Pushed {
    let lsn = writer.push(kind, head, rest);
    Pushed { lsn, kind, head: head.to_vec(), rest: rest.to_vec() }
}

/// Commits `count` frames, each of about `bytes`, in one group.
fn commit(writer: &mut Writer, count: usize, bytes: usize) -> Vec<Pushed> {
    let frame = |at| {
        let (head, rest) = (vec![at as u8 + 1; bytes / 2 + at], vec![at as u8 + 101; bytes / 2]);
        push(writer, at as u8, &head, &rest)
    };
    let pushed = (0..count).map(frame).collect();
    writer.commit(true).unwrap();
    pushed
}

struct Reopened {
    writer: Writer,
    segments: Segments,
    recovered: Recovered,
    frames: Vec<Pushed>,
}

fn reopen(disk: &FaultyDisk, from: u64, lenient: bool) -> Result<Reopened, OpenError> {
    let mut frames = Vec::new();
    let (writer, segments, recovered) =
        recover(&settings(disk), from, Lsn::NONE, lenient, &mut |frame| {
            let (head, rest) = (frame.head.to_vec(), frame.rest.to_vec());
            frames.push(Pushed { lsn: frame.lsn, kind: frame.kind, head, rest });
            Ok(())
        })?;
    Ok(Reopened { writer, segments, recovered, frames })
}

fn path(segment: u64) -> PathBuf {
    Path::new("/data/log").join(format!("{segment:016x}.seg"))
}

/// The byte in its segment where a frame begins.
fn offset(lsn: Lsn) -> u64 {
    lsn.raw() % SEGMENT_BYTES
}

#[track_caller]
fn refused(opened: Result<Reopened, OpenError>, place: &Path, detail: &str) {
    match opened.map(|log| log.recovered) {
        Err(OpenError::Damaged { place: found, detail: said }) => {
            assert_eq!(found, place, "{said}");
            assert!(said.contains(detail), "{said:?} says {detail:?}");
        }
        other => panic!("refused for damage, not {other:?}"),
    }
}
