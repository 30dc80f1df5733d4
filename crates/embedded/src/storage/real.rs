//! The operating system's disk.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Result};
use std::path::Path;
use std::sync::Arc;

use super::{Disk, DiskFile};

/// Files and directories of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        Ok(Arc::new(options.read(true).write(true).create(true).truncate(true).open(path)?))
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(OpenOptions::new().read(true).write(true).open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn create_dir(&self, dir: &Path) -> Result<()> {
        match fs::create_dir(dir) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
            other => other,
        }
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        File::open(dir)?.sync_all()
    }
}

impl DiskFile for File {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        let mut read = 0;
        while read < buf.len() {
            match std::os::unix::fs::FileExt::read_at(self, &mut buf[read..], offset + read as u64)
            {
                Ok(0) => break,
                Ok(bytes) => read += bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    #[cfg(target_os = "linux")]
    fn read_cached_at(&self, buf: &mut [u8], offset: u64) -> Result<Option<usize>> {
        use rustix::io::{Errno, ReadWriteFlags};
        let wanted = buf.len();
        let mut parts = [std::io::IoSliceMut::new(buf)];
        match rustix::io::preadv2(self, &mut parts, offset, ReadWriteFlags::NOWAIT) {
            Ok(read) if read == wanted => Ok(Some(read)),
            // Shorter where the cache ends or where the file does; `read_at` knows which.
            Ok(_) => Ok(None),
            Err(Errno::AGAIN | Errno::INTR | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn read_cached_at(&self, _: &mut [u8], _: u64) -> Result<Option<usize>> {
        Ok(None)
    }

    fn prefetch(&self, offset: u64, len: u64) {
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{Advice, fadvise};
            // A hint: whoever reads the range next is told of an error.
            let _ = fadvise(self, offset, std::num::NonZeroU64::new(len), Advice::WillNeed);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (offset, len);
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        std::os::unix::fs::FileExt::write_all_at(self, bytes, offset)
    }

    fn sync(&self) -> Result<()> {
        self.sync_data()
    }

    fn sync_all(&self) -> Result<()> {
        File::sync_all(self)
    }

    fn len(&self) -> Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn set_len(&self, bytes: u64) -> Result<()> {
        File::set_len(self, bytes)
    }
}
