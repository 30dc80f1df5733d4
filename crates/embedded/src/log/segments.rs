//! The segments that there are, shared by the writer and every reader.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use super::address::{Geometry, Lsn};
use super::header::{HEADER_BYTES, Page};
use super::read::GUESS_BYTES_MIN;
use super::settings::Settings;
use crate::storage::DiskFile;

/// Most files that are kept open for reading.
const HANDLES_MAX: usize = 64;

/// Why a frame cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The operating system refused. Try again later.
    #[error("the log cannot be read")]
    Io(#[from] io::Error),
    /// What is there is not the frame. Do not retry; an operator must look.
    #[error("the log is damaged: {detail}")]
    Damaged {
        /// Which segment, which byte, and what is wrong.
        detail: String,
    },
    /// The segment was freed, perhaps since the address was looked up. Look it up again.
    #[error("the segment was freed")]
    Gone,
}

/// Reads frames. Cheap to clone; used by any number of threads beside the one writer.
#[derive(Clone)]
pub(crate) struct Segments {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) geometry: Geometry,
    /// Every segment and where it ends. `None` for the active one, and for those that nobody
    /// has asked for since the start, so that a start takes as long with many segments.
    ends: RwLock<BTreeMap<u64, Option<u64>>>,
    /// Where the committed frames end. Readers see nothing beyond.
    end: AtomicU64,
    /// The least recently used one is first.
    handles: Mutex<Vec<Arc<Handle>>>,
    /// How many spare files there are.
    pub(super) spare_files: Arc<AtomicU64>,
    /// The first failure of a write or a sync, whoever met it. Nothing is written after it.
    pub(super) failed: OnceLock<String>,
    /// Held during a sync: the system tells of a failure once, so that the next sync may succeed
    /// with nothing on the disk.
    syncing: Mutex<()>,
    /// How many bytes most frames have up to the end of their heads.
    pub(super) guess: AtomicU64,
}

/// An open segment.
pub(super) struct Handle {
    pub(super) segment: u64,
    /// `None` if its header does not hold.
    pub(super) epoch: Option<u32>,
    pub(super) file: Arc<dyn DiskFile>,
}

impl Segments {
    pub(super) fn new(
        settings: &Settings,
        geometry: Geometry,
        ends: BTreeMap<u64, Option<u64>>,
        end: Lsn,
    ) -> Segments {
        let shared = Shared {
            settings: settings.clone(),
            geometry,
            ends: RwLock::new(ends),
            end: AtomicU64::new(end.raw()),
            handles: Mutex::default(),
            spare_files: Arc::default(),
            failed: OnceLock::new(),
            syncing: Mutex::default(),
            guess: AtomicU64::new(GUESS_BYTES_MIN),
        };
        Segments { shared: Arc::new(shared) }
    }

    /// Every segment with its bytes up to the last frame. Opens those that nobody has asked for.
    #[cfg(test)]
    pub(crate) fn list(&self) -> io::Result<Vec<(u64, u64)>> {
        let numbers = self.shared.numbers();
        let mut listed = Vec::with_capacity(numbers.len());
        for number in numbers {
            match self.shared.exact_end(number) {
                Ok(end) => listed.push((number, end.unwrap_or(self.shared.geometry.capacity()))),
                Err(ReadError::Io(error)) => return Err(error),
                // It was freed meanwhile.
                Err(ReadError::Gone | ReadError::Damaged { .. }) => {}
            }
        }
        Ok(listed)
    }

    /// What the log's files take on the disk, spare ones too; a little more than they do while
    /// the active one is not filled yet.
    pub(crate) fn disk_bytes(&self) -> u64 {
        let segments = self.shared.ends.read().unwrap_or_else(PoisonError::into_inner).len() as u64;
        let spares = self.shared.spare_files.load(Ordering::Relaxed);
        (segments + spares) * self.shared.geometry.segment_bytes()
    }

    /// Where the committed frames end.
    pub(crate) fn end(&self) -> Lsn {
        self.shared.end()
    }
}

impl Shared {
    /// Syncs a segment, unless the log has failed before; a failure is the log's.
    pub(super) fn sync(&self, file: &dyn DiskFile) -> io::Result<()> {
        let _alone = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        self.unless_failed()?;
        let synced = file.sync();
        if let Err(error) = &synced {
            self.fail(error);
        }
        synced
    }

    /// Fails if the log has failed before.
    pub(super) fn unless_failed(&self) -> io::Result<()> {
        match self.failed.get() {
            None => Ok(()),
            Some(first) => {
                Err(io::Error::other(format!("the log stopped at an earlier failure: {first}")))
            }
        }
    }

    pub(super) fn fail(&self, error: &io::Error) {
        self.failed.get_or_init(|| error.to_string());
    }

    pub(super) fn end(&self) -> Lsn {
        Lsn::from_raw(self.end.load(Ordering::Acquire))
    }

    /// Lets readers see everything before `end`.
    pub(super) fn publish(&self, end: Lsn) {
        self.end.store(end.raw(), Ordering::Release);
    }

    /// The active segment ended at `end`; `next` is the active one from now on.
    pub(super) fn close(&self, end: Lsn, next: Handle) {
        let mut ends = self.ends.write().unwrap_or_else(PoisonError::into_inner);
        ends.insert(self.geometry.segment(end), Some(self.geometry.offset(end)));
        ends.insert(next.segment, None);
        // Under the lock: nobody takes the new one for a closed one whose end is not known.
        self.publish(self.geometry.lsn(next.segment, HEADER_BYTES));
        drop(ends);
        self.keep(Arc::new(next));
    }

    /// No reader finds the segment from now on; `false` if it was not there.
    pub(super) fn forget(&self, segment: u64) -> bool {
        let mut ends = self.ends.write().unwrap_or_else(PoisonError::into_inner);
        let found = ends.remove(&segment).is_some();
        drop(ends);
        self.handles().retain(|handle| handle.segment != segment);
        found
    }

    pub(super) fn numbers(&self) -> Vec<u64> {
        let ends = self.ends.read().unwrap_or_else(PoisonError::into_inner);
        ends.keys().copied().collect()
    }

    /// Up to where a segment may be read: its end, or all of it if that is not known.
    pub(super) fn limit(&self, segment: u64) -> Result<u64, ReadError> {
        let ends = self.ends.read().unwrap_or_else(PoisonError::into_inner);
        match ends.get(&segment) {
            None => Err(ReadError::Gone),
            Some(Some(end)) => Ok(*end),
            Some(None) => {
                let end = self.end();
                let active = self.geometry.segment(end) == segment;
                Ok(if active { self.geometry.offset(end) } else { self.geometry.capacity() })
            }
        }
    }

    /// Where a segment's frames end. `None` if neither it nor the next one tells any more.
    pub(super) fn exact_end(&self, segment: u64) -> Result<Option<u64>, ReadError> {
        let limit = self.limit(segment)?;
        let active = self.geometry.segment(self.end());
        if limit < self.geometry.capacity() || segment >= active {
            return Ok(Some(limit));
        }
        let stated = self.stated_end(segment)?;
        let mut ends = self.ends.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(end) = ends.get_mut(&segment)
            && stated.is_some()
        {
            *end = stated;
        }
        Ok(stated)
    }

    /// Where a closed segment ends, as it says itself or the next one does.
    fn stated_end(&self, segment: u64) -> Result<Option<u64>, ReadError> {
        let page = Page::read(&*self.handle(segment)?.file)?;
        let next = match self.handle(segment + 1) {
            Ok(next) => Page::read(&*next.file)?.header.map(|header| header.previous_end),
            Err(ReadError::Gone) => None,
            Err(error) => return Err(error),
        };
        let geometry = self.geometry;
        let end = page.end().or(next).filter(|end| geometry.segment(*end) == segment);
        Ok(end.map(|end| geometry.offset(end)).filter(|end| *end <= geometry.capacity()))
    }

    /// The segment, opened if it is not.
    pub(super) fn handle(&self, segment: u64) -> Result<Arc<Handle>, ReadError> {
        self.limit(segment)?;
        if let Some(handle) = self.open_handle(segment) {
            return Ok(handle);
        }
        let file = match self.settings.disk.open(&self.settings.segment_path(segment)) {
            // It was freed between the two looks.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(self.limit(segment).err().unwrap_or(ReadError::Io(error)));
            }
            other => other?,
        };
        let header = Page::read(&*file)?.header.filter(|header| header.number == segment);
        let handle = Handle { segment, epoch: header.map(|header| header.epoch), file };
        let handle = Arc::new(handle);
        self.keep(Arc::clone(&handle));
        Ok(handle)
    }

    /// The segment, if it is open.
    pub(super) fn open_handle(&self, segment: u64) -> Option<Arc<Handle>> {
        let mut handles = self.handles();
        let at = handles.iter().rposition(|handle| handle.segment == segment)?;
        let handle = Arc::clone(&handles[at]);
        // Those near the end are as good as the last one; moving them would only take time.
        if at < handles.len() / 2 {
            let used = handles.remove(at);
            handles.push(used);
        }
        Some(handle)
    }

    fn keep(&self, handle: Arc<Handle>) {
        let mut handles = self.handles();
        if handles.len() >= HANDLES_MAX {
            handles.remove(0);
        }
        handles.push(handle);
    }

    fn handles(&self) -> MutexGuard<'_, Vec<Arc<Handle>>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
