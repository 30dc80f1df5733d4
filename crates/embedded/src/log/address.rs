//! Addresses in the log.

use std::fmt;

use super::header::HEADER_BYTES;

/// Frames begin at multiples of this, so that one can be found again behind damage.
pub(crate) const FRAME_ALIGN: u64 = 8;

/// Where a frame begins: the number of its segment and its byte in there. Later frames have higher
/// addresses. Segments are numbered from 1 on, so 0 is no frame's address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Lsn(u64);

impl Lsn {
    /// Before everything: no frame is here.
    pub(crate) const NONE: Lsn = Lsn(0);

    /// An address that was stored as a number.
    pub(crate) const fn from_raw(raw: u64) -> Lsn {
        Lsn(raw)
    }

    /// The number to store.
    pub(crate) const fn raw(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// How addresses are divided into segment and byte. The same for all segments of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    shift: u32,
}

impl Geometry {
    /// Smallest and largest segment: 16 KiB, and 1 GiB so that lengths inside of one fit 32 bits.
    const SHIFTS: std::ops::RangeInclusive<u32> = 14..=30;

    /// `None` unless it is a power of two between 16 KiB and 1 GiB.
    pub(crate) fn new(segment_bytes: u64) -> Option<Geometry> {
        let shift = segment_bytes.trailing_zeros();
        let sound = segment_bytes.is_power_of_two() && Geometry::SHIFTS.contains(&shift);
        sound.then_some(Geometry { shift })
    }

    pub(crate) fn segment_bytes(self) -> u64 {
        1 << self.shift
    }

    /// Frames end here at the latest. The last 8 bytes stay empty, so that the end of a full
    /// segment is still an address in it.
    pub(crate) fn capacity(self) -> u64 {
        self.segment_bytes() - FRAME_ALIGN
    }

    pub(crate) fn lsn(self, segment: u64, offset: u64) -> Lsn {
        Lsn(segment << self.shift | offset)
    }

    pub(crate) fn segment(self, lsn: Lsn) -> u64 {
        lsn.0 >> self.shift
    }

    pub(crate) fn offset(self, lsn: Lsn) -> u64 {
        lsn.0 & (self.segment_bytes() - 1)
    }

    /// Whether a frame may begin there.
    pub(crate) fn may_begin(self, offset: u64) -> bool {
        offset >= HEADER_BYTES && offset.is_multiple_of(FRAME_ALIGN) && offset < self.capacity()
    }
}
