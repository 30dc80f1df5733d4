//! Files that are ready to become segments.
//!
//! Writing over bytes that a file has already makes a sync about twice as quick as growing it, so
//! the next segment is written full of zeros ahead of time, or is a freed one. What stands in
//! that never counts: its frames have another address and another epoch.

use std::collections::VecDeque;
use std::io::Result;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::settings::{Settings, segment_path, spare_path};
use crate::storage::DiskFile;

/// Most spare files; a freed segment beyond is removed.
const SPARES_MAX: usize = 2;
/// Zeros are written and synced in pieces of this, so that a commit never waits for many.
const PIECE_BYTES: u64 = 1024 * 1024;
static ZEROS: [u8; PIECE_BYTES as usize] = [0; PIECE_BYTES as usize];

/// A file of the size of a segment, with any content.
pub(super) struct Spare {
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn DiskFile>,
}

/// The spare files of a log and who makes them.
pub(super) struct Spares {
    shared: Arc<Shared>,
    filler: Option<JoinHandle<()>>,
}

struct Shared {
    settings: Settings,
    state: Mutex<State>,
    /// There is something to do.
    wake: Condvar,
    files: Arc<AtomicU64>,
}

#[derive(Default)]
struct State {
    ready: Vec<Spare>,
    /// Somebody would like one to be ready.
    wanted: bool,
    freed: VecDeque<u64>,
    /// The number of the next spare file.
    next: u64,
    stop: bool,
}

enum Job {
    Fill,
    Free(u64),
}

impl Spares {
    /// Starts without any: those of an earlier start were removed.
    pub(super) fn start(settings: &Settings, files: Arc<AtomicU64>) -> Result<Spares> {
        let (state, wake) = (Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { settings: settings.clone(), state, wake, files });
        let filler = if settings.background {
            let shared = Arc::clone(&shared);
            let run = move || shared.run();
            Some(std::thread::Builder::new().name("log-filler".to_owned()).spawn(run)?)
        } else {
            None
        };
        Ok(Spares { shared, filler })
    }

    /// Has a spare made, if none is ready.
    pub(super) fn want(&self) {
        self.shared.lock().wanted = true;
        self.begin();
    }

    /// Recycles or removes a segment that nobody finds any more.
    pub(super) fn free(&self, segment: u64) {
        self.shared.lock().freed.push_back(segment);
        self.begin();
    }

    /// One that is ready, else a new file that takes no room yet.
    pub(super) fn take(&self) -> Result<Spare> {
        let ready = self.shared.lock().ready.pop();
        let spare = match ready {
            Some(spare) => spare,
            None => self.shared.sparse()?,
        };
        self.shared.files.fetch_sub(1, Ordering::Relaxed);
        Ok(spare)
    }

    fn begin(&self) {
        if self.filler.is_some() {
            self.shared.wake.notify_one();
        } else {
            let next = || self.shared.lock().next_job();
            std::iter::from_fn(next).for_each(|job| self.shared.perform(&job));
        }
    }
}

impl Drop for Spares {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.wake.notify_one();
        if let Some(filler) = self.filler.take() {
            // It panicked only if there is a mistake in it, which its own message tells.
            let _ = filler.join();
        }
    }
}

impl State {
    fn next_job(&mut self) -> Option<Job> {
        if let Some(segment) = self.freed.pop_front() {
            return Some(Job::Free(segment));
        }
        let wanted = std::mem::take(&mut self.wanted);
        (wanted && !self.stop && self.ready.is_empty()).then_some(Job::Fill)
    }

    fn next_path(&mut self, settings: &Settings) -> PathBuf {
        self.next += 1;
        spare_path(&settings.dir, self.next)
    }
}

impl Shared {
    /// The filler thread. What was freed is still dealt with after `stop`.
    fn run(&self) {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.next_job() {
                drop(state);
                self.perform(&job);
                state = self.lock();
            } else if state.stop {
                return;
            } else {
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// A failure is no error of the log: without a spare the next segment is made when it is
    /// needed, and a segment that stayed is freed again after the next start.
    fn perform(&self, job: &Job) {
        let done = match job {
            Job::Fill => self.fill(),
            Job::Free(segment) => self.recycle(*segment),
        };
        if let Err(error) = done {
            tracing::warn!(dir = %self.settings.dir.display(), %error, "no spare segment was made");
        }
    }

    fn fill(&self) -> Result<()> {
        let spare = self.sparse()?;
        let filled = self.write_zeros(&*spare.file);
        if filled.is_ok() && !self.lock().stop {
            self.lock().ready.push(spare);
            return Ok(());
        }
        self.files.fetch_sub(1, Ordering::Relaxed);
        filled.and(self.settings.disk.remove(&spare.path))
    }

    fn write_zeros(&self, file: &dyn DiskFile) -> Result<()> {
        let mut at = 0;
        while at < self.settings.segment_bytes && !self.lock().stop {
            let piece = PIECE_BYTES.min(self.settings.segment_bytes - at);
            file.write_all_at(&ZEROS[..piece as usize], at)?;
            file.sync()?;
            at += piece;
        }
        Ok(())
    }

    fn recycle(&self, segment: u64) -> Result<()> {
        let Settings { disk, dir, .. } = &self.settings;
        let path = segment_path(dir, segment);
        if self.lock().ready.len() >= SPARES_MAX {
            disk.remove(&path)?;
            // In order: a later one must not be gone while this one is still there.
            return disk.sync_dir(dir);
        }
        let spare = self.lock().next_path(&self.settings);
        disk.rename(&path, &spare)?;
        // Before anything is written to it: under its old name it must stay what it was.
        disk.sync_dir(dir)?;
        let spare = Spare { file: disk.open(&spare)?, path: spare };
        self.files.fetch_add(1, Ordering::Relaxed);
        self.lock().ready.push(spare);
        Ok(())
    }

    /// A new file of the size of a segment that takes no room yet.
    fn sparse(&self) -> Result<Spare> {
        let path = self.lock().next_path(&self.settings);
        let file = self.settings.disk.create(&path)?;
        file.set_len(self.settings.segment_bytes)?;
        self.files.fetch_add(1, Ordering::Relaxed);
        Ok(Spare { path, file })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
