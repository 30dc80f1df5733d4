//! The journals are verified before the engine opens them.
//!
//! The engine takes the first thing it cannot read for the end and silently drops what follows.
//! That is right for a batch that was being written when the machine stopped, and for nothing
//! else: a whole batch after a broken one means that acknowledged sends would be lost. And a torn
//! batch whose end arrived before its middle makes it refuse to open, so that is cut off here.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, ErrorKind, Read, Result, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use crate::error::OpenError;

/// The last bytes of every batch.
const MAGIC: [u8; 4] = *b"FJL\x03";
const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;

/// How much is looked at together.
const CHUNK_BYTES: usize = 64 * 1024;
static ZEROS: [u8; CHUNK_BYTES] = [0; CHUNK_BYTES];

/// Verifies the journals in `dir` and cuts off a batch that was never finished. With `lenient`
/// the machine stopped while batches were not synced, which may leave several of them broken.
pub(crate) fn verify(dir: &Path, lenient: bool) -> std::result::Result<(), OpenError> {
    let mut journals = journals(dir).map_err(OpenError::io("read", dir))?;
    let active = journals.pop();
    for (_, path) in journals {
        let end = end_of_batches(&path).map_err(OpenError::io("read", &path))?;
        // It was synced as a whole before the next one was begun.
        if what_follows(&path, end).map_err(OpenError::io("read", &path))? != Follows::Nothing {
            return Err(damaged(&path, end));
        }
    }
    let Some((_, path)) = active else { return Ok(()) };
    let end = end_of_batches(&path).map_err(OpenError::io("read", &path))?;
    match what_follows(&path, end).map_err(OpenError::io("read", &path))? {
        Follows::Nothing => return Ok(()),
        Follows::Batch if !lenient => return Err(damaged(&path, end)),
        Follows::Batch | Follows::Fragment => {}
    }
    tracing::warn!(journal = %path.display(), end, "an unfinished write at the end is dropped");
    let cut = || {
        let file = OpenOptions::new().write(true).open(&path)?;
        file.set_len(end)?;
        file.sync_all()
    };
    cut().map_err(OpenError::io("cut", &path))
}

fn damaged(path: &Path, end: u64) -> OpenError {
    let detail =
        format!("it cannot be read at byte {end}, though writes that were finished follow");
    OpenError::damaged(path, detail)
}

/// The journals, oldest first.
fn journals(dir: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|s| s.parse().ok());
        if let (Some(number), true) = (number, path.extension().is_some_and(|e| e == "jnl")) {
            found.push((number, path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Where the whole batches end that the journal begins with.
fn end_of_batches(path: &Path) -> Result<u64> {
    let mut reader = BufReader::with_capacity(CHUNK_BYTES, File::open(path)?);
    let (mut end, mut number) = (0, None);
    while let Some(batch) = batch(&mut reader)? {
        // The engine's checksum leaves the number out, but every one is higher than the last.
        if number >= Some(batch.number) {
            break;
        }
        number = Some(batch.number);
        end += batch.length;
    }
    Ok(end)
}

/// What stands in a journal behind its whole batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follows {
    /// The zeros it was made of, or its end.
    Nothing,
    /// Something, but no whole batch.
    Fragment,
    /// Another whole batch.
    Batch,
}

fn what_follows(path: &Path, end: u64) -> Result<Follows> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(end))?;
    let mut follows = Follows::Nothing;
    let mut chunk = vec![0; CHUNK_BYTES];
    // Bytes of the chunk before that may be the beginning of a magic.
    let mut kept = 0;
    let mut position = end;
    loop {
        let read = file.read(&mut chunk[kept..])?;
        if read == 0 {
            return Ok(follows);
        }
        let filled = kept + read;
        if chunk[..filled] != ZEROS[..filled] {
            follows = Follows::Fragment;
            for at in magics(&chunk[..filled]) {
                let after = position - kept as u64 + at as u64 + MAGIC.len() as u64;
                if batch_at(path, after)? {
                    return Ok(Follows::Batch);
                }
            }
        }
        position += read as u64;
        let keep = filled.min(MAGIC.len() - 1);
        chunk.copy_within(filled - keep..filled, 0);
        kept = keep;
    }
}

fn magics(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let found = |(at, window): (usize, &[u8])| (window == MAGIC).then_some(at);
    bytes.windows(MAGIC.len()).enumerate().filter_map(found)
}

fn batch_at(path: &Path, position: u64) -> Result<bool> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(position))?;
    Ok(batch(&mut BufReader::new(file))?.is_some())
}

/// A whole batch.
struct Batch {
    /// The engine's number for it.
    number: u64,
    /// Its length in bytes.
    length: u64,
}

/// Reads one batch; `None` if there is no whole one.
fn batch(reader: &mut impl Read) -> Result<Option<Batch>> {
    match try_batch(reader) {
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => Ok(None),
        other => other,
    }
}

fn try_batch(reader: &mut impl Read) -> Result<Option<Batch>> {
    let [START] = bytes(reader)? else { return Ok(None) };
    let items = u32::from_le_bytes(bytes(reader)?);
    let number = u64::from_le_bytes(bytes(reader)?);
    let mut length = 13;
    let mut hash = Xxh3::new();
    for _ in 0..items {
        let [tag] = bytes(reader)?;
        hash.update(&[tag]);
        length += 1;
        match tag {
            ITEM => {
                // Kind, compression, keyspace; then the lengths of key, value, stored value.
                let head = bytes::<20>(reader)?;
                hash.update(&head);
                let key = u16::from_le_bytes([head[10], head[11]]);
                let value = u32::from_le_bytes([head[16], head[17], head[18], head[19]]);
                let rest = u64::from(key) + u64::from(value);
                update(reader, &mut hash, rest)?;
                length += 20 + rest;
            }
            CLEAR => {
                hash.update(&bytes::<8>(reader)?);
                length += 8;
            }
            _ => return Ok(None),
        }
    }
    let end = bytes::<13>(reader)?;
    let mut expected = [END; 13];
    expected[1..9].copy_from_slice(&hash.digest().to_le_bytes());
    expected[9..].copy_from_slice(&MAGIC);
    Ok((end == expected).then_some(Batch { number, length: length + 13 }))
}

fn bytes<const N: usize>(reader: &mut impl Read) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn update(reader: &mut impl Read, hash: &mut Xxh3, mut left: u64) -> Result<()> {
    let mut chunk = [0; 4096];
    while left > 0 {
        let part = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        reader.read_exact(&mut chunk[..part])?;
        hash.update(&chunk[..part]);
        left -= part as u64;
    }
    Ok(())
}
