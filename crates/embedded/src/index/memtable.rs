//! Memtables: rows that are in no table yet.
//!
//! One thread writes. Rows are found by the hash of their key, which costs one or two lines of
//! the processor's cache; a sorted map costs a dozen. They are sorted when they are flushed or
//! scanned, which happens once for many thousand writes. There are many parts with a lock each,
//! so that nobody waits long while one of them grows.

use std::ops::{Bound, RangeBounds as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use lsm_tree::table::filter::standard_bloom::Builder;
use lsm_tree::{InternalValue, SeqNo, Slice, ValueType};

/// Parts of a memtable.
const PARTS: usize = 64;
/// Memory that a row takes beside the bytes of its key and value.
const ROW_BYTES: usize = 150;

#[derive(Clone)]
struct Version {
    seqno: SeqNo,
    /// Nothing for a delete.
    value: Option<Slice>,
}

struct Row {
    hash: u64,
    key: Slice,
    newest: Version,
    /// Versions that were replaced, the oldest first; only readers that were there before need
    /// them.
    #[expect(clippy::box_collection, reason = "a row rarely has any; a vector is 3 words")]
    older: Option<Box<Vec<Version>>>,
}

impl Row {
    fn at(&self, seqno: SeqNo) -> Option<&Version> {
        let older = self.older.iter().flat_map(|older| older.iter().rev());
        std::iter::once(&self.newest).chain(older).find(|version| version.seqno < seqno)
    }

    fn replace(&mut self, version: Version) {
        let old = std::mem::replace(&mut self.newest, version);
        if old.seqno != self.newest.seqno {
            self.older.get_or_insert_default().push(old);
        }
    }

    /// The row as the tree stores it.
    fn item(&self, version: &Version) -> InternalValue {
        let (kind, value) = match &version.value {
            Some(value) => (ValueType::Value, value.clone()),
            None => (ValueType::Tombstone, Slice::default()),
        };
        InternalValue::from_components(self.key.clone(), value, version.seqno, kind)
    }
}

#[derive(Default)]
struct Part(RwLock<HashTable<Row>>);

impl Part {
    fn read(&self) -> RwLockReadGuard<'_, HashTable<Row>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashTable<Row>> {
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

    /// Writes rows with the number `seqno`; of several for a key the last counts.
    pub(super) fn insert(&self, rows: Vec<(Slice, Option<Slice>)>, seqno: SeqNo) {
        let mut bytes = 0;
        for (key, value) in rows {
            bytes += ROW_BYTES + key.len() + value.as_ref().map_or(0, |value| value.len());
            let hash = Builder::get_hash(&key);
            let version = Version { seqno, value };
            let mut part = self.part(hash).write();
            match part.entry(hash, |row| row.hash == hash && row.key == key, |row| row.hash) {
                Entry::Occupied(entry) => entry.into_mut().replace(version),
                Entry::Vacant(entry) => {
                    entry.insert(Row { hash, key, newest: version, older: None });
                }
            }
        }
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// What is known of `key`, whose hash is `hash`: nothing, a delete or a value.
    pub(super) fn get(&self, key: &[u8], hash: u64, seqno: SeqNo) -> Option<Option<Slice>> {
        let part = self.part(hash).read();
        let row = part.find(hash, |row| row.hash == hash && row.key[..] == *key)?;
        row.at(seqno).map(|version| version.value.clone())
    }

    /// The rows of a range in the order of their keys, as a reader sees them whose snapshot is
    /// `seqno`.
    pub(super) fn sorted(
        &self,
        bounds: &(Bound<Slice>, Bound<Slice>),
        seqno: SeqNo,
    ) -> impl DoubleEndedIterator<Item = InternalValue> + use<> {
        let mut rows = Vec::new();
        for part in &self.parts {
            let part = part.read();
            let inside = part.iter().filter(|row| bounds.contains(&row.key));
            rows.extend(inside.filter_map(|row| {
                // Its first bytes beside the key decide nearly every comparison.
                row.at(seqno).map(|version| (prefix(&row.key), row.item(version)))
            }));
        }
        rows.sort_unstable_by(|(prefix, item), (other_prefix, other)| {
            prefix.cmp(other_prefix).then_with(|| item.key.user_key.cmp(&other.key.user_key))
        });
        rows.into_iter().map(|(_, item)| item)
    }

    /// Memory taken, about.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes() == 0
    }

    fn part(&self, hash: u64) -> &Part {
        // The map within takes bits from both ends.
        &self.parts[(hash >> 32) as usize % PARTS]
    }
}

fn prefix(key: &[u8]) -> u128 {
    let mut prefix = [0; 16];
    let length = key.len().min(16);
    prefix[..length].copy_from_slice(&key[..length]);
    u128::from_be_bytes(prefix)
}
