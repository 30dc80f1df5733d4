//! Where the lines come from: a file, compressed or not, or made up.
//!
//! The lines are read once from start to end to make the plan, and then one by one in any order
//! to send them. A compressed file is unpacked into a nameless temporary file for that.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use ruzstd::decoding::StreamingDecoder;

use super::synthetic;

/// Longest line that is read, in bytes; a message may have 256 KiB.
const LINE_BYTES_MAX: u64 = 1024 * 1024;

/// What to replay.
#[derive(Clone, Debug)]
pub enum Source {
    /// A `.jsonl` or `.jsonl.zst` file.
    File(PathBuf),
    /// So many lines, always the same ones.
    Synthetic(u64),
}

/// Lines that can be read again by their place.
pub struct Lines {
    file: File,
}

/// A line's place in [`Lines`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its first byte.
    pub offset: u64,
    /// Its length in bytes, without the line end.
    pub bytes: u32,
}

impl Lines {
    /// Opens `source`, unpacks or makes it if necessary, and calls `each` with every line of it,
    /// at most `limit` of them: its number from 1, its place and its text.
    ///
    /// # Errors
    /// If it cannot be read, a line is too long or not UTF-8, or `each` fails.
    pub fn open(
        source: &Source,
        limit: u64,
        mut each: impl FnMut(u64, Place, &str) -> Result<(), String>,
    ) -> Result<Lines, String> {
        match source {
            Source::Synthetic(lines) => {
                let mut made = synthetic::lines(*lines);
                let next = |line: &mut Vec<u8>| {
                    line.extend(made.next().into_iter().flat_map(|l| (l + "\n").into_bytes()));
                    Ok(())
                };
                scan_and_keep(next, limit, &mut each)
            }
            Source::File(path) => Lines::open_file(path, limit, &mut each)
                .map_err(|e| format!("cannot read {}: {e}", path.display())),
        }
    }

    fn open_file(path: &Path, limit: u64, each: Each<'_>) -> Result<Lines, String> {
        let file = File::open(path).map_err(|e| e.to_string())?;
        if path.extension().is_some_and(|extension| extension == "zst") {
            let unpacked =
                StreamingDecoder::new(BufReader::new(file)).map_err(|e| e.to_string())?;
            return scan_and_keep(lines_of(BufReader::new(unpacked)), limit, each);
        }
        let again = file.try_clone().map_err(|e| e.to_string())?;
        scan(lines_of(BufReader::new(file)), &mut io::sink(), limit, each)?;
        Ok(Lines { file: again })
    }

    /// The line at `place`.
    ///
    /// # Errors
    /// If it cannot be read any more.
    pub fn read(&self, place: Place) -> io::Result<String> {
        let mut line = vec![0; place.bytes as usize];
        self.file.read_exact_at(&mut line, place.offset)?;
        String::from_utf8(line).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
    }
}

type Each<'a> = &'a mut dyn FnMut(u64, Place, &str) -> Result<(), String>;

/// Reads one line with its end, at most one byte longer than allowed.
fn lines_of(mut reader: impl BufRead) -> impl FnMut(&mut Vec<u8>) -> io::Result<()> {
    move |line| {
        let mut one = (&mut reader).take(LINE_BYTES_MAX + 1);
        one.read_until(b'\n', line).map(|_| ())
    }
}

/// As [`scan`], with a copy of everything in a temporary file.
fn scan_and_keep(
    next: impl FnMut(&mut Vec<u8>) -> io::Result<()>,
    limit: u64,
    each: Each<'_>,
) -> Result<Lines, String> {
    let told = |e: io::Error| format!("no temporary copy: {e}");
    let mut copy = BufWriter::new(temporary()?);
    scan(next, &mut copy, limit, each)?;
    let file = copy.into_inner().map_err(|e| told(e.into_error()))?;
    Ok(Lines { file })
}

/// A file that vanishes with the process.
fn temporary() -> Result<File, String> {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let name = (std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(format!("seqline-replay-{}-{}", name.0, name.1));
    let told = |e: io::Error| format!("no temporary file at {}: {e}", path.display());
    let mut options = File::options();
    let file = options.read(true).write(true).create_new(true).open(&path).map_err(told)?;
    std::fs::remove_file(&path).map_err(told)?;
    Ok(file)
}

/// Calls `each` for the lines that `next` appends to its argument, and copies them to `copy`.
fn scan(
    mut next: impl FnMut(&mut Vec<u8>) -> io::Result<()>,
    copy: &mut impl Write,
    limit: u64,
    each: Each<'_>,
) -> Result<(), String> {
    let (mut number, mut offset, mut line) = (0, 0, Vec::new());
    while number < limit {
        line.clear();
        next(&mut line).map_err(|e| e.to_string())?;
        let bytes = line.len() as u64;
        if bytes == 0 {
            break;
        }
        number += 1;
        if bytes > LINE_BYTES_MAX {
            return Err(format!("line {number} is longer than {LINE_BYTES_MAX} bytes"));
        }
        copy.write_all(&line).map_err(|e| format!("no temporary copy: {e}"))?;
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let place = Place { offset, bytes: u32::try_from(text.len()).unwrap_or(u32::MAX) };
        let text = std::str::from_utf8(text).map_err(|_| format!("line {number} is not UTF-8"))?;
        if !text.trim().is_empty() {
            each(number, place, text).map_err(|e| format!("line {number}: {e}"))?;
        }
        offset += bytes;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &Source, limit: u64) -> Vec<(u64, String)> {
        let mut seen = Vec::new();
        let lines = Lines::open(source, limit, |number, place, line| {
            seen.push((number, place, line.to_owned()));
            Ok(())
        })
        .unwrap();
        let again = |place| lines.read(place).unwrap();
        seen.into_iter()
            .map(|(number, place, line)| {
                assert_eq!(again(place), line, "a line can be read again by its place");
                (number, line)
            })
            .collect()
    }

    #[test]
    fn plain_and_compressed_files_have_the_same_lines() {
        let text = "{\"a\": 1}\n\n{\"b\": \"吃\"}\n{}";
        let expected = [(1, "{\"a\": 1}"), (3, "{\"b\": \"吃\"}"), (4, "{}")];
        let expected = expected.map(|(number, line)| (number, line.to_owned()));
        let dir = tempfile::tempdir().unwrap();
        let plain = dir.path().join("a.jsonl");
        std::fs::write(&plain, text).unwrap();
        let level = ruzstd::encoding::CompressionLevel::Fastest;
        let packed = dir.path().join("a.jsonl.zst");
        std::fs::write(&packed, ruzstd::encoding::compress_to_vec(text.as_bytes(), level)).unwrap();
        for path in [plain, packed] {
            assert_eq!(read(&Source::File(path.clone()), u64::MAX), expected);
            assert_eq!(read(&Source::File(path), 3), expected[..2]);
        }
    }

    #[test]
    fn made_lines_are_always_the_same() {
        let first = read(&Source::Synthetic(300), u64::MAX);
        assert_eq!(first.len(), 300);
        assert_eq!(read(&Source::Synthetic(300), u64::MAX), first);
        assert_eq!(read(&Source::Synthetic(300), 20), first[..20]);
    }

    #[test]
    fn a_line_that_cannot_be_a_message_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.jsonl");
        std::fs::write(&path, b"{}\n\xff\n").unwrap();
        let error = Lines::open(&Source::File(path), 9, |_, _, _| Ok(())).err().unwrap();
        assert!(error.ends_with("a.jsonl: line 2 is not UTF-8"), "{error}");
    }
}
