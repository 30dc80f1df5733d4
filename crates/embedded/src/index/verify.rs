//! Verifying: reads every byte of every table.

use std::fs::File;
use std::io::Read as _;

use lsm_tree::Table;
use xxhash_rust::xxh3::Xxh3Default;

use super::error::IndexError;
use super::row;
use super::shared::Shared;

/// How much is read at once, and after how much progress is told.
const READ_BYTES: usize = 1024 * 1024;

/// What was read and found whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verified {
    /// Tables.
    pub tables: u64,
    /// Rows in them, with older versions and deletions that are not dropped yet.
    pub rows: u64,
    /// Bytes of the tables.
    pub bytes: u64,
}

impl Shared {
    /// Reads the tables of this moment: each file whole against the checksum that the version
    /// has of it, then each row against its own. `progress` gets bytes read and bytes to read.
    pub(super) fn verify(
        &self,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Verified, IndexError> {
        let view = self.view();
        let tables: Vec<&Table> = view.runs.iter().flatten().collect();
        let mut total = 0;
        for table in &tables {
            let metadata = std::fs::metadata(&*table.path);
            total += metadata.map_err(|error| unreadable(table, error))?.len();
        }
        let mut verified = Verified::default();
        for table in tables {
            let bytes = verify_bytes(table, &mut |bytes| progress(verified.bytes + bytes, total))?;
            verified.rows += verify_rows(table)?;
            verified.bytes += bytes;
            verified.tables += 1;
        }
        Ok(verified)
    }
}

fn unreadable(table: &Table, error: std::io::Error) -> IndexError {
    IndexError::tree("read a table", table.metadata.key_range.min(), error.into())
}

fn verify_bytes(table: &Table, progress: &mut dyn FnMut(u64)) -> Result<u64, IndexError> {
    let mut file = File::open(&*table.path).map_err(|error| unreadable(table, error))?;
    let mut buffer = vec![0; READ_BYTES];
    let mut hasher = Xxh3Default::new();
    let mut bytes = 0;
    loop {
        let read = file.read(&mut buffer).map_err(|error| unreadable(table, error))?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        bytes += read as u64;
        progress(bytes);
    }
    if hasher.digest128() != table.checksum().into_u128() {
        let detail = format!("{} does not match its checksum", table.path.display());
        return Err(IndexError::damaged(table.metadata.key_range.min(), detail));
    }
    Ok(bytes)
}

/// Each row against its checksum, their order and their number.
fn verify_rows(table: &Table) -> Result<u64, IndexError> {
    let mut last = table.metadata.key_range.min().clone();
    let mut rows = 0;
    let scan = table.scan().map_err(|e| IndexError::tree("read a table", &last, e))?;
    for item in scan {
        let item = item.map_err(|e| IndexError::tree("read a table", &last, e))?;
        let tombstone = item.is_tombstone();
        if rows > 0 && item.key.user_key <= last {
            return Err(IndexError::damaged(&last, "the next row does not follow it"));
        }
        last = item.key.user_key;
        if !tombstone {
            row::unseal(&last, item.value)?;
        }
        rows += 1;
    }
    if rows != table.metadata.item_count || last != *table.metadata.key_range.max() {
        let detail = format!("{} has {rows} rows, not as many as said", table.path.display());
        return Err(IndexError::damaged(&last, detail));
    }
    Ok(rows)
}
