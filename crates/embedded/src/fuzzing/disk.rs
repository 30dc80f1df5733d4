//! A disk in memory that does what it is told, quickly and without a device.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::storage::{Disk, DiskFile};

/// Files by their paths. Clones are the same disk.
#[derive(Clone, Default)]
pub(crate) struct MemoryDisk(Arc<Mutex<BTreeMap<PathBuf, Arc<MemoryFile>>>>);

#[derive(Default)]
struct MemoryFile(Mutex<Vec<u8>>);

impl MemoryDisk {
    /// Puts a file there.
    pub(crate) fn put(&self, path: PathBuf, bytes: Vec<u8>) {
        locked(&self.0).insert(path, Arc::new(MemoryFile(Mutex::new(bytes))));
    }

    /// Another disk with the same files.
    pub(crate) fn copy(&self) -> MemoryDisk {
        let copy = MemoryDisk::default();
        for (path, file) in locked(&self.0).iter() {
            copy.put(path.clone(), locked(&file.0).clone());
        }
        copy
    }

    fn take(&self, path: &Path) -> Result<Arc<MemoryFile>> {
        locked(&self.0).remove(path).ok_or_else(|| ErrorKind::NotFound.into())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Disk for MemoryDisk {
    fn create(&self, path: &Path) -> Result<Arc<dyn DiskFile>> {
        self.put(path.to_owned(), Vec::new());
        self.open(path)
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn DiskFile>> {
        let file = locked(&self.0).get(path).map(Arc::clone);
        file.map(|file| file as Arc<dyn DiskFile>).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let file = self.take(from)?;
        locked(&self.0).insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.take(path).map(drop)
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        let files = locked(&self.0);
        let names = files.keys().filter(|path| path.parent() == Some(dir));
        Ok(names.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn create_dir(&self, _: &Path) -> Result<()> {
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> Result<()> {
        Ok(())
    }
}

impl DiskFile for MemoryFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        let bytes = locked(&self.0);
        let start = bytes.len().min(usize::try_from(offset).unwrap_or(usize::MAX));
        let read = buf.len().min(bytes.len() - start);
        buf[..read].copy_from_slice(&bytes[start..start + read]);
        Ok(read)
    }

    fn read_cached_at(&self, buf: &mut [u8], offset: u64) -> Result<Option<usize>> {
        self.read_at(buf, offset).map(Some)
    }

    fn prefetch(&self, _: u64, _: u64) {}

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let mut file = locked(&self.0);
        let start = usize::try_from(offset).map_err(|_| ErrorKind::FileTooLarge)?;
        let end = start + bytes.len();
        if file.len() < end {
            file.resize(end, 0);
        }
        file[start..end].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn sync_all(&self) -> Result<()> {
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        Ok(locked(&self.0).len() as u64)
    }

    fn set_len(&self, bytes: u64) -> Result<()> {
        let bytes = usize::try_from(bytes).map_err(|_| ErrorKind::FileTooLarge)?;
        locked(&self.0).resize(bytes, 0);
        Ok(())
    }
}
