//! Trimming: a floor below which nothing is shown any more. No entry is touched; the purge
//! deletes them long after.

use seqline_core::error::Result;
use seqline_core::id::TimelineId;
use seqline_core::page::Bounds;
use seqline_core::seq::Seq;

use crate::bounds::{self, Place};
use crate::call::{Call, Stop};
use crate::db::{Collection, Query, Update};
use crate::documents::{self, Head};
use crate::marks;
use crate::resume;
use crate::walk::corrupt;

/// Hides the entries of `timeline` up to `up_to`, except the newest.
pub(crate) async fn trim(call: &Call, timeline: &TimelineId, up_to: Seq) -> Result<Bounds> {
    attempt(call, timeline, up_to).await.map_err(Stop::unavailable)
}

async fn attempt(
    call: &Call,
    timeline: &TimelineId,
    up_to: Seq,
) -> std::result::Result<Bounds, Stop> {
    let place = Place::of(timeline);
    let tail = bounds::tail(call, &place).await?;
    let to = up_to.get().min(tail.saturating_sub(1));
    if to > 0 {
        if place.of == Collection::History {
            finish(call, &place.id, to).await?;
        }
        let at = documents::time(call.shared.clock.now());
        call.update(Update::RaiseFloor { id: place.floor_id, to, at }).await?;
    }
    let bounds = bounds::of(call, std::slice::from_ref(timeline)).await?;
    Ok(bounds.into_iter().next().unwrap_or(Bounds::EMPTY))
}

/// Makes a conversation whole and marked up to `to`, because with a pending entry its recipients
/// would go.
async fn finish(call: &Call, id: &str, to: u64) -> std::result::Result<(), Stop> {
    for round in 0.. {
        if round > 1 {
            call.pause(round - 2).await;
        }
        marks::flush(call).await?;
        let found = call.find(Query::LowestPending { id: id.to_owned(), up_to: to }).await?;
        let Some(document) = found.first() else {
            break;
        };
        let head = corrupt(id, 0, Head::read(document))?;
        resume::one(call, id, head.seq).await?;
    }
    Ok(())
}
