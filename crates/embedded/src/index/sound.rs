//! Checks before opening what the tree reads without checking.
//!
//! | File | Read by the tree | Checked here |
//! |---|---|---|
//! | `current` | number only | its length and form; its checksum of the version file |
//! | `v{N}` | contents unchecked | checksum of the whole file, from `current` |
//! | `tables/{id}`: trailer, contents | after reserving memory for the unchecked count | checksum |
//! | `tables/{id}`: every block | each with its checksum, when read | no |
//!
//! All of it is written by the tree itself, in an order that a power cut cannot break, so a sound
//! tree is never refused.

use std::fs::{self, File};
use std::io::{self, Cursor};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

use crate::error::OpenError;

/// The folder of the tables.
pub(super) const TABLES: &str = "tables";
/// The file that names the newest version.
pub(super) const POINTER: &str = "current";
/// Bytes of the pointer: version, checksum of the version file, kind of checksum.
const POINTER_BYTES: usize = 8 + 16 + 1;
/// Bytes of a table's trailer: magic, version, kind of checksum; checksum of the contents; their
/// place and length.
const TRAILER_BYTES: u64 = 4 + 1 + 1 + 16 + 8 + 8;
/// Most bytes of a table's contents; it has less than ten sections with short names.
const CONTENTS_BYTES_MAX: u64 = 64 * 1024;

/// What `current` says.
pub(super) struct Pointer {
    /// The newest version.
    pub(super) version: u64,
    checksum: u128,
}

/// Refuses a tree whose damage the tree would not notice, or would not survive.
pub(super) fn check(dir: &Path) -> Result<(), OpenError> {
    let path = dir.join(POINTER);
    if !path.try_exists().map_err(OpenError::io("look for", &path))? {
        return check_new(dir);
    }
    let pointer = read_pointer(dir)?;
    let path = dir.join(format!("v{}", pointer.version));
    let bytes = read(&path)?;
    if xxh3_128(&bytes) != pointer.checksum {
        let detail = "the list of tables does not match its checksum";
        return Err(OpenError::damaged(&path, detail));
    }
    for table in tables(&bytes).map_err(|detail| OpenError::damaged(&path, detail))? {
        check_trailer(&dir.join(TABLES).join(table.to_string()))?;
    }
    Ok(())
}

/// Without a pointer there is no tree, or one that was not finished; the tree would begin anew
/// and delete whatever tables there are.
fn check_new(dir: &Path) -> Result<(), OpenError> {
    let gone = || OpenError::damaged(&dir.join(POINTER), "it is gone, and there are tables");
    let versions = names(dir)?.into_iter().filter(|name| name.starts_with('v'));
    if versions.into_iter().any(|name| name != "v0") {
        return Err(gone());
    }
    let tables = dir.join(TABLES);
    if tables.is_dir() && !names(&tables)?.is_empty() {
        return Err(gone());
    }
    Ok(())
}

fn names(dir: &Path) -> Result<Vec<String>, OpenError> {
    let entries = fs::read_dir(dir).map_err(OpenError::io("list", dir))?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    names.collect::<io::Result<_>>().map_err(OpenError::io("list", dir))
}

/// Reads `current`.
pub(super) fn read_pointer(dir: &Path) -> Result<Pointer, OpenError> {
    let path = dir.join(POINTER);
    let bytes = read(&path)?;
    let Ok(bytes) = <[u8; POINTER_BYTES]>::try_from(&bytes[..]) else {
        return Err(OpenError::damaged(&path, format!("it has {} bytes", bytes.len())));
    };
    let mut version = [0; 8];
    version.copy_from_slice(&bytes[..8]);
    let mut checksum = [0; 16];
    checksum.copy_from_slice(&bytes[8..24]);
    if bytes[24] != 0 {
        return Err(OpenError::damaged(&path, "the kind of checksum is unknown"));
    }
    let (version, checksum) = (u64::from_le_bytes(version), u128::from_le_bytes(checksum));
    Ok(Pointer { version, checksum })
}

fn read(path: &Path) -> Result<Vec<u8>, OpenError> {
    fs::read(path).map_err(|error| unreadable(path, error))
}

fn unreadable(path: &Path, error: io::Error) -> OpenError {
    match super::error::is_damage(error.kind()) {
        true => OpenError::damaged(path, error.to_string()),
        false => OpenError::io("read", path)(error),
    }
}

/// The numbers of the tables that a version lists. Its bytes are known to be those written.
fn tables(version: &[u8]) -> Result<Vec<u64>, String> {
    let archive = sfa::Reader::from_reader(&mut Cursor::new(version)).map_err(|e| e.to_string())?;
    let list = archive.toc().section(b"tables").and_then(|section| {
        let start = usize::try_from(section.pos()).ok()?;
        let length = usize::try_from(section.len()).ok()?;
        read_list(version.get(start..start.checked_add(length)?)?)
    });
    list.ok_or_else(|| "the list of tables is of an unknown form".to_owned())
}

fn read_list(mut bytes: &[u8]) -> Option<Vec<u64>> {
    let mut tables = Vec::new();
    let [levels] = take(&mut bytes)?;
    for _ in 0..levels {
        let [runs] = take(&mut bytes)?;
        for _ in 0..runs {
            for _ in 0..u32::from_le_bytes(take(&mut bytes)?) {
                tables.push(u64::from_le_bytes(take(&mut bytes)?));
                // Kind of checksum, checksum, first number.
                let _: [u8; 1 + 16 + 8] = take(&mut bytes)?;
            }
        }
    }
    bytes.is_empty().then_some(tables)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = bytes.split_first_chunk::<N>()?;
    *bytes = tail;
    Some(*head)
}

/// Checks a table's contents: where its blocks of rows, indexes and filters are.
fn check_trailer(path: &Path) -> Result<(), OpenError> {
    let read = || -> io::Result<bool> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let Some(end) = length.checked_sub(TRAILER_BYTES) else { return Ok(false) };
        let mut trailer = [0; TRAILER_BYTES as usize];
        file.read_exact_at(&mut trailer, end)?;
        let mut rest = &trailer[6..];
        let (Some(checksum), Some(start)) = (take(&mut rest), take(&mut rest)) else {
            return Ok(false);
        };
        let start = u64::from_le_bytes(start);
        let Some(size) = end.checked_sub(start).filter(|size| *size <= CONTENTS_BYTES_MAX) else {
            return Ok(false);
        };
        let mut contents = vec![0; usize::try_from(size).unwrap_or_default()];
        file.read_exact_at(&mut contents, start)?;
        Ok(xxh3_128(&contents) == u128::from_le_bytes(checksum))
    };
    match read() {
        Ok(true) => Ok(()),
        Ok(false) => Err(OpenError::damaged(path, "its contents do not match their checksum")),
        Err(error) => Err(unreadable(path, error)),
    }
}
