//! Opening: the log is replayed from where the index left off, into timelines in memory.
//!
//! Every record says its positions itself, so a replay neither asks the index nor depends on how
//! far it came: what the index already has is only in memory a second time.

use std::path::Path;

use seqline_core::seq::Seq;
use seqline_core::store::Receipt;

use crate::backlog::NewKey;
use crate::error::OpenError;
use crate::log::{Frame, Lsn};
use crate::record::{self, Recipient, Rest};
use crate::rows::{self, Answer};
use crate::timelines::{Inserted, Place, Table, Tail};

/// What a replay found.
#[derive(Default)]
pub(crate) struct Replayed {
    /// Timelines with entries that the index may lack, by the segment of the oldest of them.
    pub(crate) dirty: Vec<(u64, Place)>,
    /// Timelines with a full chunk.
    pub(crate) full: Vec<Place>,
    /// Idempotency keys that the index may lack.
    pub(crate) keys: Vec<NewKey>,
    /// How many names the last segment has.
    pub(crate) names: u32,
    /// Trims: they need what the index knows, so they come last.
    pub(crate) trims: Vec<(u64, Vec<u8>, u64)>,
    /// How many sends were replayed.
    pub(crate) sends: u64,
}

/// A replay in the making.
pub(crate) struct Replay<'a> {
    pub(crate) table: &'a Table,
    pub(crate) dir: &'a Path,
    /// What stands before it is in the index.
    pub(crate) from: Lsn,
    /// The segment that is being read.
    segment: u64,
    /// Where the names of this segment are, by their numbers in it.
    names: Vec<Name>,
    pub(crate) replayed: Replayed,
}

/// A name in a segment.
struct Name {
    /// The key of the member's inbox.
    key: Box<[u8]>,
    /// Where it is, once it got an entry.
    place: Option<Place>,
}

impl<'a> Replay<'a> {
    pub(crate) fn new(table: &'a Table, dir: &'a Path, from: Lsn) -> Replay<'a> {
        let replayed = Replayed::default();
        Replay { table, dir, from, segment: 0, names: Vec::new(), replayed }
    }

    /// Takes one frame in. `segment` is the one it stands in.
    pub(crate) fn frame(&mut self, segment: u64, frame: &Frame<'_>) -> Result<(), OpenError> {
        if segment != self.segment {
            self.segment = segment;
            self.names.clear();
        }
        let taken = match frame.kind {
            record::SEND | record::COPY => self.send(frame),
            record::TRIM => self.trim(frame),
            kind => Err(format!("a frame of kind {kind}, which this version does not know")),
        };
        taken.map_err(|detail| {
            OpenError::damaged(self.dir, format!("segment {segment}, {:?}: {detail}", frame.lsn))
        })
    }

    /// Ends the replay of a log whose segment `newest` is written to.
    pub(crate) fn finish(mut self, newest: u64) -> Replayed {
        // Without a frame, the names are still those of the segment before.
        if self.segment == newest {
            self.replayed.names = u32::try_from(self.names.len()).expect("a segment has no more");
        }
        self.replayed
    }

    fn send(&mut self, frame: &Frame<'_>) -> Result<(), String> {
        let head = record::Head::decode(frame.head).ok_or("a send that cannot be read")?;
        let rest = Rest::decode(frame.rest).ok_or("recipients that cannot be read")?;
        let old = frame.lsn < self.from;
        if !old {
            if frame.kind == record::SEND {
                let place = self.place(head.conversation, head.seq.get());
                self.push(place, frame.lsn.raw(), head.seq.get(), head.at.0)?;
            }
            self.replayed.sends += 1;
        }
        let mut receiver_seq = Seq::ZERO;
        for recipient in rest.recipients() {
            let (who, seq) = recipient.ok_or("a recipient that cannot be read")?;
            receiver_seq = seq;
            let number = match who {
                Recipient::Named(number, member) => {
                    if number as usize != self.names.len() {
                        return Err("a name out of order".to_owned());
                    }
                    let key = [b"i", member].concat().into_boxed_slice();
                    self.names.push(Name { key, place: None });
                    number as usize
                }
                Recipient::Numbered(number) => number as usize,
            };
            if !old {
                let place = self.named(number, seq.get())?;
                self.push(place, frame.lsn.raw(), seq.get(), 0)?;
            }
        }
        if let (Some((key, digest)), false) = (rest.key, old) {
            let receipt = Receipt {
                id: head.id,
                conversation_seq: head.seq,
                receiver_seq,
                at: head.at,
                repeat: false,
            };
            let row = rows::key_key(head.conversation, key);
            let answer = Answer { digest, receipt };
            self.replayed.keys.push(NewKey { segment: self.segment, row, answer });
        }
        Ok(())
    }

    fn trim(&mut self, frame: &Frame<'_>) -> Result<(), String> {
        if frame.lsn >= self.from {
            let (timeline, first) =
                record::decode_trim(frame.head).ok_or("a trim that cannot be read")?;
            self.replayed.trims.push((self.segment, timeline.to_vec(), first.get()));
        }
        Ok(())
    }

    fn named(&mut self, number: usize, seq: u64) -> Result<Place, String> {
        let name = self.names.get(number).ok_or("a recipient without a name")?;
        if let Some(place) = name.place {
            return Ok(place);
        }
        let key = name.key.clone();
        let place = self.place(&key, seq);
        self.names[number].place = Some(place);
        Ok(place)
    }

    /// Where the timeline is; one met for the first time has entries from `seq` on.
    fn place(&mut self, key: &[u8], seq: u64) -> Place {
        if let Some(place) = self.table.find(key) {
            return place;
        }
        match self.table.insert(key, Tail::replayed(seq), self.table.evictions(key)) {
            Inserted::New(place) => {
                self.replayed.dirty.push((self.segment, place));
                place
            }
            Inserted::Found(place) => place,
            Inserted::Stale => unreachable!("nothing leaves memory during a replay"),
        }
    }

    fn push(&mut self, place: Place, lsn: u64, seq: u64, at: u64) -> Result<(), String> {
        let mut tails = self.table.tails_mut();
        let tail = &mut tails[place.slot];
        if seq != tail.latest + 1 {
            return Err(format!("entry {seq} follows entry {} of its timeline", tail.latest));
        }
        let before = tail.heap_bytes();
        tail.at = tail.at.max(at);
        if tail.push(lsn, self.segment) {
            self.replayed.full.push(place);
        }
        self.table.changed(tail.heap_bytes(), before);
        Ok(())
    }
}
