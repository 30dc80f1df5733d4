//! The first page of a segment: what it is, and once it is closed, where it ends.

use std::io::Result;

use super::address::Lsn;
use crate::storage::DiskFile;

/// Frames begin behind so many bytes.
pub(crate) const HEADER_BYTES: u64 = 4096;
/// The header and the seal have one each, since a sector is written as a whole or not at all.
const SECTOR: usize = 512;
const MAGIC: [u8; 8] = *b"SEQLSEG\n";
const SEAL_MAGIC: [u8; 8] = *b"SEQLEND\n";
const VERSION: u32 = 1;
/// Where a sector's checksum of everything before it is.
const CRC_AT: usize = SECTOR - 4;

/// What a segment says of itself. Written before the segment has its name, never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The segment's number.
    pub(crate) number: u64,
    /// Drawn at random for each segment; every frame in it repeats it.
    pub(crate) epoch: u32,
    /// The store's epoch when the segment was begun.
    pub(crate) store_epoch: u64,
    pub(crate) segment_bytes: u64,
    /// Where the segment before ended, to the byte. [`Lsn::NONE`] in the first one.
    pub(crate) previous_end: Lsn,
    /// The random epoch of the segment before: tells a segment of another log.
    pub(crate) previous_epoch: u32,
}

impl Header {
    /// The whole page.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut page = vec![0; HEADER_BYTES as usize];
        page[..8].copy_from_slice(&MAGIC);
        page[8..12].copy_from_slice(&VERSION.to_le_bytes());
        page[12..16].copy_from_slice(&self.epoch.to_le_bytes());
        page[16..24].copy_from_slice(&self.number.to_le_bytes());
        page[24..32].copy_from_slice(&self.store_epoch.to_le_bytes());
        page[32..40].copy_from_slice(&self.segment_bytes.to_le_bytes());
        page[40..48].copy_from_slice(&self.previous_end.raw().to_le_bytes());
        page[48..52].copy_from_slice(&self.previous_epoch.to_le_bytes());
        let crc = crc32c::crc32c(&page[..CRC_AT]);
        page[CRC_AT..SECTOR].copy_from_slice(&crc.to_le_bytes());
        page
    }

    fn decode(sector: &[u8; SECTOR]) -> Option<Header> {
        let sound = sector[..8] == MAGIC && word(sector, 8) == VERSION && holds(sector);
        sound.then(|| Header {
            epoch: word(sector, 12),
            number: long(sector, 16),
            store_epoch: long(sector, 24),
            segment_bytes: long(sector, 32),
            previous_end: Lsn::from_raw(long(sector, 40)),
            previous_epoch: word(sector, 48),
        })
    }
}

/// The first page as it was found.
pub(crate) struct Page {
    /// `None` if it does not hold.
    pub(crate) header: Option<Header>,
    /// Where the closed segment ends, with its epoch. `None` if it was never closed, or if this
    /// does not hold; then the header of the next segment tells.
    seal: Option<(Lsn, u32)>,
    /// What is neither header nor seal is as empty as it was written.
    padding_holds: bool,
}

impl Page {
    pub(crate) fn read(file: &dyn DiskFile) -> Result<Page> {
        let mut page = [0; HEADER_BYTES as usize];
        file.read_at(&mut page, 0)?;
        let (sectors, _) = page.as_chunks::<SECTOR>();
        let seal = &sectors[1];
        let blank = |sector: &[u8; SECTOR]| sector.iter().all(|byte| *byte == 0);
        let sealed = seal[..8] == SEAL_MAGIC && holds(seal);
        Ok(Page {
            header: Header::decode(&sectors[0]),
            seal: sealed.then(|| (Lsn::from_raw(long(seal, 8)), word(seal, 16))),
            padding_holds: (sealed || blank(seal)) && sectors[2..].iter().all(blank),
        })
    }

    /// Where the segment says that it ends.
    pub(crate) fn end(&self) -> Option<Lsn> {
        let (end, epoch) = self.seal?;
        self.header.is_none_or(|header| header.epoch == epoch).then_some(end)
    }

    /// Whether every byte of it is as it was written.
    pub(crate) fn holds(&self) -> bool {
        self.header.is_some() && self.padding_holds
    }
}

/// Writes into a segment where it ends. It is durable with the sync that closes the segment, and
/// is overwritten if that did not happen and the segment went on.
pub(crate) fn seal(file: &dyn DiskFile, end: Lsn, epoch: u32) -> Result<()> {
    let mut sector = [0; SECTOR];
    sector[..8].copy_from_slice(&SEAL_MAGIC);
    sector[8..16].copy_from_slice(&end.raw().to_le_bytes());
    sector[16..20].copy_from_slice(&epoch.to_le_bytes());
    let crc = crc32c::crc32c(&sector[..CRC_AT]);
    sector[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
    file.write_all_at(&sector, SECTOR as u64)
}

fn holds(sector: &[u8; SECTOR]) -> bool {
    crc32c::crc32c(&sector[..CRC_AT]) == word(sector, CRC_AT)
}

fn word(sector: &[u8; SECTOR], at: usize) -> u32 {
    u32::from_le_bytes([sector[at], sector[at + 1], sector[at + 2], sector[at + 3]])
}

fn long(sector: &[u8; SECTOR], at: usize) -> u64 {
    u64::from(word(sector, at + 4)) << 32 | u64::from(word(sector, at))
}
