//! What a log is opened with, and how its files are called.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::address::Geometry;
use crate::error::OpenError;
use crate::storage::Disk;

/// 64 MiB: a segment is freed as a whole, and is one second of writing on a quick disk.
pub(crate) const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

const SEGMENT_SUFFIX: &str = ".seg";
const SPARE_SUFFIX: &str = ".spare";

/// What a log is opened with.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) disk: Arc<dyn Disk>,
    /// The log's own directory. Its parent exists.
    pub(crate) dir: PathBuf,
    /// A power of two, the same for ever; [`SEGMENT_BYTES`] except in tests.
    pub(crate) segment_bytes: u64,
    /// Draws the epoch of a segment. Whoever could guess it could send a body that is taken for
    /// frames after a crash.
    pub(crate) entropy: Arc<dyn Fn() -> u32 + Send + Sync>,
    /// Whether spare segments are made by a thread. Without, the writer does it where it asks for
    /// them, so that a test sees the same order of writes every time.
    pub(crate) background: bool,
}

impl Settings {
    pub(super) fn geometry(&self) -> Result<Geometry, OpenError> {
        let wrong = || OpenError::damaged(&self.dir, "the segment size is not one that can be");
        Geometry::new(self.segment_bytes).ok_or_else(wrong)
    }

    pub(super) fn segment_path(&self, number: u64) -> PathBuf {
        segment_path(&self.dir, number)
    }
}

pub(super) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016x}{SEGMENT_SUFFIX}"))
}

pub(super) fn spare_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016x}{SPARE_SUFFIX}"))
}

/// The number of the segment that has this name.
pub(super) fn segment_number(name: &str) -> Option<u64> {
    let number = u64::from_str_radix(name.strip_suffix(SEGMENT_SUFFIX)?, 16).ok()?;
    (number > 0 && name == format!("{number:016x}{SEGMENT_SUFFIX}")).then_some(number)
}

pub(super) fn is_spare(name: &str) -> bool {
    name.ends_with(SPARE_SUFFIX)
}
