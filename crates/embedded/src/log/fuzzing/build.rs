//! A log of one or two segments, made from an input: frames that hold, that lie, that are of
//! another place, torn ones, anything, with checksums that hold more often than chance would.

use std::path::PathBuf;

use super::super::address::{FRAME_ALIGN, Lsn};
use super::super::frame::{FRAME_BYTES, Place, encode};
use super::super::header::{HEADER_BYTES, Header, Page, seal};
use super::{SEGMENT_BYTES, geometry, path};
use crate::fuzzing::{Input, MemoryDisk};
use crate::storage::Disk as _;

/// Where the log is.
pub(super) fn dir() -> PathBuf {
    PathBuf::from("/log")
}

/// A log, and addresses to ask it for.
pub(super) struct Log {
    pub(super) disk: MemoryDisk,
    pub(super) places: Vec<Lsn>,
    segments: u64,
}

impl Log {
    pub(super) fn build(input: &mut Input<'_>) -> Log {
        let disk = MemoryDisk::default();
        let shape = input.byte();
        let mut places: Vec<Lsn> = (0..shape >> 4).map(|_| place(input)).collect();
        let two = shape & 1 != 0;
        let mut ended = Lsn::NONE;
        if two {
            let (frames, end) = segment(input, 1);
            let says = shape & 2 == 0;
            let end = if says { end } else { input.short() };
            ended = geometry().lsn(1, u64::from(end));
            put(&disk, header(1, Lsn::NONE), &frames, input);
            if shape & 4 != 0 {
                let file = disk.open(&path(1)).expect("it was put there just now");
                let sealed = if input.byte().is_multiple_of(4) { place(input) } else { ended };
                seal(&*file, sealed, epoch(1)).expect("a disk in memory does not fail");
            }
        }
        let number = u64::from(two) + 1;
        let (frames, _) = segment(input, number);
        put(&disk, header(number, ended), &frames, input);
        places.push(ended);
        places.extend(places.clone());
        Log { disk, places, segments: number }
    }

    pub(super) fn numbers(&self) -> std::ops::RangeInclusive<u64> {
        1..=self.segments
    }

    /// Where the last byte ends that is not empty.
    pub(super) fn used(&self, number: u64) -> u64 {
        let file = self.disk.open(&path(number)).expect("the log has this segment");
        let mut bytes = vec![0; SEGMENT_BYTES as usize];
        file.read_at(&mut bytes, 0).expect("a disk in memory does not fail");
        bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1)
    }

    /// What the segment says of itself, if it does.
    pub(super) fn epoch(&self, number: u64) -> Option<u32> {
        let file = self.disk.open(&path(number)).expect("the log has this segment");
        let page = Page::read(&*file).expect("a disk in memory does not fail");
        page.header.map(|header| header.epoch)
    }
}

fn epoch(number: u64) -> u32 {
    0x5eed_0000 + number as u32
}

/// An address near those that are used, or any.
fn place(input: &mut Input<'_>) -> Lsn {
    match input.byte() % 4 {
        0 => Lsn::from_raw(input.long()),
        1 => geometry().lsn(1, u64::from(input.short())),
        kind => geometry().lsn(u64::from(kind) - 1, HEADER_BYTES + u64::from(input.byte()) * 8),
    }
}

pub(super) fn header(number: u64, previous_end: Lsn) -> Header {
    Header {
        number,
        epoch: epoch(number),
        store_epoch: 3,
        segment_bytes: SEGMENT_BYTES,
        previous_end,
        previous_epoch: if number == 1 { 0 } else { epoch(number - 1) },
    }
}

/// Puts a segment there: now and then with other bytes in its header, or cut off.
fn put(disk: &MemoryDisk, header: Header, frames: &[u8], input: &mut Input<'_>) {
    let mut bytes = header.encode();
    let shape = input.byte();
    if shape.is_multiple_of(16) && shape > 0 {
        let at = usize::from(input.short()) % (bytes.len() - 4);
        bytes[at..at + 4].copy_from_slice(&input.word().to_le_bytes());
        if shape & 16 != 0 {
            let crc = crc32c::crc32c(&bytes[..508]);
            bytes[508..512].copy_from_slice(&crc.to_le_bytes());
        }
    }
    bytes.extend_from_slice(frames);
    let len = if shape % 16 == 1 { usize::from(input.short()) } else { SEGMENT_BYTES as usize };
    bytes.resize(len.min(SEGMENT_BYTES as usize), 0);
    disk.put(path(header.number), bytes);
}

/// What follows the header, and the byte of the segment where what was written last ends.
fn segment(input: &mut Input<'_>, number: u64) -> (Vec<u8>, u16) {
    let mut bytes = Vec::new();
    let mut lies = Vec::new();
    while !input.is_empty() {
        let kind = input.byte();
        let at = bytes.len();
        if HEADER_BYTES + at as u64 >= geometry().capacity() {
            break;
        }
        match kind % 12 {
            0 => bytes.extend_from_slice(input.piece()),
            1 => bytes.resize(at + usize::from(input.byte()) * 8, 0),
            2 => flip(&mut bytes, input),
            3 => {
                frame(&mut bytes, input, number);
                let field = at + 8 + usize::from(input.byte()) % (FRAME_BYTES - 8 - 3);
                bytes[field..field + 4].copy_from_slice(&input.word().to_le_bytes());
                lies.push(at);
            }
            4 => {
                frame(&mut bytes, input, number);
                bytes.truncate(at + usize::from(input.byte()));
            }
            // The end of this segment and the start of the next one's frames.
            5 if number == 1 && kind > 128 => break,
            _ => frame(&mut bytes, input, number),
        }
        bytes.resize(bytes.len().next_multiple_of(FRAME_ALIGN as usize), 0);
    }
    bytes.truncate((geometry().capacity() - HEADER_BYTES) as usize);
    for at in lies.into_iter().rev() {
        believe(&mut bytes, at);
    }
    let end = HEADER_BYTES as usize + bytes.len();
    (bytes, u16::try_from(end).expect("a segment has 16 KiB"))
}

fn flip(bytes: &mut [u8], input: &mut Input<'_>) {
    let (at, bit) = (usize::from(input.short()), input.byte() % 8);
    if !bytes.is_empty() {
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
    }
}

fn frame(bytes: &mut Vec<u8>, input: &mut Input<'_>, number: u64) {
    let offset = HEADER_BYTES + bytes.len() as u64;
    let shape = input.byte();
    let group_back = match shape % 4 {
        0 => 0,
        1 => bytes.len() as u32,
        2 => u32::from(input.byte()) * 8 % (bytes.len() as u32 + 1),
        _ => u32::from(input.short()),
    };
    let elsewhere = |bits| shape >> 2 == bits;
    let lsn = geometry().lsn(number + u64::from(elsewhere(9)), offset + u64::from(elsewhere(10)));
    let place = Place { lsn, epoch: epoch(number) + u32::from(elsewhere(11)), group_back };
    let head = input.piece();
    let long = if shape >> 4 == 14 { vec![shape; usize::from(input.short()) / 8] } else { vec![] };
    let head = [head, &long].concat();
    encode(bytes, place, input.byte(), &head, input.piece());
}

/// Makes both checksums of a frame hold, as far as it is there, whatever it says of itself.
fn believe(bytes: &mut [u8], at: usize) {
    let Some(frame) = bytes.get_mut(at..).filter(|frame| frame.len() >= FRAME_BYTES) else {
        return;
    };
    let word =
        |at: usize| u32::from_le_bytes([frame[at], frame[at + 1], frame[at + 2], frame[at + 3]]);
    let head_end = FRAME_BYTES + word(24) as usize;
    let end = (head_end + word(28) as usize).next_multiple_of(FRAME_ALIGN as usize);
    if let Some(rest) = frame.get(head_end..end) {
        let crc = crc32c::crc32c(rest);
        frame[32..36].copy_from_slice(&crc.to_le_bytes());
    }
    if let Some(covered) = frame.get(8..head_end) {
        let crc = crc32c::crc32c(covered);
        frame[4..8].copy_from_slice(&crc.to_le_bytes());
    }
}
