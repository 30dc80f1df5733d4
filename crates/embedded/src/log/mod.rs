//! The log: numbered segments of frames, and the only place where messages are stored.
//!
//! Start at [`Writer`] for what appends, [`Segments`] for what reads, [`recover`] for what opens.
//! The log knows nothing of what frames contain. Segments stay until somebody frees them.
//!
//! # Segments
//!
//! A log is a directory of files `{number:016x}.seg`, numbered from 1 on without holes except where
//! old ones were freed. Each is exactly `segment_bytes` long, a power of two. `{…}.spare` files are
//! worth nothing and go at the next start. All numbers are little-endian.
//!
//! | Byte | Length | What |
//! |---|---|---|
//! | 0 | 8 | `"SEQLSEG\n"` |
//! | 8 | 4 | version, 1 |
//! | 12 | 4 | the segment's epoch, random |
//! | 16 | 8 | the segment's number |
//! | 24 | 8 | the store's epoch |
//! | 32 | 8 | `segment_bytes` |
//! | 40 | 8 | where the segment before ends, an address; 0 in the first |
//! | 48 | 4 | the epoch of the segment before; 0 in the first |
//! | 52 | 456 | zeros |
//! | 508 | 4 | CRC-32C of bytes 0–507 |
//! | 512 | 512 | the seal, zeros until the segment is closed |
//! | 1024 | 3072 | zeros |
//! | 4096 | | frames |
//!
//! The seal: `"SEQLEND\n"`, the address where the segment ends (8), its epoch (4), zeros, and at
//! 508 the CRC-32C of what is before. The header of the next segment says the same and decides;
//! the seal tells it when that one was freed.
//!
//! # Frames
//!
//! One begins at every multiple of 8 where the one before ended. The last 8 bytes of a segment
//! stay empty.
//!
//! | Byte | Length | What |
//! |---|---|---|
//! | 0 | 4 | `f5 53 71 01` |
//! | 4 | 4 | CRC-32C of bytes 8–39 and the head |
//! | 8 | 8 | its own address: segment number × `segment_bytes` + byte in the segment |
//! | 16 | 4 | the segment's epoch |
//! | 20 | 4 | bytes back to where nothing was known to be durable when this was written |
//! | 24 | 4 | length of the head |
//! | 28 | 4 | length of the rest |
//! | 32 | 4 | CRC-32C of the rest and the padding |
//! | 36 | 1 | kind |
//! | 37 | 3 | zeros |
//! | 40 | | head, rest, and zeros up to a multiple of 8 |
//!
//! Address and epoch tell a frame from what a recycled file held before, and from a body that looks
//! like one.
//!
//! # What a crash leaves
//!
//! A segment has its header, and the segment before is durable to its last byte, before it has its
//! name. So only the newest one can end unfinished. A frame that does not hold there is the rest of
//! a write that never finished, unless a later frame says that it had been durable: that is
//! damage, and nothing is opened. Damage to the very last writes cannot be told from a crash.
//! What nothing tells to be durable is written once more before the log goes on.

mod address;
mod frame;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod header;
mod places;
mod read;
mod recover;
mod scan;
mod segments;
mod settings;
mod spares;
mod survey;
mod walk;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use address::Lsn;
pub(crate) use frame::{FRAME_BYTES, Frame};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use frame::{Place, encode};
pub(crate) use read::Head;
pub(crate) use recover::{create, recover};
pub(crate) use scan::Scan;
pub(crate) use segments::{ReadError, Segments};
pub(crate) use settings::{SEGMENT_BYTES, Settings};
pub(crate) use survey::{Surveyed, survey};
pub(crate) use writer::Writer;
