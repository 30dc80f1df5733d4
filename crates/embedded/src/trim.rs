//! Trimming: a floor that hides the oldest entries at once, and their deletion in small steps.
//!
//! Only references are deleted. Messages stay behind their conversation's floor, because inboxes
//! may still refer to them.

use fjall::{OwnedWriteBatch, Readable as _, Snapshot};
use seqline_core::Result;
use seqline_core::id::TimelineId;
use seqline_core::page::Bounds;
use seqline_core::seq::Seq;

use crate::engine::Engine;
use crate::error;
use crate::keys::{self, TimelineNumber};
use crate::timelines::Tail;

/// Most entries deleted in one step, so that no send waits long for it.
const PURGED_PER_STEP: u64 = 2_048;

/// The oldest entry that is left of a timeline.
pub(crate) fn first(engine: &Engine, snapshot: &Snapshot, number: TimelineNumber) -> Result<Seq> {
    let row = snapshot.get(&engine.meta, keys::floor(number)).map_err(error::engine)?;
    let Some(row) = row else { return Ok(Seq::FIRST) };
    seq(number, &row)
}

/// Puts the trim of a timeline into `batch`, unless nothing changes, and says what holds after.
pub(crate) fn trim(
    engine: &Engine,
    batch: &mut OwnedWriteBatch,
    timeline: &TimelineId,
    tail: Tail,
    up_to: Seq,
) -> Result<Bounds> {
    if tail.latest == Seq::ZERO {
        return Ok(Bounds::EMPTY);
    }
    let snapshot = engine.snapshot();
    let old = first(engine, &snapshot, tail.number)?;
    // The newest entry stays, so that its number is never used again.
    let new = up_to.next().min(tail.latest);
    if new <= old {
        return Ok(Bounds { first: old, latest: tail.latest });
    }
    batch.insert(&engine.meta, keys::floor(tail.number), new.get().to_be_bytes());
    if matches!(timeline, TimelineId::Inbox(_)) {
        let purge = keys::purge(tail.number);
        // One that is not finished began lower and covers this one too.
        if !snapshot.contains_key(&engine.meta, purge).map_err(error::engine)? {
            batch.insert(&engine.meta, purge, old.get().to_be_bytes());
        }
    }
    Ok(Bounds { first: new, latest: tail.latest })
}

/// Puts the deletion of some hidden inbox entries into `batch`; says whether there may be more.
pub(crate) fn purge(engine: &Engine, batch: &mut OwnedWriteBatch) -> Result<bool> {
    let snapshot = engine.snapshot();
    let range = keys::PURGE_START..keys::PURGE_END;
    let Some(row) = snapshot.range(&engine.meta, range).next() else { return Ok(false) };
    let (key, from) = row.into_inner().map_err(error::engine)?;
    let damaged = || error::corrupt(&"trimmed inboxes", Seq::ZERO, "a key is cut off");
    let number = keys::decode_purge(&key).ok_or_else(damaged)?;
    let from = seq(number, &from)?.get();
    let first = first(engine, &snapshot, number)?.get();
    let until = first.min(from.saturating_add(PURGED_PER_STEP));
    for seq in from..until {
        batch.remove(&engine.inbox, keys::entry(number, Seq::new(seq)));
    }
    if until >= first {
        batch.remove(&engine.meta, key);
    } else {
        batch.insert(&engine.meta, key, until.to_be_bytes());
    }
    Ok(true)
}

fn seq(number: TimelineNumber, row: &[u8]) -> Result<Seq> {
    keys::decode_u64(row).map(Seq::new).ok_or_else(|| {
        error::corrupt(&format!("timeline {number}"), Seq::ZERO, "its oldest entry is cut off")
    })
}
