//! Looks at every byte of a segment, for those who check or repair.

use std::sync::Arc;

use super::address::{FRAME_ALIGN, Lsn};
use super::frame::Frame;
use super::header::{HEADER_BYTES, Page};
use super::segments::{ReadError, Segments};
use super::walk::Walk;

/// What a scan comes across, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scan<'a> {
    /// A frame of which every byte holds.
    Frame(Frame<'a>),
    /// So many bytes from there on are neither a frame that holds nor the segment's header.
    Damaged { from: Lsn, bytes: u64 },
}

impl Segments {
    /// Tells every frame and every damaged range of a segment, up to its end; of the active one,
    /// up to what was committed.
    pub(crate) fn scan(
        &self,
        segment: u64,
        visit: &mut dyn FnMut(Scan<'_>),
    ) -> Result<(), ReadError> {
        let geometry = self.shared.geometry;
        let end = self.shared.exact_end(segment)?;
        let handle = self.shared.handle(segment)?;
        let page = Page::read(&*handle.file)?;
        let header = page.header.filter(|header| header.number == segment);
        if !page.holds() || header.is_none() {
            visit(Scan::Damaged { from: geometry.lsn(segment, 0), bytes: HEADER_BYTES });
        }
        let epoch = header.map(|header| header.epoch);
        let limit = end.unwrap_or(geometry.capacity());
        let file = Arc::clone(&handle.file);
        let mut walk = Walk::new(file, geometry, (segment, epoch), limit);
        let mut at = HEADER_BYTES;
        while at < limit {
            if let Some(found) = walk.frame_at(at)? {
                at = found.end;
                visit(Scan::Frame(found.frame));
                continue;
            }
            let next = match (walk.next_frame(at + FRAME_ALIGN)?, end) {
                (Some(next), _) => next,
                (None, Some(end)) => end,
                // Nothing tells whether this is damage or the frames just end here.
                (None, None) => break,
            };
            visit(Scan::Damaged { from: geometry.lsn(segment, at), bytes: next - at });
            at = next;
        }
        Ok(())
    }
}
