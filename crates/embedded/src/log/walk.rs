//! Goes through the frames of one segment, and finds the next one behind damage.

use std::io::Result;
use std::sync::Arc;

use super::address::{FRAME_ALIGN, Geometry};
use super::frame::{FRAME_BYTES, FRAME_MAGIC, Frame, FrameHeader};
use super::header::HEADER_BYTES;
use crate::storage::DiskFile;

/// How much is read together.
const WINDOW_BYTES: usize = 1024 * 1024;

/// Reads a segment from any place on, through a window that moves along.
pub(super) struct Walk {
    file: Arc<dyn DiskFile>,
    geometry: Geometry,
    segment: u64,
    /// `None` if the segment's header is lost; an address in its place is good evidence too.
    epoch: Option<u32>,
    /// Nothing is read from here on.
    limit: u64,
    window: Vec<u8>,
    /// How much is read together; [`WINDOW_BYTES`] except for a fuzzer.
    window_bytes: usize,
    /// Where the window begins.
    start: u64,
}

/// A frame in a segment.
pub(super) struct Found<'a> {
    pub(super) frame: Frame<'a>,
    /// Where the next one would begin.
    pub(super) end: u64,
    /// Everything before this was durable when the frame was written.
    pub(super) group_start: u64,
}

impl Walk {
    pub(super) fn new(
        file: Arc<dyn DiskFile>,
        geometry: Geometry,
        (segment, epoch): (u64, Option<u32>),
        limit: u64,
    ) -> Walk {
        let (window, window_bytes) = (Vec::new(), WINDOW_BYTES);
        Walk { file, geometry, segment, epoch, limit, window, window_bytes, start: 0 }
    }

    /// Reads at most `bytes` together, or a whole frame.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn with_window(self, bytes: usize) -> Walk {
        Walk { window_bytes: bytes, ..self }
    }

    /// The whole frame that begins there, if one does and it holds.
    pub(super) fn frame_at(&mut self, offset: u64) -> Result<Option<Found<'_>>> {
        let Some(header) = self.header_at(offset)? else { return Ok(None) };
        let end = offset + header.size();
        let group_start = offset - u64::from(header.group_back);
        // At most a segment, since `header_at` compared it with the limit.
        let bytes = self.bytes(offset, header.size() as usize)?;
        Ok(header.whole(bytes).map(|frame| Found { frame, end, group_start }))
    }

    /// The next place from there on that begins like a frame of this segment and this very place,
    /// and where it would end, whether or not it holds.
    pub(super) fn next_header(&mut self, from: u64) -> Result<Option<(u64, u64)>> {
        let mut at = from;
        loop {
            let bytes = self.bytes(at, FRAME_BYTES)?;
            if bytes.len() < FRAME_BYTES {
                return Ok(None);
            }
            let (words, _) = bytes.as_chunks::<{ FRAME_ALIGN as usize }>();
            let skipped = words.len() as u64 * FRAME_ALIGN;
            match words.iter().position(|word| word[..4] == FRAME_MAGIC) {
                None => at += skipped,
                Some(words) => {
                    at += words as u64 * FRAME_ALIGN;
                    if let Some(header) = self.header_at(at)? {
                        return Ok(Some((at, at + header.size())));
                    }
                    at += FRAME_ALIGN;
                }
            }
        }
    }

    /// The next frame from there on that holds.
    pub(super) fn next_frame(&mut self, from: u64) -> Result<Option<u64>> {
        let mut at = from;
        while let Some((offset, _)) = self.next_header(at)? {
            if self.frame_at(offset)?.is_some() {
                return Ok(Some(offset));
            }
            at = offset + FRAME_ALIGN;
        }
        Ok(None)
    }

    fn header_at(&mut self, offset: u64) -> Result<Option<FrameHeader>> {
        let (geometry, segment, epoch, limit) =
            (self.geometry, self.segment, self.epoch, self.limit);
        let bytes = self.bytes(offset, FRAME_BYTES)?;
        let in_place = |header: &FrameHeader| {
            header.lsn == geometry.lsn(segment, offset)
                && epoch.is_none_or(|epoch| header.epoch == epoch)
                && offset + header.size() <= limit
                && u64::from(header.group_back) + HEADER_BYTES <= offset
        };
        Ok(FrameHeader::decode(bytes).filter(in_place))
    }

    /// What is known from there on: at least `len` bytes, fewer only at the limit.
    fn bytes(&mut self, offset: u64, len: usize) -> Result<&[u8]> {
        let left = self.limit.saturating_sub(offset);
        let len = left.min(len as u64);
        let window_end = self.start + self.window.len() as u64;
        if offset < self.start || offset + len > window_end {
            let wanted = left.min(len.max(self.window_bytes as u64));
            // Both are at most the size of a segment.
            self.window.resize(wanted as usize, 0);
            let read = self.file.read_at(&mut self.window, offset)?;
            self.window.truncate(read);
            self.start = offset;
        }
        let skip = ((offset - self.start) as usize).min(self.window.len());
        Ok(&self.window[skip..])
    }
}
