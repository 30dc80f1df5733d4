//! The search: every state that can be reached, breadth first, so that a trace is a shortest one.
//!
//! States that were seen are remembered by 64 bits of hash. That two differ and share them is
//! less likely than one in a thousand at a hundred million states.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::time::{Duration, Instant};

use crate::model::{Broken, Label, Model, Next};
use crate::state::{State, Step, TIMELINES, Timeline};

/// How far to search.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub states: usize,
    pub time: Duration,
}

/// What a search keeps beside states, at the cost of memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keep {
    /// The way to every state, which what must break keeps anyway.
    pub trace: bool,
    /// What may stand in the database at the end.
    pub outcomes: bool,
}

/// What a search found.
pub struct Found {
    pub states: usize,
    pub steps: u64,
    pub depth: usize,
    /// States in which nothing can happen any more, and those of them with an acknowledged send.
    pub ends: usize,
    pub acknowledged: usize,
    pub time: Duration,
    /// Whether there was nothing left to search.
    pub to_the_end: bool,
    pub broken: Broken,
    /// The way to what is broken.
    pub trace: Vec<(Label, State)>,
    /// What stood in the database at the ends, if that was asked for.
    pub outcomes: HashSet<[Timeline; TIMELINES]>,
}

/// Searches a model.
pub fn search(model: &Model<'_>, limits: Limits, keep: Keep) -> Found {
    let mut search = Search::new(model, limits, keep);
    let begin = model.canonical(&model.begin());
    search.seen.add(fingerprint(&begin), 0);
    let mut front = Front::default();
    front.push(begin);
    while !front.is_empty() && search.found.broken.is_none() && !search.is_cut() {
        front = search.level(front);
        search.found.depth += 1;
    }
    search.found.to_the_end = front.is_empty() && !search.cut && search.found.broken.is_none();
    search.finish()
}

struct Search<'a> {
    model: &'a Model<'a>,
    limits: Limits,
    keep: Keep,
    began: Instant,
    seen: Seen,
    found: Found,
    /// The state from which what is broken is one step away.
    last: Option<State>,
    cut: bool,
}

impl<'a> Search<'a> {
    fn new(model: &'a Model<'a>, limits: Limits, keep: Keep) -> Search<'a> {
        let found = Found {
            states: 0,
            steps: 0,
            depth: 0,
            ends: 0,
            acknowledged: 0,
            time: Duration::ZERO,
            to_the_end: false,
            broken: None,
            trace: Vec::new(),
            outcomes: HashSet::new(),
        };
        // Parents cost as much memory again, and only what must break is sure to need them.
        let seen = Seen::new(1 << 20, keep.trace || model.config.breaks.is_some());
        Search { model, limits, keep, began: Instant::now(), seen, found, last: None, cut: false }
    }

    fn is_cut(&mut self) -> bool {
        let full = self.seen.count > self.limits.states;
        self.cut |= full || self.began.elapsed() > self.limits.time;
        self.cut
    }

    /// Visits all states of one depth; those of the next.
    fn level(&mut self, front: Front) -> Front {
        let mut next = Front::default();
        let mut out: Vec<Next> = Vec::new();
        for chunk in front.0 {
            if self.is_cut() {
                break;
            }
            for state in &chunk {
                self.visit(state, &mut out, &mut next);
                if self.found.broken.is_some() {
                    return Front::default();
                }
            }
        }
        next
    }

    fn visit(&mut self, state: &State, out: &mut Vec<Next>, next: &mut Front) {
        out.clear();
        self.model.next(state, out);
        self.found.steps += out.len() as u64;
        if out.is_empty() {
            self.end(state);
        }
        let broken = out.iter().find_map(|next| next.broken);
        self.found.broken = broken.or(self.found.broken);
        if self.found.broken.is_some() {
            self.last = Some(*state);
            return;
        }
        let parent = if self.seen.parents.is_empty() { 0 } else { fingerprint(state) };
        for step in out {
            let state = self.model.canonical(&step.state);
            if self.seen.add(fingerprint(&state), parent) {
                next.push(state);
            }
        }
    }

    fn end(&mut self, state: &State) {
        self.found.ends += 1;
        let acknowledged = state.operations.iter().any(|o| o.step == Step::Acknowledged);
        self.found.acknowledged += usize::from(acknowledged);
        self.found.broken = self.model.at_rest(state);
        if self.keep.outcomes {
            self.found.outcomes.insert(state.timelines);
        }
    }

    fn finish(mut self) -> Found {
        self.found.states = self.seen.count;
        self.found.time = self.began.elapsed();
        if let Some(last) = self.last.filter(|_| !self.seen.parents.is_empty()) {
            self.trace(&last);
        }
        self.found
    }

    /// Replays the way to what is broken, on states as they are rather than their canonical ones.
    fn trace(&mut self, last: &State) {
        let begin = self.model.begin();
        let first = fingerprint(&self.model.canonical(&begin));
        let mut chain = vec![fingerprint(last)];
        while chain[chain.len() - 1] != first {
            chain.push(self.seen.parent(chain[chain.len() - 1]));
        }
        let (mut now, mut out) = (begin, Vec::new());
        for wanted in chain.iter().rev().skip(1) {
            out.clear();
            self.model.next(&now, &mut out);
            let is = |next: &&Next| fingerprint(&self.model.canonical(&next.state)) == *wanted;
            let next = out.iter().find(is).expect("the way was found once");
            now = next.state;
            self.found.trace.push((next.label, now));
        }
        out.clear();
        self.model.next(&now, &mut out);
        let broken = out.iter().find(|next| next.broken.is_some());
        self.found.trace.extend(broken.map(|next| (next.label, next.state)));
    }
}

/// The states of one depth, in chunks, so that those visited make room for those found.
#[derive(Default)]
struct Front(Vec<Vec<State>>);

impl Front {
    const CHUNK: usize = 1 << 14;

    fn push(&mut self, state: State) {
        match self.0.last_mut() {
            Some(chunk) if chunk.len() < Front::CHUNK => chunk.push(state),
            _ => {
                let mut chunk = Vec::with_capacity(Front::CHUNK);
                chunk.push(state);
                self.0.push(chunk);
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Fingerprints of states, each with that of the state it was reached from if that is wanted.
struct Seen {
    places: Vec<u64>,
    parents: Vec<u64>,
    count: usize,
}

impl Seen {
    fn new(places: usize, parents: bool) -> Seen {
        let parents = vec![0; if parents { places } else { 0 }];
        Seen { places: vec![0; places], parents, count: 0 }
    }

    /// Where a fingerprint is, or belongs. 0 is an empty place and no fingerprint.
    fn place(&self, fingerprint: u64) -> usize {
        let mask = self.places.len() - 1;
        let mut place = (fingerprint ^ fingerprint >> 32) as usize & mask;
        while self.places[place] != 0 && self.places[place] != fingerprint {
            place = (place + 1) & mask;
        }
        place
    }

    /// Whether it is new.
    fn add(&mut self, fingerprint: u64, parent: u64) -> bool {
        if self.count * 8 > self.places.len() * 7 {
            self.grow();
        }
        let place = self.place(fingerprint);
        if self.places[place] == fingerprint {
            return false;
        }
        self.places[place] = fingerprint;
        if let Some(of) = self.parents.get_mut(place) {
            *of = parent;
        }
        self.count += 1;
        true
    }

    fn grow(&mut self) {
        let mut larger = Seen::new(self.places.len() * 2, !self.parents.is_empty());
        for (place, fingerprint) in self.places.iter().enumerate().filter(|(_, f)| **f != 0) {
            larger.add(*fingerprint, self.parents.get(place).copied().unwrap_or(0));
        }
        *self = larger;
    }

    fn parent(&self, fingerprint: u64) -> u64 {
        self.parents[self.place(fingerprint)]
    }
}

/// 64 bits of hash, never 0.
fn fingerprint(state: &State) -> u64 {
    let mut hash = Fold { hash: 0x9e37_79b9_7f4a_7c15, waiting: 0, count: 0 };
    state.hash(&mut hash);
    hash.finish().max(1)
}

/// Folds a product of 128 bits into 64, eight bytes at a time.
struct Fold {
    hash: u64,
    waiting: u64,
    count: u32,
}

fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    product as u64 ^ (product >> 64) as u64
}

impl Fold {
    fn mix(&mut self, word: u64) {
        let turned = self.hash.rotate_left(23);
        self.hash = fold(self.hash ^ word, 0xd6e8_feb8_6659_fd93) ^ turned;
    }
}

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u8(*byte));
    }

    fn write_u8(&mut self, byte: u8) {
        self.waiting = self.waiting << 8 | u64::from(byte);
        self.count += 1;
        if self.count == 8 {
            self.mix(self.waiting);
            (self.waiting, self.count) = (0, 0);
        }
    }

    /// Discriminants of enums: small.
    fn write_isize(&mut self, number: isize) {
        self.write_u8(number as u8);
    }

    /// Lengths of arrays, which are always the same.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        let word = self.waiting | u64::from(self.count) << 60;
        fold(
            fold(self.hash ^ word, 0xd6e8_feb8_6659_fd93) ^ 0xa076_1d64_78bd_642f,
            0xe703_7ed1_a0b4_28db,
        )
    }
}
