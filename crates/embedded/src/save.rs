//! Saving timelines in the index: their full chunks, and a head with the entries after those.

use seqline_core::Error;

use crate::courtesy::Courtesy;
use crate::engine::Engine;
use crate::index::{Batch, IndexError};
use crate::rows::{self, CHUNK_ENTRIES, Head, Refs, chunk_of, chunk_start};
use crate::timelines::{self, Place};

/// Timelines looked at under one lock, and between two breaks.
const TOGETHER: usize = 16;

/// A timeline as it is saved.
struct Saved {
    place: Place,
    key: Vec<u8>,
    head: Head,
    /// The position of the first entry of `head.refs`, which has all that is in memory.
    base: u64,
    trimmed: bool,
    /// Entries of the index that belong before `base`, so that its chunk can be whole.
    before: usize,
}

/// Puts what the index lacks of some timelines into it. Returns how many have grown meanwhile.
pub(crate) fn save(engine: &Engine, places: &[Place]) -> Result<usize, IndexError> {
    let (mut grown, mut courtesy) = (0, Courtesy::new(1));
    // In the order in which they stand in memory; one may be named twice.
    let mut places = places.to_vec();
    places.sort_unstable_by_key(|place| place.slot);
    places.dedup();
    for places in places.chunks(TOGETHER) {
        let mut saved = collect(engine, places);
        let mut batch = Batch::default();
        for timeline in &mut saved {
            complete(engine, timeline, &mut batch)?;
            put(timeline, &mut batch);
        }
        engine.index.write(&batch);
        grown += settle(engine, saved);
        // Not when memory is nearly full: then everybody waits for this.
        if !engine.memory_is_nearly_full() {
            courtesy.step();
        }
    }
    Ok(grown)
}

/// What is in memory of the timelines that have something to save.
fn collect(engine: &Engine, places: &[Place]) -> Vec<Saved> {
    let lookup = engine.table.lookup();
    let tails = engine.table.tails();
    let one = |place: &Place| {
        let tail = &tails[place.slot];
        if tail.stamp != place.stamp || tail.dirty == 0 {
            return None;
        }
        let refs = Refs::from_slice(&tail.refs);
        let head = Head { first: tail.first, latest: tail.latest, at: tail.at, refs };
        let key = lookup.key(*place)?.to_vec();
        let (base, trimmed) = (tail.base, tail.trimmed);
        Some(Saved { place: *place, key, head, base, trimmed, before: 0 })
    };
    places.iter().filter_map(one).collect()
}

/// Adds what only the index knows: after a replay, the entries before those in memory and the
/// oldest entry; after a trim, the chunks that go.
fn complete(engine: &Engine, saved: &mut Saved, batch: &mut Batch) -> Result<(), IndexError> {
    let start = chunk_start(saved.base);
    if saved.base == start && saved.head.first != 0 && !saved.trimmed {
        return Ok(());
    }
    let damaged = |detail: &str| IndexError::damaged(&rows::head_key(&saved.key), detail);
    let stored =
        timelines::head(&engine.index, &saved.key).map_err(|e| IndexError::from_core(&e))?;
    if saved.base > 1 && stored.as_ref().is_none_or(|head| head.latest + 1 < saved.base) {
        return Err(damaged("entries between it and the log are missing"));
    }
    let stored_first = stored.as_ref().map_or(1, |head| head.first);
    saved.head.first = saved.head.first.max(stored_first);
    let left = chunk_start(saved.head.first);
    if saved.base < left {
        // A replay began before a trim that the index has: the chunks before it are gone already.
        saved.head.refs.drain(..(left - saved.base) as usize);
        saved.base = left;
    } else if saved.base > start {
        let refs =
            timelines::stored_refs(engine, &saved.key, stored.as_ref(), start, saved.base - 1)
                .map_err(|e| IndexError::from_core(&e))?;
        saved.before = refs.len();
        saved.head.refs.insert_many(0, refs);
        saved.base = start;
    }
    for chunk in chunk_of(stored_first)..chunk_of(saved.head.first) {
        batch.delete(&rows::chunk_key(&saved.key, chunk));
    }
    Ok(())
}

fn put(saved: &Saved, batch: &mut Batch) {
    let Saved { key, head, base, .. } = saved;
    let full = head.refs.chunks_exact(CHUNK_ENTRIES as usize);
    let rest = Refs::from_slice(full.remainder());
    for (chunk, refs) in (chunk_of(*base)..).zip(full) {
        if chunk >= chunk_of(head.first) {
            batch.put(&rows::chunk_key(key, chunk), &rows::encode_chunk(refs));
        }
    }
    let head = Head { refs: rest, ..*head };
    batch.put(&rows::head_key(key), &head.encode());
}

/// Takes what is saved out of memory, and finds out what came meanwhile.
fn settle(engine: &Engine, saved: Vec<Saved>) -> usize {
    let (mut dirty, mut clean) = (Vec::new(), Vec::new());
    let (mut more, mut less) = (0, 0);
    let mut tails = engine.table.tails_mut();
    for Saved { place, head, base, before, .. } in saved {
        let tail = &mut tails[place.slot];
        assert_eq!(tail.stamp, place.stamp, "a timeline with unsaved entries stays in memory");
        less += tail.heap_bytes();
        if before > 0 {
            tail.refs.insert_many(0, head.refs[..before].iter().copied());
            tail.base = base;
        }
        tail.first = tail.first.max(head.first);
        // A trim that came meanwhile is still to be saved.
        tail.trimmed = tail.first > head.first;
        tail.forget(head.latest);
        more += tail.heap_bytes();
        if tail.trimmed {
            // The trim may be older than the entries that came meanwhile.
            dirty.push((tail.dirty, place));
        } else if tail.latest > head.latest {
            let next = tail.refs[(head.latest + 1 - tail.base) as usize];
            tail.dirty = engine.segment_of(next);
            dirty.push((tail.dirty, place));
        } else {
            tail.dirty = 0;
            if tail.leaving == 0 {
                tail.leaving = tail.latest + 1;
                clean.push(place);
            }
        }
    }
    drop(tails);
    engine.table.changed(more, less);
    let grown = dirty.len();
    engine.backlog.saved(dirty, clean);
    grown
}

impl IndexError {
    /// A timeline's rows could not be read.
    fn from_core(error: &Error) -> IndexError {
        IndexError::Stopped(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Bench, inbox, to_group};
    use seqline_core::seq::Seq;
    use seqline_core::store::Store as _;

    /// The bug: a trim that came while its timeline was saved, and an entry in the next segment
    /// after it, left only the entry's segment to be replayed. After a crash the floor had sunk.
    #[test]
    fn a_trim_that_comes_during_a_save_is_still_replayed() {
        let mut bench = Bench::new();
        (bench.tuning.segment_bytes, bench.tuning.keeper_held) = (16 << 10, true);
        let store = bench.open();
        let engine = store.engine();
        let body = format!("{{\"x\":\"{}\"}}", "x".repeat(1_000));
        let send = |name: &str| bench.send(&store, to_group("g", &[name], &body)).unwrap();
        send("a");
        send("a");
        let place = engine.table.find(b"ia").unwrap();
        let saved = collect(&engine, &[place]);
        bench.runtime.block_on(store.trim(inbox("a"), Seq::FIRST)).unwrap();
        let trimmed_in = engine.backlog.segment();
        while engine.backlog.segment() == trimmed_in {
            send("b");
        }
        send("a");
        settle(&engine, saved);
        assert_eq!(engine.table.with(place, |tail| tail.dirty), Some(trimmed_in));
        drop(engine);
        store.abandon();
    }

    #[test]
    fn what_came_during_a_save_stays_in_memory() {
        let mut bench = Bench::new();
        bench.tuning.keeper_held = true;
        let store = bench.open();
        let engine = store.engine();
        let send = || bench.send(&store, to_group("g", &["a"], "{}")).unwrap();
        (0..60).for_each(|_| assert!(!send().repeat));
        let place = engine.table.find(b"ia").unwrap();
        let saved = collect(&engine, &[place]);
        // The chunk that the save has only a part of is full by now.
        (0..70).for_each(|_| assert!(!send().repeat));
        settle(&engine, saved);
        assert_eq!(engine.table.with(place, |tail| (tail.base, tail.latest)), Some((1, 130)));
        assert_eq!(save(&engine, &[place]).unwrap(), 0);
        assert_eq!(engine.table.with(place, |tail| (tail.base, tail.latest)), Some((129, 130)));
        assert_eq!(bench.all(&store, inbox("a")).unwrap().entries.len(), 130);
        drop(engine);
        store.abandon();
    }
}
