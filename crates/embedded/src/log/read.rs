//! Reads frames by their address: one, or many with as few waits for the device as can be.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::address::{Geometry, Lsn};
use super::frame::{FRAME_BYTES, FrameHeader};
use super::segments::{Handle, ReadError, Segments};

/// How much is read of a frame of unknown length: as much as the heads read before had, within
/// these bounds.
pub(super) const GUESS_BYTES_MIN: u64 = 512;
const GUESS_BYTES: u64 = 4 * 1024;
/// Frames with no more than this between them are read together.
const GAP_BYTES: u64 = 4 * 1024;
/// Frames that lie within so many bytes are read together.
const RUN_BYTES: u64 = 64 * 1024;

/// What a reader needs of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: u8,
    pub(crate) head: Bytes,
}

type Answer = Result<Head, ReadError>;

/// Neighbours that are read together.
struct Run {
    handle: Arc<Handle>,
    from: u64,
    to: u64,
    /// Which of the addresses that were asked for, and where their segment ends.
    members: Vec<(usize, u64)>,
}

/// A head that was found: its kind, and where it stands among the others.
type Place = (u8, usize, usize);

/// Heads as they are found, one behind the other in one piece of memory.
struct Gathered {
    answers: Vec<Option<Result<Place, ReadError>>>,
    bytes: Vec<u8>,
    longest: u64,
}

impl Gathered {
    fn new(lsns: &[Lsn]) -> Gathered {
        let answers = lsns.iter().map(|_| None).collect();
        Gathered { answers, bytes: Vec::with_capacity(lsns.len() * 256), longest: 0 }
    }

    fn put(&mut self, at: usize, kind: u8, head: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(head);
        self.longest = self.longest.max(head.len() as u64);
        self.answers[at] = Some(Ok((kind, start, self.bytes.len())));
    }

    fn finish(self) -> Vec<Option<Answer>> {
        let bytes = Bytes::from(self.bytes);
        let head = |(kind, start, end)| Head { kind, head: bytes.slice(start..end) };
        self.answers.into_iter().map(|answer| answer.map(|found| found.map(head))).collect()
    }
}

/// The first `length` bytes of a buffer that only grows.
fn sized(buffer: &mut Vec<u8>, length: usize) -> &mut [u8] {
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
    &mut buffer[..length]
}

/// What the bytes at an address are.
enum Parsed<'a> {
    /// The kind and the head.
    Whole(u8, &'a [u8]),
    /// The head ends at this byte of the segment, behind what was read.
    Longer(u64),
    Damaged(&'static str),
}

impl Segments {
    /// Reads the kind and the head of one frame.
    pub(crate) fn read(&self, lsn: Lsn) -> Answer {
        self.unless_gone(lsn, self.read_found(lsn))
    }

    /// Like `read` for each, in the order given. What is not in memory is asked of the device all
    /// at once.
    pub(crate) fn read_many(&self, lsns: &[Lsn]) -> Vec<Answer> {
        self.gather(lsns, true).unwrap_or_default()
    }

    /// Like `read_many` if all is in memory, else `None` at once: it never waits for the device.
    pub(crate) fn try_read_many(&self, lsns: &[Lsn]) -> Option<Vec<Answer>> {
        self.gather(lsns, false)
    }

    fn read_found(&self, lsn: Lsn) -> Answer {
        let (offset, limit) = self.place(lsn)?;
        let handle = self.shared.handle(self.shared.geometry.segment(lsn))?;
        let mut guess = [0; GUESS_BYTES as usize];
        let wanted = (limit - offset).min(GUESS_BYTES) as usize;
        let read = handle.file.read_at(&mut guess[..wanted], offset)?;
        match parse(&guess[..read], lsn, handle.epoch, (offset, limit)) {
            Parsed::Longer(end) => {
                let mut bytes = vec![0; (end - offset) as usize];
                let read = handle.file.read_at(&mut bytes, offset)?;
                self.answer(&parse(&bytes[..read], lsn, handle.epoch, (offset, end)), lsn)
            }
            parsed => self.answer(&parsed, lsn),
        }
    }

    fn gather(&self, lsns: &[Lsn], wait: bool) -> Option<Vec<Answer>> {
        let mut gathered = Gathered::new(lsns);
        let mut order: Vec<usize> = (0..lsns.len()).collect();
        order.sort_unstable_by_key(|at| lsns[*at]);
        let guess = self.shared.guess.load(Ordering::Relaxed);
        let mut runs = Vec::new();
        for at in order {
            if let Err(error) = self.plan(&mut runs, (at, lsns[at]), guess, wait)? {
                gathered.answers[at] = Some(Err(error));
            }
        }
        // The second time for those whose heads are longer than guessed.
        while !runs.is_empty() {
            let mut longer = Vec::new();
            self.read_runs(&runs, wait, |run, bytes| {
                for &(at, limit) in &run.members {
                    let (lsn, epoch) = (lsns[at], run.handle.epoch);
                    let offset = self.shared.geometry.offset(lsn);
                    let skip = ((offset - run.from) as usize).min(bytes.len());
                    match parse(&bytes[skip..], lsn, epoch, (offset, limit)) {
                        Parsed::Longer(end) if end > run.to => longer.push((at, end - offset)),
                        Parsed::Whole(kind, head) => gathered.put(at, kind, head),
                        parsed => gathered.answers[at] = Some(Err(self.refuse(&parsed, lsn))),
                    }
                }
            })?;
            runs.clear();
            for (at, bytes) in longer {
                if let Err(error) = self.plan(&mut runs, (at, lsns[at]), bytes, wait)? {
                    gathered.answers[at] = Some(Err(error));
                }
            }
        }
        // Rises at once and sinks slowly: a read too many costs more than some bytes too many.
        let seen = (gathered.longest + FRAME_BYTES as u64).next_multiple_of(64);
        let guess = seen.max(guess - guess.saturating_sub(seen) / 8);
        self.shared.guess.store(guess.clamp(GUESS_BYTES_MIN, GUESS_BYTES), Ordering::Relaxed);
        // A run that could not be read leaves its members to be read, and to fail, each alone.
        let each = gathered.finish().into_iter().zip(lsns);
        let settled = each.map(|(answer, lsn)| match answer {
            Some(answer) => Some(self.unless_gone(*lsn, answer)),
            None => wait.then(|| self.read(*lsn)),
        });
        settled.collect()
    }

    /// Adds an address to the last run, or begins another. `None` if that needs waiting for.
    fn plan(
        &self,
        runs: &mut Vec<Run>,
        (at, lsn): (usize, Lsn),
        bytes: u64,
        wait: bool,
    ) -> Option<Result<(), ReadError>> {
        let (offset, limit) = match self.place(lsn) {
            Ok(place) => place,
            Err(error) => return Some(Err(error)),
        };
        let segment = self.shared.geometry.segment(lsn);
        let to = limit.min(offset + bytes);
        let last = runs.last_mut().filter(|run| run.handle.segment == segment);
        let known = last.as_ref().map(|run| Arc::clone(&run.handle));
        if let Some(run) = last
            && run.from <= offset
            && offset <= run.to + GAP_BYTES
            && to <= run.from + RUN_BYTES
        {
            run.to = run.to.max(to);
            run.members.push((at, limit));
            return Some(Ok(()));
        }
        let handle = match known.or_else(|| self.shared.open_handle(segment)) {
            Some(handle) => handle,
            None if !wait => return None,
            None => match self.shared.handle(segment) {
                Ok(handle) => handle,
                Err(error) => return Some(Err(error)),
            },
        };
        runs.push(Run { handle, from: offset, to, members: vec![(at, limit)] });
        Some(Ok(()))
    }

    /// Reads what is in memory, then lets the device fetch the others together. `None` if there
    /// are others and `wait` is not wanted.
    fn read_runs(&self, runs: &[Run], wait: bool, mut take: impl FnMut(&Run, &[u8])) -> Option<()> {
        let mut bytes = Vec::new();
        let mut missed = Vec::new();
        for run in runs {
            // The end of a run is at most that of its segment.
            let buffer = sized(&mut bytes, (run.to - run.from) as usize);
            match run.handle.file.read_cached_at(buffer, run.from) {
                Ok(Some(read)) => take(run, &buffer[..read]),
                Ok(None) | Err(_) if wait => missed.push(run),
                Ok(None) | Err(_) => return None,
            }
        }
        for run in &missed {
            run.handle.file.prefetch(run.from, run.to - run.from);
        }
        for run in missed {
            let buffer = sized(&mut bytes, (run.to - run.from) as usize);
            if let Ok(read) = run.handle.file.read_at(buffer, run.from) {
                take(run, &buffer[..read]);
            }
        }
        Some(())
    }

    /// Where a frame would begin and may end at most.
    fn place(&self, lsn: Lsn) -> Result<(u64, u64), ReadError> {
        let geometry = self.shared.geometry;
        let limit = self.shared.limit(geometry.segment(lsn))?;
        let offset = geometry.offset(lsn);
        if geometry.may_begin(offset) && offset + FRAME_BYTES as u64 <= limit {
            Ok((offset, limit))
        } else {
            Err(damaged(geometry, lsn, "no frame can begin there"))
        }
    }

    fn answer(&self, parsed: &Parsed<'_>, lsn: Lsn) -> Answer {
        match parsed {
            Parsed::Whole(kind, head) => {
                Ok(Head { kind: *kind, head: Bytes::copy_from_slice(head) })
            }
            other => Err(self.refuse(other, lsn)),
        }
    }

    /// Why what was read is no head.
    fn refuse(&self, parsed: &Parsed<'_>, lsn: Lsn) -> ReadError {
        let detail = match parsed {
            Parsed::Damaged(detail) => detail,
            Parsed::Longer(_) | Parsed::Whole(..) => "the file ends inside of the frame",
        };
        damaged(self.shared.geometry, lsn, detail)
    }

    /// The bytes of a segment that was freed while it was read may be anything.
    fn unless_gone(&self, lsn: Lsn, answer: Answer) -> Answer {
        match answer {
            Err(ReadError::Damaged { .. } | ReadError::Io(_)) => {
                self.shared.limit(self.shared.geometry.segment(lsn))?;
                answer
            }
            answer => answer,
        }
    }
}

/// Reads a frame's head from the bytes at its place; nothing of them is trusted.
fn parse(bytes: &[u8], lsn: Lsn, epoch: Option<u32>, (offset, limit): (u64, u64)) -> Parsed<'_> {
    let Some(header) = FrameHeader::decode(bytes) else {
        return Parsed::Damaged("no frame begins there");
    };
    if header.lsn != lsn || epoch.is_some_and(|epoch| header.epoch != epoch) {
        return Parsed::Damaged("the frame is of another place");
    }
    let end = offset + header.head_end();
    if end > limit {
        return Parsed::Damaged("the frame is longer than its segment");
    }
    if header.head_end() > bytes.len() as u64 {
        return Parsed::Longer(end);
    }
    match header.head(bytes) {
        Some(head) => Parsed::Whole(header.kind, head),
        None => Parsed::Damaged("the frame's checksum does not hold"),
    }
}

fn damaged(geometry: Geometry, lsn: Lsn, detail: &str) -> ReadError {
    let (segment, offset) = (geometry.segment(lsn), geometry.offset(lsn));
    ReadError::Damaged { detail: format!("segment {segment:016x}, byte {offset}: {detail}") }
}

/// A failure of the operating system, for those who carry on with damage.
impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> io::Error {
        match error {
            ReadError::Io(error) => error,
            other => io::Error::other(other),
        }
    }
}
