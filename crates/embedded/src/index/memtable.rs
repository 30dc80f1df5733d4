//! Memtables: rows that are in no table yet, sorted by key.
//!
//! One thread writes, for a few rows at a time under the lock. A filter of bits in front of the
//! lock answers for nearly every key that is not there, which is the most frequent question.

use std::cmp::Ordering as Order;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use lsm_tree::table::filter::standard_bloom::Builder;
use lsm_tree::{InternalValue, SeqNo, Slice, ValueType};

/// Words of the filter: 1 MiB, three bits a key. With 400,000 keys it fails for 3 in 1,000.
const FILTER_WORDS: usize = 128 * 1024;
/// Rows written before readers may go on.
const LOCKED_ROWS: usize = 32;
/// Memory that a row takes beside the bytes of its key and value.
const ROW_BYTES: usize = 150;
/// Most rows that a scan copies at a time.
const SCANNED_ROWS_MAX: usize = 64;

/// A key with its first bytes beside it, so that most comparisons stay in the tree's node.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Place {
    prefix: u128,
    key: Slice,
}

impl Place {
    fn new(key: Slice) -> Place {
        let mut prefix = [0; 16];
        let length = key.len().min(16);
        prefix[..length].copy_from_slice(&key[..length]);
        Place { prefix: u128::from_be_bytes(prefix), key }
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Place) -> Order {
        self.prefix.cmp(&other.prefix).then_with(|| self.key[..].cmp(&other.key[..]))
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Place) -> Option<Order> {
        Some(self.cmp(other))
    }
}

#[derive(Clone)]
struct Version {
    seqno: SeqNo,
    /// Nothing for a delete.
    value: Option<Slice>,
}

pub(super) struct Row {
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
}

pub(super) type Rows = BTreeMap<Place, Row>;

/// Rows in memory.
pub(super) struct Memtable {
    rows: RwLock<Rows>,
    filter: Box<[AtomicU64]>,
    bytes: AtomicU64,
}

/// The word of the filter and its bits for a key of this hash.
fn bits(hash: u64) -> (usize, u64) {
    let word = usize::try_from(hash >> 40).unwrap_or_default() % FILTER_WORDS;
    (word, 1 << (hash & 63) | 1 << (hash >> 6 & 63) | 1 << (hash >> 12 & 63))
}

impl Memtable {
    pub(super) fn new() -> Memtable {
        let filter = (0..FILTER_WORDS).map(|_| AtomicU64::new(0)).collect();
        Memtable { rows: RwLock::default(), filter, bytes: AtomicU64::new(0) }
    }

    /// Writes rows with the number `seqno`; of several for a key the last counts.
    pub(super) fn insert(&self, rows: Vec<(Slice, Option<Slice>)>, seqno: SeqNo) {
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let mut map = self.rows.write().unwrap_or_else(PoisonError::into_inner);
            for (key, value) in rows.by_ref().take(LOCKED_ROWS) {
                let bytes = ROW_BYTES + key.len() + value.as_ref().map_or(0, |value| value.len());
                self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
                let (word, bits) = bits(Builder::get_hash(&key));
                self.filter[word].fetch_or(bits, Ordering::Relaxed);
                let version = Version { seqno, value };
                match map.entry(Place::new(key)) {
                    std::collections::btree_map::Entry::Vacant(entry) => {
                        entry.insert(Row { newest: version, older: None });
                    }
                    std::collections::btree_map::Entry::Occupied(entry) => {
                        entry.into_mut().replace(version);
                    }
                }
            }
        }
    }

    /// What is known of `key`, whose hash is `hash`: nothing, a delete or a value.
    pub(super) fn get(&self, key: &[u8], hash: u64, seqno: SeqNo) -> Option<Option<Slice>> {
        let (word, bits) = bits(hash);
        if self.filter[word].load(Ordering::Relaxed) & bits != bits {
            return None;
        }
        let place = Place::new(Slice::from(key));
        self.rows().get(&place)?.at(seqno).map(|version| version.value.clone())
    }

    /// Memory taken, about.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows().is_empty()
    }

    pub(super) fn rows(&self) -> RwLockReadGuard<'_, Rows> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The newest version of each row, as the tree stores it.
pub(super) fn newest(rows: &Rows) -> impl DoubleEndedIterator<Item = InternalValue> {
    rows.iter().map(|(place, row)| item(place, &row.newest))
}

fn item(place: &Place, version: &Version) -> InternalValue {
    let (kind, value) = match &version.value {
        Some(value) => (ValueType::Value, value.clone()),
        None => (ValueType::Tombstone, Slice::default()),
    };
    InternalValue::from_components(place.key.clone(), value, version.seqno, kind)
}

/// Rows of a range as one reader sees them. It copies some at a time, to hold the lock briefly.
pub(super) struct MemtableRows {
    memtable: Arc<Memtable>,
    seqno: SeqNo,
    /// What is left in the memtable.
    bounds: (Bound<Place>, Bound<Place>),
    /// Copied from the front, in order.
    front: VecDeque<InternalValue>,
    /// Copied from the back, the last key first.
    back: VecDeque<InternalValue>,
    copy_rows: usize,
}

impl MemtableRows {
    pub(super) fn new(
        memtable: &Arc<Memtable>,
        (start, end): &(Bound<Slice>, Bound<Slice>),
        seqno: SeqNo,
    ) -> MemtableRows {
        let place = |bound: &Bound<Slice>| bound.clone().map(Place::new);
        MemtableRows {
            memtable: Arc::clone(memtable),
            seqno,
            bounds: (place(start), place(end)),
            front: VecDeque::new(),
            back: VecDeque::new(),
            copy_rows: 2,
        }
    }

    fn copy(&mut self, from_back: bool) {
        if is_crossed(&self.bounds) {
            return;
        }
        self.copy_rows = SCANNED_ROWS_MAX.min(self.copy_rows * 2);
        let map = self.memtable.rows();
        let mut range = map.range((self.bounds.0.as_ref(), self.bounds.1.as_ref()));
        let copied = if from_back { &mut self.back } else { &mut self.front };
        let mut last = None;
        while copied.len() < self.copy_rows {
            let Some((place, row)) = (if from_back { range.next_back() } else { range.next() })
            else {
                break;
            };
            last = Some(place);
            copied.extend(row.at(self.seqno).map(|version| item(place, version)));
        }
        if let Some(last) = last.cloned() {
            let end = if from_back { &mut self.bounds.1 } else { &mut self.bounds.0 };
            *end = Bound::Excluded(last);
        }
    }
}

/// Whether there can be nothing between the bounds; the map would panic.
fn is_crossed((start, end): &(Bound<Place>, Bound<Place>)) -> bool {
    use Bound::{Excluded, Included};
    match (start, end) {
        (Included(start), Included(end)) => start > end,
        (Included(start) | Excluded(start), Included(end) | Excluded(end)) => start >= end,
        _ => false,
    }
}

impl Iterator for MemtableRows {
    type Item = InternalValue;

    fn next(&mut self) -> Option<InternalValue> {
        if self.front.is_empty() {
            self.copy(false);
        }
        self.front.pop_front().or_else(|| self.back.pop_back())
    }
}

impl DoubleEndedIterator for MemtableRows {
    fn next_back(&mut self) -> Option<InternalValue> {
        if self.back.is_empty() {
            self.copy(true);
        }
        self.back.pop_front().or_else(|| self.front.pop_back())
    }
}
