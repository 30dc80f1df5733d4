//! The operating system's disk with a word to say before each write and sync of a file.

use std::io::Result;
use std::path::Path;
use std::sync::Arc;

use crate::storage::{Disk, DiskFile, RealDisk};

/// What is about to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    Write,
    Sync,
}

type Hook = dyn Fn(Doing, &dyn DiskFile) -> Result<()> + Send + Sync;

/// The hook may fail, panic or wait; it gets the file itself, to do in part what was asked.
pub(super) struct HookedDisk {
    hook: Arc<Hook>,
}

impl HookedDisk {
    pub(super) fn new(
        hook: impl Fn(Doing, &dyn DiskFile) -> Result<()> + Send + Sync + 'static,
    ) -> Arc<HookedDisk> {
        Arc::new(HookedDisk { hook: Arc::new(hook) })
    }

    fn file(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(Hooked { file, hook: Arc::clone(&self.hook) })
    }
}

struct Hooked {
    file: Arc<dyn DiskFile>,
    hook: Arc<Hook>,
}

impl Disk for HookedDisk {
    fn create(&self, path: &Path) -> Result<Arc<dyn DiskFile>> {
        Ok(self.file(RealDisk.create(path)?))
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn DiskFile>> {
        Ok(self.file(RealDisk.open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        RealDisk.remove(path)
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        RealDisk.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> Result<()> {
        RealDisk.create_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        RealDisk.sync_dir(dir)
    }
}

impl DiskFile for Hooked {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn read_cached_at(&self, buf: &mut [u8], offset: u64) -> Result<Option<usize>> {
        self.file.read_cached_at(buf, offset)
    }

    fn prefetch(&self, offset: u64, len: u64) {
        self.file.prefetch(offset, len);
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        (self.hook)(Doing::Write, &*self.file)?;
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&self) -> Result<()> {
        (self.hook)(Doing::Sync, &*self.file)?;
        self.file.sync()
    }

    fn sync_all(&self) -> Result<()> {
        (self.hook)(Doing::Sync, &*self.file)?;
        self.file.sync_all()
    }

    fn len(&self) -> Result<u64> {
        self.file.len()
    }

    fn set_len(&self, bytes: u64) -> Result<()> {
        self.file.set_len(bytes)
    }
}
