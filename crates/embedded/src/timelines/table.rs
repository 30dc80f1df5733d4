//! The table of the timelines in use, by name and by slot.
//!
//! Two locks, always taken in this order: the names, the tails. Slots are used again, so whoever
//! keeps a slot keeps its stamp beside it. Only the committer takes timelines out.

use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use foldhash::fast::RandomState;

use super::names::{Names, Place, outside};
use super::numbers::Assigned;
use super::slots::Slots;
use super::tail::Tail;

/// What a timeline in use costs beside what its key and its entries take outside of its slots: the
/// slots here and with the committer, and its places in the queues of the backlog.
const TIMELINE_BYTES: u64 =
    (size_of::<Tail>() + Names::SLOT_BYTES + size_of::<Assigned>() + 3 * size_of::<Place>()) as u64;
/// The most entries published under one lock, so that no reader waits long.
const PIECE: usize = 4_096;
/// Stripes of the counters that tell a load that it raced with an eviction.
const STRIPES: usize = 1_024;

/// The timelines in use.
pub(crate) struct Table {
    hash: RandomState,
    names: RwLock<Names>,
    tails: RwLock<Slots<Tail>>,
    /// About what all of it takes.
    bytes: AtomicU64,
    /// Counts evictions, by hash of the name.
    evicted: Box<[AtomicU64]>,
}

/// A committed send that becomes readable: its frame, and all timelines it is in.
pub(crate) struct Publication<'a> {
    pub(crate) lsn: u64,
    pub(crate) segment: u64,
    pub(crate) conversation: Place,
    pub(crate) at: u64,
    pub(crate) recipients: &'a [Place],
}

/// What became of the timelines of a publication.
#[derive(Default)]
pub(crate) struct Changes {
    /// Timelines that have something the index lacks since this very publication.
    pub(crate) dirty: Vec<Place>,
    /// Timelines with a full chunk.
    pub(crate) full: Vec<Place>,
}

/// What [`Table::insert`] found.
pub(crate) enum Inserted {
    /// It is in use now.
    New(Place),
    /// It was in use already; the tail was dropped.
    Found(Place),
    /// One with a name like this was taken out since, so the tail may be stale.
    Stale,
}

/// What became of timelines that waited to leave.
#[derive(Default)]
pub(crate) struct Evicted {
    /// Slots that are free now.
    pub(crate) slots: Vec<u32>,
    /// Timelines that were used meanwhile.
    pub(crate) later: Vec<Place>,
}

impl Table {
    pub(crate) fn new() -> Table {
        Table {
            hash: RandomState::default(),
            names: RwLock::default(),
            tails: RwLock::default(),
            bytes: AtomicU64::new(0),
            evicted: (0..STRIPES).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// About the memory that the timelines in use take.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Where the timeline with this key is, if it is in use.
    pub(crate) fn find(&self, key: &[u8]) -> Option<Place> {
        let (kind, rest) = key.split_first()?;
        self.lookup().find(*kind, rest)
    }

    /// The names, for many look-ups at one moment.
    pub(crate) fn lookup(&self) -> Lookup<'_> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        Lookup { table: self, names }
    }

    /// How often timelines with a name like this one were taken out.
    pub(crate) fn evictions(&self, key: &[u8]) -> u64 {
        self.stripe(self.hash_key(key)).load(Ordering::Acquire)
    }

    /// Takes a timeline into use.
    pub(crate) fn insert(&self, key: &[u8], tail: Tail, evictions: u64) -> Inserted {
        let hash = self.hash_key(key);
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = names.find(hash, key[0], &key[1..]) {
            return Inserted::Found(place);
        }
        if self.stripe(hash).load(Ordering::Acquire) != evictions {
            return Inserted::Stale;
        }
        let place = names.insert(hash, key);
        let bytes = TIMELINE_BYTES + outside(key) + tail.heap_bytes();
        let mut tails = self.tails_mut();
        tails.grow_to(place.slot);
        tails[place.slot] = Tail { stamp: place.stamp, ..tail };
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Inserted::New(place)
    }

    /// Takes timelines out that wait to leave, that the index knows wholly and that have not
    /// grown since they began to wait. For the committer, between commits.
    pub(crate) fn evict(&self, places: &[Place]) -> Evicted {
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        let mut tails = self.tails_mut();
        let mut evicted = Evicted::default();
        for place in places {
            let tail = &mut tails[place.slot];
            if tail.stamp != place.stamp {
                continue;
            }
            if tail.dirty != 0 {
                // It waits again once it is saved.
                tail.leaving = 0;
                continue;
            }
            if tail.leaving != tail.latest + 1 {
                tail.leaving = tail.latest + 1;
                evicted.later.push(*place);
                continue;
            }
            let heap_bytes = std::mem::take(tail).heap_bytes();
            let (hash, outside) = names.remove(place.slot, |key| self.hash_key(key));
            self.bytes.fetch_sub(TIMELINE_BYTES + outside + heap_bytes, Ordering::Relaxed);
            self.stripe(hash).fetch_add(1, Ordering::Release);
            evicted.slots.push(place.slot);
        }
        evicted
    }

    /// Makes committed sends readable.
    pub(crate) fn publish(&self, sends: &[Publication<'_>], changes: &mut Changes) {
        let mut tails = self.tails_mut();
        let (mut pushed, mut grown) = (0, 0);
        for send in sends {
            let conversation = &mut tails[send.conversation.slot];
            conversation.at = send.at;
            grown += push(conversation, send.conversation, send, changes);
            for recipient in send.recipients {
                grown += push(&mut tails[recipient.slot], *recipient, send, changes);
                pushed += 1;
                if pushed % PIECE == 0 {
                    drop(tails);
                    tails = self.tails_mut();
                }
            }
        }
        drop(tails);
        self.bytes.fetch_add(grown, Ordering::Relaxed);
    }

    /// What is known of the timeline at `place`, which must be in use.
    pub(crate) fn with<T>(&self, place: Place, read: impl FnOnce(&Tail) -> T) -> Option<T> {
        let tails = self.tails();
        let tail = tails.get(place.slot)?;
        (tail.stamp == place.stamp).then(|| read(tail))
    }

    /// What is known of the timeline with this key, if it is in use.
    pub(crate) fn read<T>(&self, key: &[u8], read: impl FnOnce(&Tail) -> T) -> Option<T> {
        // Held until the tail was read: the timeline cannot leave in between.
        let lookup = self.lookup();
        let place = lookup.find(key[0], &key[1..])?;
        Some(read(&self.tails()[place.slot]))
    }

    /// The tails, to read.
    pub(crate) fn tails(&self) -> RwLockReadGuard<'_, Slots<Tail>> {
        self.tails.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tails, to change. Whoever changes what they take tells [`Table::changed`].
    pub(crate) fn tails_mut(&self) -> RwLockWriteGuard<'_, Slots<Tail>> {
        self.tails.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many bytes more or less are in use.
    pub(crate) fn changed(&self, more: u64, less: u64) {
        self.bytes.fetch_add(more, Ordering::Relaxed);
        self.bytes.fetch_sub(less, Ordering::Relaxed);
    }

    fn hash(&self, kind: u8, rest: &[u8]) -> u64 {
        let mut hasher = self.hash.build_hasher();
        hasher.write_u8(kind);
        hasher.write(rest);
        hasher.finish()
    }

    fn hash_key(&self, key: &[u8]) -> u64 {
        let (kind, rest) = key.split_first().expect("a timeline's key names its kind");
        self.hash(*kind, rest)
    }

    fn stripe(&self, hash: u64) -> &AtomicU64 {
        &self.evicted[hash as usize % STRIPES]
    }
}

/// Adds an entry; says how many bytes that took.
fn push(tail: &mut Tail, place: Place, send: &Publication<'_>, changes: &mut Changes) -> u64 {
    let before = tail.heap_bytes();
    if tail.dirty == 0 {
        changes.dirty.push(place);
    }
    if tail.push(send.lsn, send.segment) {
        changes.full.push(place);
    }
    tail.heap_bytes() - before
}

/// The names at one moment.
pub(crate) struct Lookup<'a> {
    table: &'a Table,
    names: RwLockReadGuard<'a, Names>,
}

impl Lookup<'_> {
    /// Where the timeline is whose key is `kind`, then `rest`.
    pub(crate) fn find(&self, kind: u8, rest: &[u8]) -> Option<Place> {
        self.names.find(self.table.hash(kind, rest), kind, rest)
    }

    /// The key of the timeline at `place`, if it is still there.
    pub(crate) fn key(&self, place: Place) -> Option<&[u8]> {
        self.names.key(place)
    }
}
