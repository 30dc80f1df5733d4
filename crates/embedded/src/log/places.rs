//! What those need to know who keep addresses: segments, their starts, the longest frame.

use std::io;

use super::address::Lsn;
use super::frame::FRAME_BYTES;
use super::header::HEADER_BYTES;
use super::segments::{ReadError, Segments};

impl Segments {
    /// The number of the segment that the frame at `lsn` stands in.
    pub(crate) fn segment_of(&self, lsn: Lsn) -> u64 {
        self.shared.geometry.segment(lsn)
    }

    /// The numbers of all segments.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.shared.numbers()
    }

    /// Where the first frame of a segment stands.
    pub(crate) fn start(&self, segment: u64) -> Lsn {
        self.shared.geometry.lsn(segment, HEADER_BYTES)
    }

    /// The most bytes, head and rest together, that a frame can have.
    pub(crate) fn frame_bytes_max(&self) -> usize {
        (self.shared.geometry.capacity() - HEADER_BYTES) as usize - FRAME_BYTES
    }

    /// Makes everything durable that is committed now. For whoever must not be ahead of the log;
    /// the writer syncs by itself.
    pub(crate) fn sync(&self) -> io::Result<()> {
        match self.shared.handle(self.segment_of(self.end())) {
            Ok(handle) => handle.file.sync(),
            // It was synced when it was closed.
            Err(ReadError::Gone) => Ok(()),
            Err(ReadError::Io(error)) => Err(error),
            Err(ReadError::Damaged { detail }) => Err(io::Error::other(detail)),
        }
    }
}
