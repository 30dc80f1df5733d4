//! Bit rot in every file: an error, or the same answers as before, and `check` finds it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use seqline_core::Error;
use seqline_core::page::Entry;

use super::*;
use crate::storage::faulty::Random;

const SEGMENT_BYTES: u64 = 64 << 10;
/// Flipped bits for each file; `SEQLINE_ROT` sets another number.
const FLIPS: u64 = 40;

type Contents = BTreeMap<TimelineId, Vec<Entry>>;

/// A closed store with some of everything, and what it answered.
struct Sound {
    bench: Bench,
    contents: Contents,
    /// Where the frames of each segment end.
    ends: Vec<(u64, u64)>,
}

fn timelines() -> Vec<TimelineId> {
    let mut all: Vec<TimelineId> = (0..4).map(|n| inbox(&format!("m{n}"))).collect();
    all.extend([group("g"), group("h")]);
    all.push(ConversationId::direct(member("m0"), member("m1")).into());
    all
}

fn contents(bench: &Bench, store: &EmbeddedStore) -> Contents {
    let read = |id: TimelineId| (id.clone(), bench.all(store, id).unwrap().entries);
    timelines().into_iter().map(read).collect()
}

fn sound() -> Sound {
    let mut bench = Bench::new();
    let root = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
    bench.options.dir = root.path().join("data");
    bench.options.memory_bytes = 32 << 20;
    bench.tuning = Tuning { segment_bytes: SEGMENT_BYTES, background: false, ..tiny() };
    bench.root = root;
    let store = bench.open();
    for round in 0..5 {
        let sends: Vec<_> = (0..60)
            .map(|n| {
                let body = format!("{{\"n\":{n},\"x\":\"{}\"}}", "x".repeat(n * 30));
                let send = match n % 3 {
                    0 => to_group("g", &["m0", "m1", "m2"], &body),
                    1 => to_group("h", &["m1", "m3"], &body),
                    _ => with_key(direct("m0", "m1", &body), &format!("{round}-{n}")),
                };
                store.append(send)
            })
            .collect();
        for send in sends {
            bench.runtime.block_on(send).unwrap();
        }
        bench.runtime.block_on(store.trim(inbox("m3"), Seq::new(round * 15))).unwrap();
    }
    let contents = contents(&bench, &store);
    assert_eq!(checked(&store).1, Vec::<String>::new());
    let ends = store.engine().segments.list().unwrap();
    assert!(ends.len() > 4);
    bench.runtime.block_on(store.close()).unwrap();
    drop(store);
    Sound { bench, contents, ends }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

fn snapshot(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let read =
        |path: PathBuf| (path.strip_prefix(dir).unwrap().to_owned(), fs::read(&path).unwrap());
    files(dir).into_iter().map(read).collect()
}

/// What came of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Refused,
    /// `check` had something to say.
    Found,
    /// `check` had not, and the file is not there any more: a compaction that needed nothing of
    /// what is damaged has made another.
    Replaced,
    Nothing,
}

impl Sound {
    /// Damages a copy and looks at it. Panics if anything is answered wrongly.
    fn damaged(&self, name: &Path, what: &str, damage: impl FnOnce(&Path)) -> Seen {
        let root = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
        let dir = root.path().join("data");
        for (name, bytes) in snapshot(self.bench.dir()) {
            fs::create_dir_all(dir.join(&name).parent().unwrap()).unwrap();
            fs::write(dir.join(name), bytes).unwrap();
        }
        damage(&dir);
        let log = |dir: &Path| {
            let mut all = snapshot(&dir.join("log"));
            all.retain(|(name, _)| name.extension().is_some_and(|end| end == "seg"));
            all
        };
        let before = log(&dir);
        let was_there = dir.join(name).exists();
        let options = Options { dir: dir.clone(), ..self.bench.options.clone() };
        let entropy = Arc::new(CountingEntropy::default());
        let (clock, disk) = (self.bench.clock.clone(), Arc::new(RealDisk));
        match EmbeddedStore::open_on(&options, clock, entropy, disk, self.bench.tuning) {
            Ok(store) => {
                let reads_fail = self.reads_fail(&store, what);
                let is_found = is_found(&store, what);
                drop(store);
                let replaced = was_there && !dir.join(name).exists();
                match is_found {
                    true => Seen::Found,
                    false if replaced => Seen::Replaced,
                    false => {
                        assert!(!reads_fail, "{what}: reads fail and check finds nothing");
                        Seen::Nothing
                    }
                }
            }
            Err(error) => {
                assert!(!error.to_string().contains("panicked"), "{what}: {error}");
                assert!(log(&dir) == before, "{what}: refused, but the log was changed: {error}");
                Seen::Refused
            }
        }
    }

    /// Whether any read fails. Panics if one gives another answer than before.
    fn reads_fail(&self, store: &EmbeddedStore, what: &str) -> bool {
        let mut fail = false;
        let mut read =
            |read: Read, entries: &[Entry]| match self.bench.runtime.block_on(store.read(read)) {
                Ok(page) => assert!(page.entries == entries, "{what}: it reads differently"),
                Err(Error::Corrupt { .. }) => fail = true,
                Err(error) => panic!("{what}: {error}"),
            };
        for (id, entries) in &self.contents {
            read(everything(id.clone()), entries);
            for entry in entries {
                let (after, until) = (entry.seq.previous(), entry.seq);
                let one = Read { after, until, ..everything(id.clone()) };
                read(one, std::slice::from_ref(entry));
            }
        }
        fail
    }

    /// Whether nothing depends on a byte of a file.
    fn is_meaningless(&self, name: &Path, at: u64) -> bool {
        if name == Path::new("LOCK") || name.extension().is_some_and(|end| end == "spare") {
            return true;
        }
        let is = |segment: u64| name.ends_with(format!("{segment:016x}.seg"));
        self.ends.iter().any(|(segment, end)| is(*segment) && at >= *end)
    }
}

/// Whether `check` has something to say.
fn is_found(store: &EmbeddedStore, what: &str) -> bool {
    let mut problems = 0;
    let mut count = |event| problems += u64::from(matches!(event, CheckEvent::Problem { .. }));
    match store.check(&mut count) {
        Ok(_) => problems > 0,
        Err(Error::Corrupt { .. } | Error::Unavailable { .. }) => true,
        Err(error) => panic!("{what}: {error}"),
    }
}

fn write(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_flipped_bit_anywhere_is_found_and_never_served() {
    let sound = sound();
    let flips = std::env::var("SEQLINE_ROT").ok().and_then(|n| n.parse().ok()).unwrap_or(FLIPS);
    let mut random = Random::new(7);
    let mut unseen = Vec::new();
    for (name, bytes) in snapshot(sound.bench.dir()) {
        for _ in 0..flips.min(bytes.len() as u64 * 2) {
            let (at, bit) = (random.below(bytes.len() as u64), random.below(8));
            let what = format!("{} byte {at} bit {bit}", name.display());
            let flip = |dir: &Path| write(&dir.join(&name), |b| b[at as usize] ^= 1 << bit);
            let seen = sound.damaged(&name, &what, flip);
            if seen == Seen::Nothing && !sound.is_meaningless(&name, at) {
                unseen.push(what);
            }
        }
    }
    assert_eq!(unseen, Vec::<String>::new());
}

#[test]
fn a_zeroed_page_anywhere_is_found_and_never_served() {
    let sound = sound();
    let mut unseen = Vec::new();
    for (name, bytes) in snapshot(sound.bench.dir()) {
        for start in (0..bytes.len()).step_by(4096) {
            let end = bytes.len().min(start + 4096);
            if bytes[start..end].iter().all(|byte| *byte == 0) {
                continue;
            }
            let what = format!("{} page at {start}", name.display());
            let zero = |dir: &Path| write(&dir.join(&name), |b| b[start..end].fill(0));
            if sound.damaged(&name, &what, zero) == Seen::Nothing
                && !sound.is_meaningless(&name, start as u64)
            {
                unseen.push(what);
            }
        }
    }
    assert_eq!(unseen, Vec::<String>::new());
}

#[test]
fn a_file_that_is_gone_or_cut_off_is_found_and_never_passed_over() {
    let sound = sound();
    let mut unseen = Vec::new();
    for (name, bytes) in snapshot(sound.bench.dir()) {
        let gone = format!("{} gone", name.display());
        let mut check = |what: String, damage: &dyn Fn(&Path)| {
            if sound.damaged(&name, &what, damage) == Seen::Nothing
                && !sound.is_meaningless(&name, 0)
            {
                unseen.push(what);
            }
        };
        check(gone, &|dir| fs::remove_file(dir.join(&name)).unwrap());
        for keep in [0, bytes.len() / 3, bytes.len().min(5_000)] {
            if keep < bytes.len() {
                let cut = format!("{} cut to {keep}", name.display());
                check(cut, &|dir| write(&dir.join(&name), |b| b.truncate(keep)));
            }
        }
    }
    assert_eq!(unseen, Vec::<String>::new());
}
