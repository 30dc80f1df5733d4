//! Sums over entries that do not depend on their order: equal on both sides, or something differs.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

/// Sums for so many shares of the timelines.
const BUCKETS: usize = 65_536;

/// An entry of a timeline, and where its message is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) timeline: &'a [u8],
    pub(super) seq: u64,
    pub(super) lsn: u64,
}

/// The oldest entries of trimmed timelines, by hash of their keys.
#[derive(Default)]
pub(super) struct Floors {
    hash: RandomState,
    first: HashMap<u64, u64, RandomState>,
}

impl Floors {
    pub(super) fn put(&mut self, timeline: &[u8], first: u64) {
        if first > 1 {
            self.first.insert(self.hash.hash_one(timeline), first);
        }
    }

    pub(super) fn get(&self, timeline: &[u8]) -> u64 {
        match self.first.is_empty() {
            true => 1,
            false => self.first.get(&self.hash.hash_one(timeline)).copied().unwrap_or(1),
        }
    }
}

/// Two sums for each share: of the index, and of the log.
pub(super) struct Sums {
    hash: RandomState,
    sums: Vec<(u64, u64)>,
}

impl Sums {
    pub(super) fn new() -> Sums {
        Sums { hash: RandomState::default(), sums: vec![(0, 0); BUCKETS] }
    }

    pub(super) fn index(&mut self, entry: Entry<'_>) {
        let (bucket, value) = self.value(entry);
        self.sums[bucket].0 = self.sums[bucket].0.wrapping_add(value);
    }

    pub(super) fn log(&mut self, entry: Entry<'_>) {
        let (bucket, value) = self.value(entry);
        self.sums[bucket].1 = self.sums[bucket].1.wrapping_add(value);
    }

    pub(super) fn differ(&self) -> bool {
        self.sums.iter().any(|(index, log)| index != log)
    }

    /// Sums by timeline, for the shares that differ.
    pub(super) fn details(self) -> Details {
        let shares = self.sums.iter().enumerate();
        let differing = shares.filter(|(_, (index, log))| index != log).map(|(share, _)| share);
        Details { differing: differing.collect(), sums: self, timelines: HashMap::default() }
    }

    fn value(&self, entry: Entry<'_>) -> (usize, u64) {
        let timeline = self.hash.hash_one(entry.timeline);
        let value = self.hash.hash_one((timeline, entry.seq, entry.lsn));
        (timeline as usize % BUCKETS, value)
    }
}

/// Sums and counts of single timelines.
pub(super) struct Details {
    sums: Sums,
    differing: HashSet<usize>,
    timelines: HashMap<Vec<u8>, Detail, RandomState>,
}

#[derive(Default)]
struct Detail {
    index: (u64, u64),
    log: (u64, u64),
}

impl Details {
    pub(super) fn index(&mut self, entry: Entry<'_>) {
        self.add(entry, |detail| &mut detail.index);
    }

    pub(super) fn log(&mut self, entry: Entry<'_>) {
        self.add(entry, |detail| &mut detail.log);
    }

    fn add(&mut self, entry: Entry<'_>, side: fn(&mut Detail) -> &mut (u64, u64)) {
        let (share, value) = self.sums.value(entry);
        if self.differing.contains(&share) {
            let (sum, count) = side(self.timelines.entry_ref(entry.timeline).or_default());
            *sum = sum.wrapping_add(value);
            *count += 1;
        }
    }

    /// The timelines on which the sides differ, with what is to be said of each.
    pub(super) fn finish(self) -> Vec<(Vec<u8>, String)> {
        let differing = self.timelines.into_iter().filter(|(_, d)| d.index != d.log);
        let mut found: Vec<_> = differing
            .map(|(timeline, Detail { index: (_, index), log: (_, log) })| {
                let detail = match index == log {
                    true => format!("of its {index} entries some lead to other messages"),
                    false => format!("the index has {index} entries of it, the log {log}"),
                };
                (timeline, detail)
            })
            .collect();
        found.sort();
        found
    }
}
