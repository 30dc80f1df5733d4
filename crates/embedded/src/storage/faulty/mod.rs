//! A disk in memory that loses power, tears writes, fails, fills up and waits, as its seed says.
//!
//! It keeps what [`storage`](super) promises and no more. Clones are the same disk; after
//! [`FaultyDisk::power_cut`] and [`FaultyDisk::process_kill`] only the handle they return works,
//! so that threads of the old process cannot touch what the next one does.

mod inode;
mod state;

use std::io::{Error, ErrorKind, Result};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{Disk, DiskFile};
use state::State;

pub(crate) const SECTOR_BYTES: usize = 512;

/// Numbers that follow from a seed.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `0..bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// What becomes of a coming write, sync or change of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails, having been done in part; those after it work.
    Once,
    /// It is the last one that anything is done of: the machine stops there.
    Stop,
}

/// See the module page.
#[derive(Clone)]
pub(crate) struct FaultyDisk {
    shared: Arc<Shared>,
    generation: u64,
}

struct Shared {
    state: Mutex<State>,
    /// A sync began to wait, or need not any more.
    moved: Condvar,
}

struct FaultyFile {
    disk: FaultyDisk,
    inode: usize,
}

impl FaultyDisk {
    pub(crate) fn new(seed: u64) -> FaultyDisk {
        let state = Mutex::new(State::new(seed));
        FaultyDisk { shared: Arc::new(Shared { state, moved: Condvar::new() }), generation: 0 }
    }

    /// The machine stops: of what was not synced any part stays, sector by sector.
    pub(crate) fn power_cut(&self) -> FaultyDisk {
        self.restart(State::power_cut)
    }

    /// The process stops: all that was written stays, though it is no more durable than before.
    pub(crate) fn process_kill(&self) -> FaultyDisk {
        self.restart(|_| {})
    }

    /// Lets the write, sync or change of names fail that comes after `before` others.
    pub(crate) fn fail_after(&self, before: u64, fault: Fault) {
        let mut state = self.lock();
        state.fault = Some((state.changes + before, fault));
    }

    /// How many writes, syncs and changes of names there were.
    pub(crate) fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// From now on all files together take at most so many bytes more than they do.
    pub(crate) fn full_after(&self, bytes: u64) {
        let mut state = self.lock();
        state.sectors_max = state.sectors_used() + bytes as usize / SECTOR_BYTES;
    }

    /// The next sync waits until `release_sync`; those after it do not.
    pub(crate) fn hold_next_sync(&self) {
        self.lock().hold_next = true;
    }

    /// Returns once that sync waits.
    pub(crate) fn wait_for_held_sync(&self) {
        let waits = |state: &mut State| !state.held;
        let waited = self.shared.moved.wait_while(self.lock(), waits);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn release_sync(&self) {
        self.lock().held = false;
        self.shared.moved.notify_all();
    }

    /// Whether reads have to wait for the device.
    pub(crate) fn forget_cache(&self, forget: bool) {
        self.lock().uncached = forget;
    }

    /// How many ranges were asked for ahead of reading them.
    pub(crate) fn prefetches(&self) -> u64 {
        self.lock().prefetches
    }

    pub(crate) fn flip_bit(&self, path: &Path, byte: u64, bit: u32) {
        self.lock().rot(path, byte as usize, 1, |old| old ^ (1 << bit));
    }

    pub(crate) fn zero_page(&self, path: &Path, byte: u64) {
        self.lock().rot(path, byte as usize, 4096, |_| 0);
    }

    /// The bytes of a file, as a reader would see them now.
    pub(crate) fn contents(&self, path: &Path) -> Vec<u8> {
        let state = self.lock();
        let inode = &state.inodes[state.names[path]];
        inode.bytes[..inode.len].to_vec()
    }

    fn restart(&self, lose: impl FnOnce(&mut State)) -> FaultyDisk {
        let mut state = self.lock();
        lose(&mut state);
        state.generation += 1;
        state.fault = None;
        state.stopped = false;
        (state.hold_next, state.held) = (false, false);
        state.sectors_max = usize::MAX;
        self.shared.moved.notify_all();
        FaultyDisk { shared: Arc::clone(&self.shared), generation: state.generation }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, for a process that is alive.
    fn alive(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.lock();
        if state.generation == self.generation { Ok(state) } else { Err(stopped()) }
    }

    fn change<T>(&self, act: impl FnOnce(&mut State, Option<Error>) -> Result<T>) -> Result<T> {
        let mut state = self.alive()?;
        let failure = state.next_change()?;
        act(&mut state, failure)
    }

    fn file(&self, inode: usize) -> Arc<dyn DiskFile> {
        Arc::new(FaultyFile { disk: self.clone(), inode })
    }
}

fn stopped() -> Error {
    Error::other("the machine stopped")
}

/// Changes of names happen whole or not at all, so a failed one has done nothing.
fn unless_failed(failure: Option<Error>) -> Result<()> {
    failure.map_or(Ok(()), Err)
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> Result<Arc<dyn DiskFile>> {
        let create = |state: &mut State, failure| {
            unless_failed(failure)?;
            Ok(state.create(path))
        };
        Ok(self.file(self.change(create)?))
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn DiskFile>> {
        let found = self.alive()?.names.get(path).copied();
        Ok(self.file(found.ok_or(ErrorKind::NotFound)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.change(|state, failure| {
            unless_failed(failure)?;
            state.rename(from, to)
        })
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.change(|state, failure| {
            unless_failed(failure)?;
            state.remove(path)
        })
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        let state = self.alive()?;
        if !state.dirs.contains(dir) {
            return Err(ErrorKind::NotFound.into());
        }
        let inside = state.names.keys().filter(|path| path.parent() == Some(dir));
        let name = |path: &std::path::PathBuf| path.file_name()?.to_str().map(str::to_owned);
        Ok(inside.filter_map(name).collect())
    }

    fn create_dir(&self, dir: &Path) -> Result<()> {
        self.alive()?.dirs.insert(dir.to_owned());
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.change(|state, failure| {
            unless_failed(failure)?;
            state.sync_dir(dir);
            Ok(())
        })
    }
}

impl DiskFile for FaultyFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        let state = self.disk.alive()?;
        Ok(state.inodes[self.inode].read(buf, offset as usize))
    }

    fn read_cached_at(&self, buf: &mut [u8], offset: u64) -> Result<Option<usize>> {
        let state = self.disk.alive()?;
        let inode = &state.inodes[self.inode];
        Ok((!state.uncached).then(|| inode.read(buf, offset as usize)))
    }

    fn prefetch(&self, _: u64, _: u64) {
        self.disk.lock().prefetches += 1;
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.disk.change(|state, failure| state.write(self.inode, bytes, offset as usize, failure))
    }

    fn sync(&self) -> Result<()> {
        let mut state = self.disk.alive()?;
        if std::mem::take(&mut state.hold_next) {
            state.held = true;
            self.disk.shared.moved.notify_all();
            let waited = self.disk.shared.moved.wait_while(state, |state| state.held);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        self.disk.change(|state, failure| state.sync(self.inode, failure))
    }

    fn sync_all(&self) -> Result<()> {
        self.sync()
    }

    fn len(&self) -> Result<u64> {
        Ok(self.disk.alive()?.inodes[self.inode].len as u64)
    }

    fn set_len(&self, bytes: u64) -> Result<()> {
        self.disk.change(|state, failure| {
            unless_failed(failure)?;
            state.inodes[self.inode].set_len(bytes as usize);
            Ok(())
        })
    }
}
