//! The directory of a measurement, and the stores in it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Advice, fadvise};
use seqline_core::store::Store as _;
use seqline_embedded::{EmbeddedStore, Options};
use seqline_server::system::{SystemClock, SystemEntropy};
use tokio::runtime::Runtime;

use crate::commands::terminal::Problem;

/// A directory that holds nothing else. It is removed when this is dropped.
pub struct Place {
    dir: PathBuf,
}

impl Place {
    /// Makes the directory.
    ///
    /// # Errors
    /// If it is there already: what is in it may be of value.
    pub fn new(dir: &Path) -> Result<Place, Problem> {
        if dir.exists() {
            let shown = dir.display();
            return Err(Problem::Usage(format!(
                "{shown} exists; --data must name a new directory, which is removed at the end"
            )));
        }
        fs::create_dir_all(dir)?;
        Ok(Place { dir: dir.to_owned() })
    }

    /// The directory itself.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A directory for one store.
    pub fn store_dir(&self, row: &str) -> PathBuf {
        self.dir.join(row)
    }

    /// The name of the file system's device, as far as it is known.
    pub fn disk(&self) -> String {
        let device = fs::metadata(&self.dir).map_or(0, |metadata| metadata.dev());
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let block = PathBuf::from(format!("/sys/dev/block/{major}:{minor}"));
        let read = |name: &str| fs::read_to_string(block.join(name)).unwrap_or_default();
        let event = read("uevent");
        let name = event.lines().find_map(|line| line.strip_prefix("DEVNAME=")).unwrap_or("?");
        // A partition's model is that of its disk.
        let model = [read("device/model"), read("../device/model")].concat();
        format!("{name} {}", model.trim()).trim().to_owned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Whoever cannot remove it finds it under the name that was given.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Opens the store in a directory, with the default settings.
///
/// # Errors
/// What the store says.
pub fn open(dir: &Path) -> Result<Arc<EmbeddedStore>, Problem> {
    let options = Options { dir: dir.to_owned(), ..Options::default() };
    let store = EmbeddedStore::open(options, Arc::new(SystemClock), Arc::new(SystemEntropy));
    store.map(Arc::new).map_err(|error| Problem::Failed(format!("cannot open the store: {error}")))
}

/// Closes a store and lets its directory go.
///
/// # Errors
/// What the store says.
pub fn close(store: Arc<EmbeddedStore>, runtime: &Runtime) -> Result<(), Problem> {
    let closed = runtime.block_on(store.close());
    drop(store);
    closed.map_err(|error| Problem::Failed(format!("the store did not close: {error}")))
}

/// Every file below a directory.
///
/// # Errors
/// What the system says.
pub fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut found, mut dirs) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                dirs.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}

/// What the files below a directory take on the disk, as `du` has it.
///
/// # Errors
/// What the system says.
pub fn disk_bytes(dir: &Path) -> io::Result<u64> {
    let sizes = files(dir)?.into_iter().map(|file| Ok(fs::metadata(file)?.blocks() * 512));
    sizes.sum()
}

/// Makes the system forget what it has cached of these files.
///
/// # Errors
/// What the system says.
pub fn drop_caches(files: &[File]) -> io::Result<()> {
    for file in files {
        fadvise(file, 0, None, Advice::DontNeed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_exists_is_refused_and_a_new_one_is_removed() {
        let outer = tempfile::tempdir().unwrap();
        assert!(matches!(Place::new(outer.path()), Err(Problem::Usage(_))));
        let inner = outer.path().join("a/b");
        let place = Place::new(&inner).unwrap();
        fs::create_dir(place.store_dir("row")).unwrap();
        fs::write(place.store_dir("row").join("file"), [0; 10_000]).unwrap();
        assert_eq!(files(&inner).unwrap().len(), 1);
        assert!(disk_bytes(&inner).unwrap() >= 10_000);
        drop(place);
        assert!(!inner.exists());
    }
}
