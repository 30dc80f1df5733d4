//! A file of the disk in memory: what readers see, what is durable, and what is in between.

use std::collections::BTreeMap;

use super::{Random, SECTOR_BYTES};

type Sector = [u8; SECTOR_BYTES];

/// What of the unsynced sectors gets to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Survives {
    Nothing,
    Everything,
    /// Of each sector any state that it had since it was last durable.
    Any,
}

/// Both buffers are whole sectors long.
#[derive(Default)]
pub(super) struct Inode {
    pub(super) bytes: Vec<u8>,
    pub(super) len: usize,
    durable: Vec<u8>,
    durable_len: usize,
    /// Every state that a sector had since it was last durable.
    dirty: BTreeMap<usize, Vec<Sector>>,
    /// Which sectors take room.
    allocated: Vec<bool>,
}

impl Inode {
    pub(super) fn read(&self, buf: &mut [u8], offset: usize) -> usize {
        let read = self.len.saturating_sub(offset).min(buf.len());
        buf[..read].copy_from_slice(&self.bytes[offset.min(self.len)..][..read]);
        read
    }

    /// Writes the part of `bytes` that falls into one sector.
    pub(super) fn write_sector(&mut self, sector: usize, bytes: &[u8], offset: usize) {
        let begin = offset.max(sector * SECTOR_BYTES);
        let end = (offset + bytes.len()).min((sector + 1) * SECTOR_BYTES);
        self.set_len(self.len.max(end));
        self.bytes[begin..end].copy_from_slice(&bytes[begin - offset..end - offset]);
        self.allocated[sector] = true;
        let state = sector_of(&self.bytes, sector);
        self.dirty.entry(sector).or_default().push(state);
    }

    pub(super) fn set_len(&mut self, len: usize) {
        if len < self.len {
            self.bytes[len..].fill(0);
        }
        self.len = len;
        self.bytes.resize(len.next_multiple_of(SECTOR_BYTES), 0);
        self.allocated.resize(self.bytes.len() / SECTOR_BYTES, false);
    }

    pub(super) fn is_allocated(&self, sector: usize) -> bool {
        self.allocated.get(sector).copied().unwrap_or(false)
    }

    pub(super) fn sectors(&self) -> usize {
        self.allocated.iter().filter(|taken| **taken).count()
    }

    /// What is not durable yet becomes durable, or not. Readers see what they saw.
    pub(super) fn settle(&mut self, survives: Survives, random: &mut Random) {
        let keep = |random: &mut Random| match survives {
            Survives::Nothing => false,
            Survives::Everything => true,
            Survives::Any => random.one_in(2),
        };
        if keep(random) {
            self.durable_len = self.len;
        }
        self.durable.resize(self.durable_len.next_multiple_of(SECTOR_BYTES), 0);
        for (sector, states) in std::mem::take(&mut self.dirty) {
            let place = sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES;
            let Some(durable) = self.durable.get_mut(place) else { continue };
            let last = states.len() - 1;
            let kept = if survives == Survives::Any && !random.one_in(3) {
                random.below(states.len() as u64) as usize
            } else {
                last
            };
            if keep(random) {
                durable.copy_from_slice(&states[kept]);
            }
        }
    }

    /// Readers see what is durable.
    pub(super) fn revert(&mut self) {
        self.bytes.clone_from(&self.durable);
        self.len = self.durable_len;
        self.allocated.resize(self.bytes.len() / SECTOR_BYTES, false);
    }

    pub(super) fn rot(&mut self, from: usize, bytes: usize, change: impl Fn(u8) -> u8) {
        for at in from..(from + bytes).min(self.len) {
            let rotten = change(self.bytes[at]);
            self.bytes[at] = rotten;
            if let Some(durable) = self.durable.get_mut(at) {
                *durable = rotten;
            }
        }
    }
}

fn sector_of(bytes: &[u8], sector: usize) -> Sector {
    let mut state = [0; SECTOR_BYTES];
    state.copy_from_slice(&bytes[sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES]);
    state
}
