//! Taking a timeline into use: from the index, or as a new one.

use std::sync::Arc;

use seqline_core::Result;
use seqline_core::id::TimelineId;
use seqline_core::page::Bounds;
use seqline_core::seq::Seq;

use super::names::Place;
use super::table::Inserted;
use super::tail::Tail;
use crate::chunks::Chunk;
use crate::engine::Engine;
use crate::error;
use crate::index::{Index, Snapshot};
use crate::rows::{self, CHUNK_ENTRIES, Head, chunk_of, chunk_start};

/// Takes the timeline with this key into use, unless it is. May wait for the disk.
pub(crate) fn load(engine: &Engine, key: &[u8]) -> Result<Place> {
    let table = &engine.table;
    loop {
        if let Some(place) = table.find(key) {
            return Ok(place);
        }
        let evictions = table.evictions(key);
        let tail = head(&engine.index, key)?.map_or_else(Tail::new, Tail::stored);
        if let Some(place) = insert(engine, key, tail, evictions) {
            return Ok(place);
        }
    }
}

/// Takes the timeline with this key into use if it is new, as far as memory alone can tell; it
/// was not in use a moment ago. Never waits for the disk.
pub(crate) fn begin(engine: &Engine, index: &Snapshot, key: &[u8]) -> Option<Place> {
    // The snapshot may be from before one with this name was saved and left memory.
    let evictions = engine.table.evictions(key);
    if !index.surely_absent(&rows::head_key(key)) {
        return None;
    }
    insert(engine, key, Tail::new(), evictions)
}

/// Takes a timeline into use; `None` if `tail` may be stale.
fn insert(engine: &Engine, key: &[u8], mut tail: Tail, evictions: u64) -> Option<Place> {
    // Whatever comes into memory must be able to leave it, also if nothing is written to it.
    tail.leaving = tail.latest + 1;
    match engine.table.insert(key, tail, evictions) {
        Inserted::New(place) => {
            engine.backlog.put_clean(vec![place]);
            Some(place)
        }
        Inserted::Found(place) => Some(place),
        Inserted::Stale => None,
    }
}

/// What the index knows of the timeline with this key.
pub(crate) fn head(index: &Index, key: &[u8]) -> Result<Option<Head>> {
    let Some(row) = index.get(&rows::head_key(key)).map_err(error::index)? else {
        return Ok(None);
    };
    let head = Head::decode(&row).ok_or_else(|| damaged(key, 0, "its head cannot be read"))?;
    Ok(Some(head))
}

/// The entries from `low` to `high` that the index has, whose head was read before: as many as
/// asked for.
///
/// # Errors
/// `Corrupt` if one is missing. It may have been trimmed since the head was read.
pub(crate) fn stored_refs(
    engine: &Engine,
    key: &[u8],
    head: Option<&Head>,
    low: u64,
    high: u64,
) -> Result<Vec<u64>> {
    let mut refs = Vec::with_capacity((high + 1 - low) as usize);
    while low + (refs.len() as u64) <= high {
        let next = low + refs.len() as u64;
        let chunk = chunk_of(next);
        let start = chunk_start(next);
        let end = high.min(start + CHUNK_ENTRIES - 1);
        let in_head = head.filter(|head| head.base() <= next && head.base() == start);
        let part = match in_head {
            Some(head) => head.refs.get((next - start) as usize..=(end - start) as usize),
            None => None,
        };
        if let Some(part) = part {
            refs.extend_from_slice(part);
            continue;
        }
        let chunk = stored_chunk(engine, key, chunk, next)?;
        refs.extend_from_slice(&chunk[(next - start) as usize..=(end - start) as usize]);
    }
    Ok(refs)
}

/// A chunk with the entry at `seq`.
fn stored_chunk(engine: &Engine, key: &[u8], chunk: u64, seq: u64) -> Result<Chunk> {
    let row_key = rows::chunk_key(key, chunk);
    if let Some(chunk) = engine.chunks.get(&row_key) {
        return Ok(chunk);
    }
    let row = engine.index.get(&row_key).map_err(error::index)?;
    let row = row.ok_or_else(|| damaged(key, seq, "the entry is missing"))?;
    let refs =
        rows::decode_chunk(&row).ok_or_else(|| damaged(key, seq, "a chunk cannot be read"))?;
    let chunk = Chunk::from(refs);
    engine.chunks.put(row_key, Arc::clone(&chunk));
    Ok(chunk)
}

/// The entries from `low` to `high`, which are in full chunks, if all of those are in memory.
pub(crate) fn cached_refs(engine: &Engine, key: &[u8], low: u64, high: u64) -> Option<Vec<u64>> {
    let mut refs = Vec::with_capacity((high + 1 - low) as usize);
    let mut next = low;
    while next <= high {
        let start = chunk_start(next);
        let end = high.min(start + CHUNK_ENTRIES - 1);
        let chunk = engine.chunks.get(&rows::chunk_key(key, chunk_of(next)))?;
        refs.extend_from_slice(&chunk[(next - start) as usize..=(end - start) as usize]);
        next = end + 1;
    }
    Some(refs)
}

impl Engine {
    /// The oldest and the newest entry of the timeline at `place`, which is in use.
    pub(crate) fn bounds_at(&self, key: &[u8], place: Place) -> Result<Bounds> {
        let known = self.table.with(place, |tail| (tail.first, tail.latest));
        let (mut first, latest) = known.unwrap_or_default();
        if first == 0 {
            first = head(&self.index, key)?.map_or(1, |head| head.first);
        }
        Ok(Bounds { first: Seq::new(first), latest: Seq::new(latest) })
    }
}

/// A timeline's rows do not hold.
pub(crate) fn damaged(key: &[u8], seq: u64, detail: &str) -> seqline_core::Error {
    let timeline = TimelineId::from_key(key).map(|t| t.to_string());
    error::corrupt(&timeline.unwrap_or_default(), Seq::new(seq), detail)
}
