//! Where timelines stand: their floors and tails.

use std::collections::HashMap;

use mongodb::bson::{Bson, RawDocumentBuf};
use seqline_core::id::TimelineId;
use seqline_core::page::Bounds;
use seqline_core::seq::Seq;

use crate::call::{Call, Stop};
use crate::db::{Collection, Fields, Query};
use crate::documents;
use crate::lookup::COMMAND_MAX;
use crate::names;

/// The floor in a document of [`Collection::Floors`].
pub(crate) const FLOOR: &mongodb::bson::raw::CStr = mongodb::bson::raw::cstr!("floor");

/// Where the entries of a timeline are.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub of: Collection,
    /// The `id` in its entries.
    pub id: String,
    /// The `_id` of its floor.
    pub floor_id: String,
}

impl Place {
    pub fn of(timeline: &TimelineId) -> Place {
        let (of, id) = match timeline {
            TimelineId::Inbox(member) => (Collection::Inboxes, member.as_str().to_owned()),
            TimelineId::Conversation(conversation) => {
                (Collection::History, names::history_id(conversation))
            }
        };
        Place { of, id, floor_id: names::floor_id(timeline) }
    }
}

/// The highest position of a timeline that a majority has; 0 if it has none.
pub(crate) async fn tail(call: &Call, place: &Place) -> Result<u64, Stop> {
    let query = Query::Range {
        of: place.of,
        id: place.id.clone(),
        above: 0,
        up_to: u64::MAX,
        descending: true,
        limit: 1,
        bytes_max: usize::MAX,
        fields: Fields::Head,
    };
    let found = call.find(query).await?;
    Ok(found.first().and_then(|d| documents::number(d, documents::SEQ)).unwrap_or(0))
}

/// Up to which position everything of a timeline is gone; 0 if nothing is.
pub(crate) async fn floor(call: &Call, place: &Place) -> Result<u64, Stop> {
    let floors = floors(call, vec![Bson::String(place.floor_id.clone())]).await?;
    Ok(floors.values().next().copied().unwrap_or(0))
}

async fn floors(call: &Call, ids: Vec<Bson>) -> Result<HashMap<String, u64>, Stop> {
    let query = Query::Ids { of: Collection::Floors, ids, fields: Fields::All };
    let found = call.find(query).await?;
    let read = |document: &RawDocumentBuf| {
        let id = documents::string(document, documents::ID)?.to_owned();
        Some((id, documents::number(document, FLOOR)?))
    };
    Ok(found.iter().filter_map(read).collect())
}

/// The bounds of many timelines, in their order.
pub(crate) async fn of(call: &Call, timelines: &[TimelineId]) -> Result<Vec<Bounds>, Stop> {
    let places: Vec<Place> = timelines.iter().map(Place::of).collect();
    let mut bounds = Vec::with_capacity(places.len());
    for places in places.chunks(COMMAND_MAX) {
        bounds.extend(of_some(call, places).await?);
    }
    Ok(bounds)
}

async fn of_some(call: &Call, places: &[Place]) -> Result<Vec<Bounds>, Stop> {
    // Floors first: an entry above a floor was there when the floor was made, so tails that are
    // read later are above it.
    let ids = places.iter().map(|place| Bson::String(place.floor_id.clone())).collect();
    let floors = floors(call, ids).await?;
    let ids_of = |of: Collection| -> Vec<String> {
        places.iter().filter(|place| place.of == of).map(|place| place.id.clone()).collect()
    };
    let (inboxes, history) = futures_util::try_join!(
        tails(call, Collection::Inboxes, ids_of(Collection::Inboxes)),
        tails(call, Collection::History, ids_of(Collection::History)),
    )?;
    let one = |place: &Place| {
        let tails = if place.of == Collection::Inboxes { &inboxes } else { &history };
        let floor = floors.get(&place.floor_id).copied().unwrap_or(0);
        let tail = tails.get(&place.id).copied().unwrap_or(0);
        // Above a floor there is always an entry, even if an old view does not show it.
        let latest = tail.max(floor + u64::from(floor > 0));
        Bounds { first: Seq::new(floor + 1), latest: Seq::new(latest) }
    };
    Ok(places.iter().map(one).collect())
}

async fn tails(
    call: &Call,
    of: Collection,
    ids: Vec<String>,
) -> Result<HashMap<String, u64>, Stop> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let tails = call.tails(of, ids).await?;
    Ok(tails.into_iter().map(|tail| (tail.id, tail.seq)).collect())
}
