//! Segments of the log that nothing refers to any more: found by reading all references.

use hashbrown::HashSet;

use crate::engine::Engine;
use crate::index::IndexError;
use crate::log::Lsn;
use crate::rows::{self, CHUNK_ENTRIES, Head, TimelineRow};

/// The segments before `replay` without a message that a timeline still has. Of what comes
/// after, memory may know more than the index.
pub(crate) fn find(engine: &Engine, replay: Lsn) -> Result<Vec<u64>, IndexError> {
    let end = engine.segments.segment_of(replay);
    let mut used = HashSet::new();
    let mut first = 1;
    for row in engine.index.scan(rows::TIMELINES_START..rows::TIMELINES_END) {
        let (key, value) = row?;
        let damaged = || IndexError::damaged(&key, "a timeline's row cannot be read");
        let (base, refs) = match rows::decode_timeline_key(&key).ok_or_else(damaged)? {
            TimelineRow::Head(_) => {
                let head = Head::decode(&value).ok_or_else(damaged)?;
                // The head comes before the chunks it speaks for.
                first = head.first;
                (head.base(), head.refs.into_vec())
            }
            TimelineRow::Chunk(_, chunk) => {
                let refs = rows::decode_chunk(&value).ok_or_else(damaged)?;
                (chunk * CHUNK_ENTRIES + 1, refs)
            }
        };
        let left = (base..).zip(refs).filter(|(seq, _)| *seq >= first);
        used.extend(left.map(|(_, lsn)| engine.segment_of(lsn)));
    }
    let segments = engine.segments.numbers().into_iter();
    Ok(segments.filter(|segment| *segment < end && !used.contains(segment)).collect())
}
