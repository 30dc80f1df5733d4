//! Importing: a new store from entries that have their numbers already.
//!
//! Everything is made in `importing/` and becomes the store of the directory by renames at the
//! end; nobody opens a directory with an import that did not come that far, and the next import
//! begins anew. An inbox entry gets a copy of its message: places in the log rise within every
//! timeline, and inboxes of a distributed store need not agree on the order of messages of
//! different conversations. A number that has no entry gets a frame without a body; readers carry
//! on behind it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use seqline_core::clock::{Clock, Entropy, UnixMillis};
use seqline_core::id::{ConversationId, Epoch, MessageId, TimelineId};
use seqline_core::message::{Body, Message};
use seqline_core::page::Entry;
use seqline_core::seq::Seq;

use crate::build::{Builder, Plan};
use crate::error::OpenError;
use crate::format;
use crate::lock::DirLock;
use crate::log::{self, Segments, Writer};
use crate::open::{index_options, log_settings};
use crate::options::{Options, Tuning};
use crate::record;
use crate::storage::RealDisk;
use crate::varint;

/// Bytes written together.
const GROUP_BYTES: u64 = 4 * 1024 * 1024;
/// Most numbers in a row without an entry: each takes 64 bytes and more.
const HOLE_MAX: u64 = 10_000_000;

/// A store in the making.
pub struct Import {
    dir: PathBuf,
    place: PathBuf,
    lock: DirLock,
    epoch: Epoch,
    builder: Builder,
    log: Writer,
    segments: Segments,
    current: Option<Current>,
    /// How many names the segment has.
    names: u32,
    /// Bytes since the last commit.
    group: u64,
    head: Vec<u8>,
    rest: Vec<u8>,
}

/// The timeline that is being written.
struct Current {
    timeline: TimelineId,
    key: Vec<u8>,
    next: u64,
    /// Whether nothing of it is written yet.
    new: bool,
    /// The number of its name in the segment.
    name: Option<u32>,
}

/// A store that is whole, beside its directory's place for one.
pub struct Imported {
    dir: PathBuf,
    place: PathBuf,
    _lock: DirLock,
}

impl Import {
    /// Whether [`Import::begin`] would take the directory `dir`, for whoever has long work to do
    /// before. Changes nothing.
    ///
    /// # Errors
    /// [`OpenError::NotEmpty`], or what the system refuses.
    pub fn may_begin(dir: &Path) -> Result<(), OpenError> {
        match dir.try_exists().map_err(OpenError::io("read", dir))? {
            true => format::refuse_for_import(dir),
            false => Ok(()),
        }
    }

    /// Begins an import into the directory of `options`, which is made or empty. `epoch` is that
    /// of the source, if it has one.
    ///
    /// # Errors
    /// [`OpenError::NotEmpty`], [`OpenError::Locked`], or what the system refuses.
    pub fn begin(
        options: &Options,
        epoch: Option<Epoch>,
        clock: &dyn Clock,
        entropy: &Arc<dyn Entropy>,
    ) -> Result<Import, OpenError> {
        Import::begin_on(options, Tuning::of(options), epoch, (clock.now(), entropy))
    }

    /// [`Import::begin`] with sizes of the caller's.
    pub(crate) fn begin_on(
        options: &Options,
        tuning: Tuning,
        epoch: Option<Epoch>,
        (now, entropy): (UnixMillis, &Arc<dyn Entropy>),
    ) -> Result<Import, OpenError> {
        let dir = options.dir.clone();
        format::make_dir(&dir)?;
        format::refuse_for_import(&dir)?;
        let lock = DirLock::take(&dir)?;
        format::refuse_for_import(&dir)?;
        let place = format::begin_import(&dir)?;
        let epoch = epoch.unwrap_or_else(|| Epoch(entropy.random()));
        let settings = log_settings(format::log_dir(&place), entropy, Arc::new(RealDisk), tuning);
        let (log, segments) = log::create(&settings, epoch.0)?;
        let plan = Plan {
            dir: format::index_dir(&place),
            options: &index_options(options, tuning),
            tuning,
            window: options.idempotency_window,
            now,
        };
        let again = lock.again().map_err(OpenError::io("lock", &dir))?;
        let builder = Builder::new(plan, segments.clone(), again)?;
        let (names, group, head, rest) = (0, 0, Vec::new(), Vec::new());
        let current = None;
        Ok(Import {
            dir,
            place,
            lock,
            epoch,
            builder,
            log,
            segments,
            current,
            names,
            group,
            head,
            rest,
        })
    }

    /// Begins a timeline, whose oldest entry is `first`. Each is begun once.
    pub fn timeline(&mut self, timeline: TimelineId, first: Seq) {
        let (key, next) = (timeline.key(), first.get());
        self.current = Some(Current { timeline, key, next, new: true, name: None });
    }

    /// Adds the next entry of the timeline that was begun last. Numbers that are left out have no
    /// entry for ever.
    ///
    /// # Errors
    /// If the numbers do not rise, too many are left out, or the system refuses something.
    pub fn entry(&mut self, entry: &Entry) -> Result<(), OpenError> {
        let Some(current) = &self.current else {
            return Err(self.refused("an entry before any timeline".to_owned()));
        };
        let (seq, next) = (entry.seq.get(), current.next);
        if seq < next {
            let timeline = &current.timeline;
            return Err(self.refused(format!("{timeline}: {seq} comes where {next} belongs")));
        }
        if seq - next > HOLE_MAX {
            let detail = format!(
                "{}: {} numbers before {seq} have no entry, more than {HOLE_MAX}",
                current.timeline,
                seq - next
            );
            return Err(self.refused(detail));
        }
        for missing in next..seq {
            self.write(missing, None)?;
        }
        self.write(seq, Some(&entry.message))
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn finish(mut self) -> Result<Imported, OpenError> {
        self.log.commit(true).map_err(OpenError::io("write to", &self.place))?;
        let replay = self.segments.start(self.log.segment());
        self.builder.finish(replay)?;
        drop(self.log);
        format::finish(&self.place)?;
        Ok(Imported { dir: self.dir, place: self.place, _lock: self.lock })
    }

    /// Puts a message, or nothing, at a position of the current timeline.
    fn write(&mut self, seq: u64, message: Option<&Message>) -> Result<(), OpenError> {
        let Some(mut current) = self.current.take() else { return Ok(()) };
        self.head.clear();
        match message {
            Some(message) => record::put_message(&mut self.head, message),
            None => record::put_message(&mut self.head, &nothing(&current.timeline, seq)),
        }
        let most = self.head.len() + current.key.len() + 8 * varint::BYTES_MAX;
        self.make_room(most, &mut current)?;
        let place = self.builder.place(&current.key)?;
        if std::mem::take(&mut current.new) && seq > 1 {
            let mut trim = Vec::with_capacity(most);
            record::put_trim(&mut trim, &current.key, Seq::new(seq));
            self.log.push(record::TRIM, &trim, &[]);
            self.builder.begin_at(&current.key, place, seq)?;
        }
        self.rest.clear();
        let kind = match &current.timeline {
            TimelineId::Conversation(_) => {
                record::put_rest(&mut self.rest, None, 0);
                record::SEND
            }
            TimelineId::Inbox(member) => {
                record::put_rest(&mut self.rest, None, 1);
                match current.name {
                    Some(name) => record::put_numbered(&mut self.rest, name, Seq::new(seq)),
                    None => {
                        let (name, member) = (self.names, member.as_bytes());
                        record::put_named(&mut self.rest, name, member, Seq::new(seq));
                        current.name = Some(name);
                        self.names += 1;
                    }
                }
                record::COPY
            }
        };
        let lsn = self.log.push(kind, &self.head, &self.rest);
        let at = message.filter(|_| kind == record::SEND).map_or(0, |message| message.at.0);
        self.builder.push(place, lsn, at);
        self.group += (self.head.len() + self.rest.len()) as u64;
        current.next = seq + 1;
        self.current = Some(current);
        if self.group >= GROUP_BYTES {
            self.log.commit(false).map_err(OpenError::io("write to", &self.place))?;
            self.group = 0;
        }
        self.builder.relieve()
    }

    /// Begins the next segment if this one has no room for so many bytes and a trim.
    fn make_room(&mut self, most: usize, current: &mut Current) -> Result<(), OpenError> {
        let needed = most + log::FRAME_BYTES + current.key.len() + 2 * varint::BYTES_MAX;
        if needed > self.log.room() {
            self.log.roll(self.epoch.0).map_err(OpenError::io("write to", &self.place))?;
            (self.names, self.group, current.name) = (0, 0, None);
        }
        match needed > self.log.room() {
            true => Err(self.refused(format!("{}: a message is too long", current.timeline))),
            false => Ok(()),
        }
    }

    fn refused(&self, detail: String) -> OpenError {
        OpenError::io("import into", &self.dir)(std::io::Error::other(detail))
    }
}

/// What stands at a position without an entry.
fn nothing(timeline: &TimelineId, seq: u64) -> Message {
    let (conversation, seq) = match timeline {
        TimelineId::Conversation(conversation) => (conversation.clone(), Seq::new(seq)),
        TimelineId::Inbox(member) => {
            (ConversationId::direct(member.clone(), member.clone()), Seq::ZERO)
        }
    };
    Message {
        id: MessageId(0),
        conversation,
        seq,
        sender: None,
        at: UnixMillis(0),
        body: Body::from_stored(Bytes::new()).expect("nothing is UTF-8"),
    }
}

impl Imported {
    /// Where the store is, for whoever wants to verify it before it is settled. It can be opened
    /// like any other, and must be closed again.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// Makes it the store of its directory.
    ///
    /// # Errors
    /// What the system refuses. Then nobody opens the directory, and an import begins anew.
    pub fn settle(self) -> Result<(), OpenError> {
        format::settle_import(&self.dir)
    }
}
