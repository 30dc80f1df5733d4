//! What those need to know who keep addresses: segments, their starts, the longest frame.

use std::io;
use std::path::Path;

use super::address::Lsn;
use super::frame::FRAME_BYTES;
use super::header::HEADER_BYTES;
use super::segments::{ReadError, Segments};

impl Segments {
    /// Where the log is.
    pub(crate) fn dir(&self) -> &Path {
        &self.shared.settings.dir
    }

    /// The number of the segment that the frame at `lsn` stands in.
    pub(crate) fn segment_of(&self, lsn: Lsn) -> u64 {
        self.shared.geometry.segment(lsn)
    }

    /// Where the segment's file begins, as an address.
    pub(crate) fn base(&self, segment: u64) -> Lsn {
        self.shared.geometry.lsn(segment, 0)
    }

    /// How long each segment is.
    pub(crate) fn segment_bytes(&self) -> u64 {
        self.shared.geometry.segment_bytes()
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
            Ok(handle) => self.shared.sync(&*handle.file),
            // It was synced when it was closed.
            Err(ReadError::Gone) => Ok(()),
            Err(ReadError::Io(error)) => Err(error),
            Err(ReadError::Damaged { detail }) => Err(io::Error::other(detail)),
        }
    }
}
