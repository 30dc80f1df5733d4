//! Memtables: rows that are in no table yet.
//!
//! One thread writes. Rows stand one behind the other in few large buffers and are found by the
//! hash of their key: a sorted map of rows with allocations of their own costs several times as
//! much to fill and to free. They are sorted when they are flushed or scanned, which happens once
//! for many thousand writes. There are many parts with a lock each, so that nobody waits long
//! while one of them grows.

use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hashbrown::HashTable;
use lsm_tree::table::filter::standard_bloom::Builder;
use lsm_tree::{InternalValue, SeqNo, Slice, ValueType};

use super::batch::Batch;

/// Parts of a memtable.
const PARTS: usize = 64;
/// What stands for the place of an older version where there is none, and for the length of a
/// value where the key is deleted.
const NONE: u32 = u32::MAX;
/// Bytes before each key: the version's number, where the one before it is, two lengths.
const HEADER: usize = 8 + 4 + 2 + 4;

/// A version of a row: what was written under a number.
struct Version<'a> {
    seqno: SeqNo,
    /// Where the version is that this one has replaced; only readers that were there before
    /// need it.
    older: u32,
    key: &'a [u8],
    /// Nothing for a delete.
    value: Option<&'a [u8]>,
}

/// Where the newest version of a row is.
struct Newest {
    hash: u64,
    at: u32,
}

#[derive(Default)]
struct Rows {
    newest: HashTable<Newest>,
    /// All versions; see [`HEADER`].
    bytes: Vec<u8>,
}

impl Rows {
    fn insert(&mut self, hash: u64, seqno: SeqNo, key: &[u8], value: Option<&[u8]>) {
        let at = u32::try_from(self.bytes.len()).ok().filter(|at| *at != NONE);
        let at = at.expect("a memtable is flushed long before it has 4 GiB");
        let Rows { newest, bytes } = self;
        let same = |row: &Newest| row.hash == hash && version(bytes, row.at).key == key;
        let older = match newest.find_mut(hash, same) {
            Some(row) => {
                let before = std::mem::replace(&mut row.at, at);
                let Version { seqno: number, older, .. } = version(bytes, before);
                // Nobody sees a version that was replaced in its own batch.
                if number == seqno { older } else { before }
            }
            None => {
                newest.insert_unique(hash, Newest { hash, at }, |row| row.hash);
                NONE
            }
        };
        let value_length = value.map_or(NONE, |value| value.len() as u32);
        bytes.extend_from_slice(&seqno.to_le_bytes());
        bytes.extend_from_slice(&older.to_le_bytes());
        bytes.extend_from_slice(&(key.len() as u16).to_le_bytes());
        bytes.extend_from_slice(&value_length.to_le_bytes());
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value.unwrap_or_default());
    }

    /// The place of what a reader sees of a row whose snapshot is `seqno`.
    fn visible(&self, newest: &Newest, seqno: SeqNo) -> Option<u32> {
        let mut at = newest.at;
        while at != NONE {
            let version = version(&self.bytes, at);
            if version.seqno < seqno {
                return Some(at);
            }
            at = version.older;
        }
        None
    }

    fn allocated(&self) -> u64 {
        (self.bytes.capacity() + self.newest.allocation_size()) as u64
    }
}

fn version(bytes: &[u8], at: u32) -> Version<'_> {
    let whole = "a version was written whole";
    let (header, rest) = bytes[at as usize..].split_first_chunk::<HEADER>().expect(whole);
    let (seqno, lengths) = header.split_first_chunk::<8>().expect(whole);
    let [o0, o1, o2, o3, k0, k1, v0, v1, v2, v3] = *lengths else { unreachable!("{whole}") };
    let (key, rest) = rest.split_at(usize::from(u16::from_le_bytes([k0, k1])));
    let value = match u32::from_le_bytes([v0, v1, v2, v3]) {
        NONE => None,
        length => Some(&rest[..length as usize]),
    };
    let older = u32::from_le_bytes([o0, o1, o2, o3]);
    Version { seqno: SeqNo::from_le_bytes(*seqno), older, key, value }
}

#[derive(Default)]
struct Part(RwLock<Rows>);

impl Part {
    fn read(&self) -> RwLockReadGuard<'_, Rows> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Rows> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rows in memory.
pub(super) struct Memtable {
    parts: Box<[Part]>,
    bytes: AtomicU64,
}

impl Memtable {
    pub(super) fn new() -> Memtable {
        let parts = (0..PARTS).map(|_| Part::default()).collect();
        Memtable { parts, bytes: AtomicU64::new(0) }
    }

    /// Writes rows with the number `seqno`.
    pub(super) fn insert(&self, batch: &Batch, seqno: SeqNo) {
        let mut grown = 0;
        for (key, value) in batch.rows() {
            let hash = Builder::get_hash(key);
            let mut part = self.parts[part_of(hash)].write();
            let before = part.allocated();
            part.insert(hash, seqno, key, value);
            grown += part.allocated() - before;
        }
        self.bytes.fetch_add(grown, Ordering::Relaxed);
    }

    /// What is known of `key`, whose hash is `hash`: nothing, a delete or a value.
    pub(super) fn get(&self, key: &[u8], hash: u64, seqno: SeqNo) -> Option<Option<Slice>> {
        let part = self.parts[part_of(hash)].read();
        let same = |row: &Newest| row.hash == hash && version(&part.bytes, row.at).key == key;
        let at = part.visible(part.newest.find(hash, same)?, seqno)?;
        Some(version(&part.bytes, at).value.map(Slice::from))
    }

    /// The rows of a range in the order of their keys, as a reader sees them whose snapshot is
    /// `seqno`.
    pub(super) fn sorted(
        self: &Arc<Self>,
        bounds: &(Bound<Slice>, Bound<Slice>),
        seqno: SeqNo,
    ) -> impl DoubleEndedIterator<Item = InternalValue> + use<> {
        let mut found = Vec::new();
        for (number, part) in self.parts.iter().enumerate() {
            let rows = part.read();
            found.extend(rows.newest.iter().filter_map(|row| {
                let key = version(&rows.bytes, row.at).key;
                let at = if inside(bounds, key) { rows.visible(row, seqno)? } else { return None };
                // Its first bytes here decide nearly every comparison.
                Some((prefix(key), Place { part: number as u32, at }))
            }));
        }
        found.sort_unstable_by(|(prefix, place), (other_prefix, other)| {
            prefix.cmp(other_prefix).then_with(|| self.key(*place).cmp(&self.key(*other)))
        });
        let memtable = Arc::clone(self);
        found.into_iter().map(move |(_, place)| memtable.item(place))
    }

    fn key(&self, place: Place) -> Vec<u8> {
        version(&self.parts[place.part as usize].read().bytes, place.at).key.to_vec()
    }

    /// The row as the tree stores it.
    fn item(&self, place: Place) -> InternalValue {
        let rows = self.parts[place.part as usize].read();
        let Version { seqno, key, value, .. } = version(&rows.bytes, place.at);
        let kind = if value.is_some() { ValueType::Value } else { ValueType::Tombstone };
        let value = Slice::from(value.unwrap_or_default());
        InternalValue::from_components(Slice::from(key), value, seqno, kind)
    }

    /// Memory taken.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes() == 0
    }
}

/// Where a version is.
#[derive(Clone, Copy)]
struct Place {
    part: u32,
    at: u32,
}

fn part_of(hash: u64) -> usize {
    // The map within takes bits from both ends.
    (hash >> 32) as usize % PARTS
}

fn inside((start, end): &(Bound<Slice>, Bound<Slice>), key: &[u8]) -> bool {
    let after = match start {
        Bound::Included(start) => *key >= start[..],
        Bound::Excluded(start) => *key > start[..],
        Bound::Unbounded => true,
    };
    after
        && match end {
            Bound::Included(end) => *key <= end[..],
            Bound::Excluded(end) => *key < end[..],
            Bound::Unbounded => true,
        }
}

fn prefix(key: &[u8]) -> u128 {
    let mut prefix = [0; 16];
    let length = key.len().min(16);
    prefix[..length].copy_from_slice(&key[..length]);
    u128::from_be_bytes(prefix)
}
