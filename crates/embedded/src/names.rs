//! From a timeline's key to its number and back, through caches of bounded size.
//!
//! Only names that are committed enter the caches, so a reader can trust what it finds.

use fjall::{Readable as _, Snapshot};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use seqline_core::Result;
use seqline_core::id::{ConversationId, TimelineId};
use seqline_core::seq::Seq;

use crate::engine::Engine;
use crate::error;
use crate::keys::{self, TimelineNumber};

/// What an entry of a cache costs beside the bytes of its name.
const OVERHEAD_BYTES: u64 = 96;
/// Guess of an entry's size, to size the caches' tables.
const ENTRY_BYTES: u64 = 160;

/// The caches.
pub(crate) struct Names {
    numbers: Cache<Box<[u8]>, TimelineNumber, Weigh>,
    conversations: Cache<TimelineNumber, ConversationId, Weigh>,
}

impl Names {
    /// Caches that take about `bytes` together.
    pub(crate) fn new(bytes: u64) -> Names {
        let half = bytes / 2;
        let items = usize::try_from(half / ENTRY_BYTES).unwrap_or(usize::MAX);
        Names {
            numbers: Cache::with_weighter(items, half, Weigh),
            conversations: Cache::with_weighter(items, half, Weigh),
        }
    }
}

#[derive(Clone)]
struct Weigh;

impl Weighter<Box<[u8]>, TimelineNumber> for Weigh {
    fn weight(&self, key: &Box<[u8]>, _: &TimelineNumber) -> u64 {
        key.len() as u64 + OVERHEAD_BYTES
    }
}

impl Weighter<TimelineNumber, ConversationId> for Weigh {
    fn weight(&self, _: &TimelineNumber, id: &ConversationId) -> u64 {
        let bytes = match id {
            ConversationId::Direct(low, high) => low.as_bytes().len() + high.as_bytes().len(),
            ConversationId::Group(group) => group.as_bytes().len(),
        };
        bytes as u64 + OVERHEAD_BYTES
    }
}

impl Engine {
    /// The number of the timeline with this key; `None` if nothing was ever put into it.
    pub(crate) fn number(
        &self,
        snapshot: &Snapshot,
        timeline: &[u8],
    ) -> Result<Option<TimelineNumber>> {
        if let Some(number) = self.cache.numbers.get(timeline) {
            return Ok(Some(number));
        }
        let row = snapshot.get(&self.names, keys::name(timeline)).map_err(error::engine)?;
        let Some(row) = row else { return Ok(None) };
        let number = keys::decode_u64(&row).ok_or_else(|| {
            let timeline = TimelineId::from_key(timeline).map(|t| t.to_string());
            error::corrupt(&timeline.unwrap_or_default(), Seq::ZERO, "its number is cut off")
        })?;
        self.cache.numbers.insert(timeline.into(), number);
        Ok(Some(number))
    }

    /// The conversation with this number.
    pub(crate) fn conversation(
        &self,
        snapshot: &Snapshot,
        number: TimelineNumber,
    ) -> Result<ConversationId> {
        if let Some(id) = self.cache.conversations.get(&number) {
            return Ok(id);
        }
        let row = snapshot.get(&self.names, keys::number(number)).map_err(error::engine)?;
        match row.as_deref().and_then(TimelineId::from_key) {
            Some(TimelineId::Conversation(id)) => {
                self.cache.conversations.insert(number, id.clone());
                Ok(id)
            }
            _ => Err(error::corrupt(
                &format!("timeline {number}"),
                Seq::ZERO,
                "no conversation has this number",
            )),
        }
    }
}
