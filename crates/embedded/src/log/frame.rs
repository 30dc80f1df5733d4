//! Frames: what one push becomes on disk. The module page of [`log`](super) has the layout.

use super::address::{FRAME_ALIGN, Lsn};

/// What a frame takes besides its head and rest, and up to 7 bytes of padding.
pub(crate) const FRAME_BYTES: usize = 40;
/// The first bytes of every frame.
pub(crate) const FRAME_MAGIC: [u8; 4] = [0xf5, b'S', b'q', 0x01];
/// Where the bytes begin that the first checksum covers.
const COVERED: usize = 8;
static PADDING: [u8; FRAME_ALIGN as usize] = [0; FRAME_ALIGN as usize];

/// A whole frame that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) lsn: Lsn,
    pub(crate) kind: u8,
    pub(crate) head: &'a [u8],
    pub(crate) rest: &'a [u8],
}

/// Where a frame goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) lsn: Lsn,
    /// The segment's.
    pub(crate) epoch: u32,
    /// Bytes back to the first frame that is not known to be durable.
    pub(crate) group_back: u32,
}

/// Appends a frame.
pub(crate) fn encode(out: &mut Vec<u8>, place: Place, kind: u8, head: &[u8], rest: &[u8]) {
    let padding = &PADDING[..padding_bytes(FRAME_BYTES + head.len() + rest.len())];
    let rest_crc = crc32c::crc32c_append(crc32c::crc32c(rest), padding);
    let mut header = [0; FRAME_BYTES];
    header[..4].copy_from_slice(&FRAME_MAGIC);
    header[8..16].copy_from_slice(&place.lsn.raw().to_le_bytes());
    header[16..20].copy_from_slice(&place.epoch.to_le_bytes());
    header[20..24].copy_from_slice(&place.group_back.to_le_bytes());
    // A segment has at most 1 GiB and whoever encodes has asked for the room in it.
    header[24..28].copy_from_slice(&(head.len() as u32).to_le_bytes());
    header[28..32].copy_from_slice(&(rest.len() as u32).to_le_bytes());
    header[32..36].copy_from_slice(&rest_crc.to_le_bytes());
    header[36] = kind;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&header[COVERED..]), head);
    header[4..8].copy_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&header);
    out.extend_from_slice(head);
    out.extend_from_slice(rest);
    out.extend_from_slice(padding);
}

fn padding_bytes(len: usize) -> usize {
    len.next_multiple_of(FRAME_ALIGN as usize) - len
}

/// The fixed part of a frame. Nothing in it is to be believed before `head_holds` said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) lsn: Lsn,
    pub(crate) epoch: u32,
    pub(crate) group_back: u32,
    pub(crate) kind: u8,
    head_len: u32,
    rest_len: u32,
    crc: u32,
    rest_crc: u32,
}

impl FrameHeader {
    /// `None` if the bytes are too few or do not begin like a frame.
    pub(crate) fn decode(bytes: &[u8]) -> Option<FrameHeader> {
        let bytes: &[u8; FRAME_BYTES] = bytes.first_chunk()?;
        if bytes[..4] != FRAME_MAGIC {
            return None;
        }
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        Some(FrameHeader {
            crc: word(4),
            lsn: Lsn::from_raw(u64::from(word(12)) << 32 | u64::from(word(8))),
            epoch: word(16),
            group_back: word(20),
            head_len: word(24),
            rest_len: word(28),
            rest_crc: word(32),
            kind: bytes[36],
        })
    }

    /// Where the head ends, counted from the beginning of the frame.
    pub(crate) fn head_end(&self) -> u64 {
        FRAME_BYTES as u64 + u64::from(self.head_len)
    }

    /// The length of the whole frame.
    pub(crate) fn size(&self) -> u64 {
        (self.head_end() + u64::from(self.rest_len)).next_multiple_of(FRAME_ALIGN)
    }

    /// The head, if `frame` has all of it and the first checksum holds.
    pub(crate) fn head<'a>(&self, frame: &'a [u8]) -> Option<&'a [u8]> {
        let covered = frame.get(COVERED..usize::try_from(self.head_end()).ok()?)?;
        let holds = crc32c::crc32c(covered) == self.crc;
        holds.then(|| &covered[FRAME_BYTES - COVERED..])
    }

    /// The frame, if `frame` has all of it and both checksums hold.
    pub(crate) fn whole<'a>(&self, frame: &'a [u8]) -> Option<Frame<'a>> {
        let size = usize::try_from(self.size()).ok()?;
        let padded = frame.get(..size)?.get(usize::try_from(self.head_end()).ok()?..)?;
        let head = self.head(frame)?;
        let holds = crc32c::crc32c(padded) == self.rest_crc;
        let rest = padded.get(..self.rest_len as usize)?;
        holds.then_some(Frame { lsn: self.lsn, kind: self.kind, head, rest })
    }
}
