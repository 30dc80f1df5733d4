//! The one writer of a log.

use std::io::Result;
use std::path::PathBuf;
use std::sync::Arc;

use super::address::{Geometry, Lsn};
use super::frame::{self, FRAME_BYTES, Place};
use super::header::{self, HEADER_BYTES, Header};
use super::segments::{Handle, Segments, Shared};
use super::settings::Settings;
use super::spares::{Spare, Spares};
use crate::storage::DiskFile;

/// A spare is begun when so much of the active segment is full: there is time enough, and the
/// disk is left alone by a store that is hardly used.
const SPARE_FROM_FRACTION: u64 = 4;

/// Appends frames. Has one owner, who commits groups of them.
///
/// After the first error it is poisoned: everything fails without touching the disk, since after a
/// failed sync nobody knows what is on it. Only [`recover`](super::recover) goes on from there.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    spares: Spares,
    active: Active,
    /// The frames of the group that is being collected.
    group: Vec<u8>,
}

/// The segment that is written to.
struct Active {
    number: u64,
    epoch: u32,
    file: Arc<dyn DiskFile>,
    /// Up to where it is written.
    written: u64,
    /// Up to where it is known to be durable. A commit's frames say how far back this is.
    durable: u64,
    spare_wanted: bool,
}

/// A segment that was just begun, or found.
pub(super) struct Begun {
    pub(super) number: u64,
    pub(super) epoch: u32,
    pub(super) file: Arc<dyn DiskFile>,
    /// Everything before this is written and durable.
    pub(super) end: u64,
}

impl Writer {
    pub(super) fn new(segments: &Segments, spares: Spares, begun: Begun) -> Writer {
        let shared = Arc::clone(&segments.shared);
        Writer { shared, spares, active: Active::from(begun), group: Vec::new() }
    }

    /// How many bytes, head and rest together, one more frame can have. With 0 nothing can be
    /// pushed any more, not even an empty frame: commit and [`roll`](Writer::roll).
    pub(crate) fn room(&self) -> usize {
        let end = self.active.written + self.group.len() as u64 + FRAME_BYTES as u64;
        // At most a segment.
        self.geometry().capacity().saturating_sub(end) as usize
    }

    /// Adds a frame to the group. It can be read once it is committed.
    ///
    /// # Panics
    /// If it has more bytes than there is [`room`](Writer::room).
    pub(crate) fn push(&mut self, kind: u8, head: &[u8], rest: &[u8]) -> Lsn {
        assert!(head.len() + rest.len() <= self.room(), "whoever pushes has asked for the room");
        let offset = self.active.written + self.group.len() as u64;
        let lsn = self.geometry().lsn(self.active.number, offset);
        // Both are bytes in one segment, which has at most 1 GiB.
        let group_back = (offset - self.active.durable) as u32;
        let place = Place { lsn, epoch: self.active.epoch, group_back };
        frame::encode(&mut self.group, place, kind, head, rest);
        lsn
    }

    /// Writes the group, with `sync` durably, and lets readers see it.
    pub(crate) fn commit(&mut self, sync: bool) -> Result<()> {
        self.unless_poisoned(|writer| {
            writer.write_group()?;
            if sync {
                writer.sync_active()?;
            }
            writer.shared.publish(writer.end());
            if writer.active.lacks_spare(writer.shared.settings.segment_bytes) {
                writer.active.spare_wanted = true;
                writer.spares.want();
            }
            Ok(())
        })
    }

    /// Makes everything committed before durable.
    pub(crate) fn sync(&mut self) -> Result<()> {
        self.unless_poisoned(Writer::sync_active)
    }

    /// Commits and syncs what there is and begins the next segment.
    pub(crate) fn roll(&mut self, store_epoch: u64) -> Result<()> {
        self.unless_poisoned(|writer| writer.begin_next(store_epoch))
    }

    /// The number of the active segment.
    pub(crate) fn segment(&self) -> u64 {
        self.active.number
    }

    /// Where the committed frames end, and the group that is being collected begins.
    pub(crate) fn end(&self) -> Lsn {
        self.geometry().lsn(self.active.number, self.active.written)
    }

    /// Gives back a closed segment that nobody needs. After a power cut it may be there again.
    pub(crate) fn free(&mut self, segment: u64) {
        let closed = segment < self.active.number;
        if closed && self.shared.failed.get().is_none() && self.shared.forget(segment) {
            self.spares.free(segment);
        }
    }

    fn geometry(&self) -> Geometry {
        self.shared.geometry
    }

    fn unless_poisoned(&mut self, act: impl FnOnce(&mut Writer) -> Result<()>) -> Result<()> {
        if let Err(error) = self.shared.unless_failed() {
            self.group.clear();
            return Err(error);
        }
        let done = act(self);
        if let Err(error) = &done {
            self.shared.fail(error);
        }
        done
    }

    fn write_group(&mut self) -> Result<()> {
        if !self.group.is_empty() {
            self.active.file.write_all_at(&self.group, self.active.written)?;
            self.active.written += self.group.len() as u64;
            self.group.clear();
        }
        Ok(())
    }

    fn sync_active(&mut self) -> Result<()> {
        if self.active.durable < self.active.written {
            self.shared.sync(&*self.active.file)?;
            self.active.durable = self.active.written;
        }
        Ok(())
    }

    fn begin_next(&mut self, store_epoch: u64) -> Result<()> {
        self.write_group()?;
        let end = self.end();
        header::seal(&*self.active.file, end, self.active.epoch)?;
        self.shared.sync(&*self.active.file)?;
        let settings = &self.shared.settings;
        let header = Header {
            number: self.active.number + 1,
            epoch: (settings.entropy)(),
            store_epoch,
            segment_bytes: settings.segment_bytes,
            previous_end: end,
            previous_epoch: self.active.epoch,
        };
        let begun = begin(settings, self.spares.take()?, &header)?;
        let Begun { number, epoch, .. } = begun;
        let file = Arc::clone(&begun.file);
        self.shared.close(end, Handle { segment: number, epoch: Some(epoch), file });
        self.active = Active::from(begun);
        Ok(())
    }
}

impl From<Begun> for Active {
    fn from(begun: Begun) -> Active {
        let Begun { number, epoch, file, end } = begun;
        Active { number, epoch, file, written: end, durable: end, spare_wanted: false }
    }
}

impl Active {
    fn lacks_spare(&self, segment_bytes: u64) -> bool {
        !self.spare_wanted && self.written > segment_bytes / SPARE_FROM_FRACTION
    }
}

/// Makes a spare the segment with this header. The header is durable before the file has its name,
/// and the name is before any frame is written.
pub(super) fn begin(settings: &Settings, spare: Spare, header: &Header) -> Result<Begun> {
    let Spare { path, file } = spare;
    file.write_all_at(&header.encode(), 0)?;
    file.sync_all()?;
    let named: PathBuf = settings.segment_path(header.number);
    settings.disk.rename(&path, &named)?;
    settings.disk.sync_dir(&settings.dir)?;
    Ok(Begun { number: header.number, epoch: header.epoch, file, end: HEADER_BYTES })
}
