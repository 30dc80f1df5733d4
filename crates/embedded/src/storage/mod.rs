//! The disk port: everything the log does to files goes through these two traits.
//!
//! Two disks exist: [`RealDisk`], and in tests one in memory that loses power, fails and fills up.
//!
//! What the log relies on, and nothing else:
//! * bytes are durable once a later [`DiskFile::sync`] of their file returned `Ok`; until then a
//!   power cut keeps any subset of the written 512-byte sectors, in any order;
//! * a name is durable once [`Disk::sync_dir`] of its directory returned `Ok`; `rename` is atomic;
//! * after a failed sync nothing is known about what had been written, now or later.

mod real;

#[cfg(test)]
pub(crate) mod faulty;

use std::io::Result;
use std::path::Path;
use std::sync::Arc;

pub(crate) use real::RealDisk;

/// Names and files of one disk.
pub(crate) trait Disk: Send + Sync + 'static {
    /// Creates a file, or empties the one that has the name; for reading and writing.
    fn create(&self, path: &Path) -> Result<Arc<dyn DiskFile>>;

    /// Opens a file that exists, for reading and writing.
    fn open(&self, path: &Path) -> Result<Arc<dyn DiskFile>>;

    /// Gives a file another name, over one that has it already. Open files stay usable.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;

    /// Removes a file's name.
    fn remove(&self, path: &Path) -> Result<()>;

    /// The names in a directory, in no order. One that is not UTF-8 is none of ours and left out.
    fn list(&self, dir: &Path) -> Result<Vec<String>>;

    /// Creates a directory, and is content if it is there.
    fn create_dir(&self, dir: &Path) -> Result<()>;

    /// Makes the names in a directory durable: created, renamed and removed ones.
    fn sync_dir(&self, dir: &Path) -> Result<()>;
}

/// An open file, used by any number of threads. It has no position of its own.
#[allow(clippy::len_without_is_empty, reason = "no caller asks whether a file is empty")]
pub(crate) trait DiskFile: Send + Sync {
    /// Reads up to `buf.len()` bytes; fewer than that only where the file ends.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize>;

    /// Like `read_at`, but `None` at once if the device would have to be waited for, which is
    /// also the answer of systems that cannot tell.
    fn read_cached_at(&self, buf: &mut [u8], offset: u64) -> Result<Option<usize>>;

    /// Lets the device begin to read a range that will be asked for. Only a hint: it cannot fail.
    fn prefetch(&self, offset: u64, len: u64);

    /// Writes all of `bytes`, growing the file if they reach beyond its end.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<()>;

    /// Makes the bytes and the length durable.
    fn sync(&self) -> Result<()>;

    /// Like `sync`, and everything else the system knows of the file.
    fn sync_all(&self) -> Result<()>;

    /// The length in bytes.
    fn len(&self) -> Result<u64>;

    /// Cuts the file, or grows it by zeros that take no room yet.
    fn set_len(&self, bytes: u64) -> Result<()>;
}
