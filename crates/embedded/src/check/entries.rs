//! The entries of timelines: as the index lists them, and as the log's sends made them.

use hashbrown::HashMap;

use super::sums::{Entry, Floors};
use crate::log::Frame;
use crate::record::{self, Recipient, Rest};
use crate::rows::{self, CHUNK_ENTRIES, Head, chunk_of};

/// A timeline of the index, row by row.
pub(super) struct TimelineEntries {
    key: Vec<u8>,
    head: Head,
    /// The chunk that comes next, and the last place so far.
    next: u64,
    last: u64,
}

impl TimelineEntries {
    pub(super) fn new(key: &[u8], head: Head) -> TimelineEntries {
        let next = chunk_of(head.first);
        TimelineEntries { key: key.to_vec(), head, next, last: 0 }
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    /// Tells the entries that stand in the head.
    pub(super) fn tell_head(&self, tell: &mut dyn FnMut(Entry<'_>)) {
        self.tell(self.head.base(), &self.head.refs, tell);
    }

    /// Takes a chunk in, and tells its entries.
    pub(super) fn chunk(
        &mut self,
        chunk: u64,
        row: &[u8],
        tell: &mut dyn FnMut(Entry<'_>),
    ) -> Result<(), &'static str> {
        let refs = rows::decode_chunk(row).ok_or("a chunk cannot be read")?;
        if chunk != self.next {
            self.next = chunk + 1;
            return Err("a chunk is missing");
        }
        self.next += 1;
        if refs[0] <= self.last {
            return Err("its entries are not in the order of the log");
        }
        self.last = refs[refs.len() - 1];
        self.tell(chunk * CHUNK_ENTRIES + 1, &refs, tell);
        Ok(())
    }

    /// What is left to say once all rows were there.
    pub(super) fn finish(&self) -> Result<(), &'static str> {
        let full = self.head.base() / CHUNK_ENTRIES;
        // A trim of everything but entries of the head leaves no chunk.
        if self.next < full {
            return Err("a chunk is missing");
        }
        if self.next > full.max(chunk_of(self.head.first)) {
            return Err("it has more chunks than entries");
        }
        match self.head.refs.first() {
            Some(first) if *first <= self.last => {
                Err("its entries are not in the order of the log")
            }
            _ => Ok(()),
        }
    }

    fn tell(&self, base: u64, refs: &[u64], tell: &mut dyn FnMut(Entry<'_>)) {
        for (seq, lsn) in (base..).zip(refs) {
            if seq >= self.head.first {
                tell(Entry { timeline: &self.key, seq, lsn: *lsn });
            }
        }
    }
}

/// The entries of a segment of the log.
#[derive(Default)]
pub(super) struct LogEntries {
    /// Keys of inboxes by their numbers in the segment; damage may have taken some.
    names: HashMap<u32, Box<[u8]>, foldhash::fast::RandomState>,
}

impl LogEntries {
    /// Takes a frame in, and tells the entries that it made and that are left. Returns how many
    /// messages it has, and how many positions of inboxes without one.
    pub(super) fn frame(
        &mut self,
        frame: &Frame<'_>,
        floors: &Floors,
        tell: &mut dyn FnMut(Entry<'_>),
    ) -> Result<(u64, u64), &'static str> {
        match frame.kind {
            record::SEND | record::COPY => self.send(frame, floors, tell),
            record::TRIM => match record::decode_trim(frame.head) {
                Some(_) => Ok((0, 0)),
                None => Err("a trim cannot be read"),
            },
            _ => Err("a frame of a kind that this version does not know"),
        }
    }

    fn send(
        &mut self,
        frame: &Frame<'_>,
        floors: &Floors,
        tell: &mut dyn FnMut(Entry<'_>),
    ) -> Result<(u64, u64), &'static str> {
        let head = record::Head::decode(frame.head).ok_or("a send cannot be read")?;
        let rest = Rest::decode(frame.rest).ok_or("recipients cannot be read")?;
        let lsn = frame.lsn.raw();
        let mut left = |timeline: &[u8], seq: u64| {
            let left = seq >= floors.get(timeline);
            if left {
                tell(Entry { timeline, seq, lsn });
            }
            u64::from(left)
        };
        if frame.kind == record::SEND {
            left(head.conversation, head.seq.get());
        }
        let mut positions = 0;
        for recipient in rest.recipients() {
            let (who, seq) = recipient.ok_or("a recipient cannot be read")?;
            let number = match who {
                Recipient::Named(number, member) => {
                    self.names.insert(number, [b"i", member].concat().into_boxed_slice());
                    number
                }
                Recipient::Numbered(number) => number,
            };
            let name = self.names.get(&number).ok_or("a recipient has no name")?;
            positions += left(name, seq.get());
        }
        let holes = if head.is_hole() { positions } else { 0 };
        Ok((u64::from(frame.kind == record::SEND && !head.is_hole()), holes))
    }
}
