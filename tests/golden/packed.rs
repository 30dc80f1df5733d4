//! A data directory as small files: each compressed on its own, without the zeros at its end.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use ruzstd::decoding::StreamingDecoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde::{Deserialize, Serialize};

const MANIFEST: &str = "manifest.json";
const FILES: &str = "files";

/// A file or, with a `/` at the end of its path, a directory.
#[derive(Serialize, Deserialize)]
struct Part {
    path: String,
    bytes: u64,
}

impl Part {
    fn packed(&self) -> String {
        format!("{}.zst", self.path.replace('/', "+"))
    }
}

/// Packs `data` into `fixture`, over what was there.
pub fn pack(data: &Path, fixture: &Path) {
    let files = fixture.join(FILES);
    if files.exists() {
        fs::remove_dir_all(&files).unwrap();
    }
    fs::create_dir_all(&files).unwrap();
    let mut parts = Vec::new();
    list(data, "", &mut parts);
    for part in parts.iter().filter(|part| !part.path.ends_with('/')) {
        let bytes = fs::read(data.join(&part.path)).unwrap();
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let packed = compress_to_vec(&bytes[..end], CompressionLevel::Fastest);
        fs::write(files.join(part.packed()), packed).unwrap();
    }
    let manifest = serde_json::to_string_pretty(&parts).unwrap();
    fs::write(fixture.join(MANIFEST), manifest + "\n").unwrap();
}

fn list(data: &Path, below: &str, parts: &mut Vec<Part>) {
    let mut names: Vec<String> = fs::read_dir(data.join(below))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    for name in names {
        let path = format!("{below}{name}");
        let found = fs::metadata(data.join(&path)).unwrap();
        if found.is_dir() {
            let path = format!("{path}/");
            parts.push(Part { path: path.clone(), bytes: 0 });
            list(data, &path, parts);
        } else {
            parts.push(Part { path, bytes: found.len() });
        }
    }
}

/// Makes `data` from what is in `fixture`; the zeros take no room on the disk.
pub fn unpack(fixture: &Path, data: &Path) {
    let manifest = fs::read_to_string(fixture.join(MANIFEST)).unwrap();
    let parts: Vec<Part> = serde_json::from_str(&manifest).unwrap();
    fs::create_dir(data).unwrap();
    for part in parts {
        let path = data.join(&part.path);
        if part.path.ends_with('/') {
            fs::create_dir(path).unwrap();
            continue;
        }
        let packed = File::open(fixture.join(FILES).join(part.packed())).unwrap();
        let mut bytes = Vec::new();
        StreamingDecoder::new(packed).unwrap().read_to_end(&mut bytes).unwrap();
        fs::write(&path, bytes).unwrap();
        File::options().write(true).open(&path).unwrap().set_len(part.bytes).unwrap();
    }
}
