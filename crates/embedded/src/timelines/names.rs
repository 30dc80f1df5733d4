//! Which timeline has which slot, by name. What is in a slot is the table's affair.

use hashbrown::HashTable;
use smallvec::SmallVec;

use super::slots::Slots;

/// Bytes of a name that stand inside of its slot; most are shorter.
const INSIDE: usize = 32;
/// Maps of names, so that none is large: one that grows hashes all that it has.
const PARTS: usize = 64;

/// Where a timeline is in the table, as long as the slot's stamp is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) slot: u32,
    pub(crate) stamp: u32,
}

impl Place {
    /// Of a timeline that is not in memory.
    pub(crate) const NOWHERE: Place = Place { slot: u32::MAX, stamp: 0 };
}

/// The slots in use.
pub(super) struct Names {
    parts: Box<[HashTable<Entry>]>,
    names: Slots<Name>,
    /// Slots that were ever in use.
    len: u32,
    free: Vec<u32>,
}

/// A slot, with as much of its name's hash as keeps others out.
struct Entry {
    tag: u32,
    slot: u32,
}

#[derive(Default)]
struct Name {
    /// The timeline's key; empty while the slot is free.
    key: SmallVec<[u8; INSIDE]>,
    stamp: u32,
}

impl Default for Names {
    fn default() -> Names {
        let parts = (0..PARTS).map(|_| HashTable::new()).collect();
        Names { parts, names: Slots::default(), len: 0, free: Vec::new() }
    }
}

impl Names {
    /// What a slot takes: the name, and its entry in a map that is half full.
    pub(super) const SLOT_BYTES: usize = size_of::<Name>() + 2 * size_of::<Entry>();

    /// Where the timeline is whose key is `kind`, then `rest`, and whose hash is `hash`.
    pub(super) fn find(&self, hash: u64, kind: u8, rest: &[u8]) -> Option<Place> {
        let (part, tag) = split(hash);
        let same = |entry: &Entry| {
            entry.tag == tag && {
                let key = &self.names[entry.slot].key;
                key[0] == kind && key[1..] == *rest
            }
        };
        let slot = self.parts[part].find(spread(tag), same)?.slot;
        Some(Place { slot, stamp: self.names[slot].stamp })
    }

    /// Gives the timeline with this key, which must have none, a slot.
    pub(super) fn insert(&mut self, hash: u64, key: &[u8]) -> Place {
        let slot = self.free.pop().unwrap_or_else(|| {
            let slot = self.len;
            self.len = slot.checked_add(1).expect("memory ends before slots do");
            self.names.grow_to(slot);
            slot
        });
        let name = &mut self.names[slot];
        name.key = SmallVec::from_slice(key);
        name.stamp += 1;
        let place = Place { slot, stamp: name.stamp };
        let (part, tag) = split(hash);
        let again = |entry: &Entry| spread(entry.tag);
        self.parts[part].insert_unique(spread(tag), Entry { tag, slot }, again);
        place
    }

    /// Frees the slot of a timeline in use, whose key `hash` hashes. Returns the hash and how
    /// many bytes its name took outside of the slot.
    pub(super) fn remove(&mut self, slot: u32, hash: impl FnOnce(&[u8]) -> u64) -> (u64, u64) {
        let key = std::mem::take(&mut self.names[slot].key);
        let hash = hash(&key);
        let (part, tag) = split(hash);
        let found = self.parts[part].find_entry(spread(tag), |entry| entry.slot == slot);
        found.ok().expect("a slot in use has a name").remove();
        self.free.push(slot);
        (hash, outside(&key))
    }

    /// The key of the timeline at `place`, if it is still there.
    pub(super) fn key(&self, place: Place) -> Option<&[u8]> {
        let name = &self.names[place.slot];
        (name.stamp == place.stamp && !name.key.is_empty()).then_some(&name.key[..])
    }
}

/// The bytes that a key takes outside of its slot.
pub(super) fn outside(key: &[u8]) -> u64 {
    if key.len() > INSIDE { key.len() as u64 } else { 0 }
}

fn split(hash: u64) -> (usize, u32) {
    (hash as usize % PARTS, (hash >> 32) as u32)
}

/// What a map within uses of a tag: it takes bits from both ends.
fn spread(tag: u32) -> u64 {
    u64::from(tag).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
