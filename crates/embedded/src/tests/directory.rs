//! What may be opened as a data directory, and what is refused.

use super::*;
use crate::Durability;

#[test]
fn a_second_opening_is_refused_and_told_who_has_the_directory() {
    let bench = Bench::new();
    let store = bench.open();
    let error = bench.try_open().err().unwrap();
    assert!(matches!(error, OpenError::Locked { .. }));
    let process = format!("process {}", std::process::id());
    assert!(error.to_string().contains(&process), "{error}");
    drop(store);
    bench.open();
}

#[test]
fn a_directory_of_something_else_is_left_alone() {
    let bench = Bench::new();
    fs::create_dir(bench.dir()).unwrap();
    fs::write(bench.dir().join("letter.txt"), "dear").unwrap();
    assert!(
        matches!(bench.try_open(), Err(OpenError::Foreign { found, .. }) if found == "letter.txt")
    );
    assert_eq!(fs::read_to_string(bench.dir().join("letter.txt")).unwrap(), "dear");
    assert!(!bench.dir().join("LOCK").exists());
}

#[test]
fn a_newer_format_is_refused() {
    let bench = Bench::new();
    drop(bench.open());
    fs::write(bench.dir().join("FORMAT"), "seqline data format 2\n").unwrap();
    let error = bench.try_open().err().unwrap();
    assert!(matches!(error, OpenError::Newer { found: 2, supported: 1, .. }), "{error}");
}

#[test]
fn a_damaged_format_and_missing_files_are_refused() {
    let bench = Bench::new();
    drop(bench.open());
    fs::remove_file(bench.dir().join("engine/version")).unwrap();
    assert!(matches!(bench.try_open(), Err(OpenError::Damaged { .. })));
    for text in [&b""[..], b"seqline data format x\n", b"\xff\xff"] {
        fs::write(bench.dir().join("FORMAT"), text).unwrap();
        assert!(matches!(bench.try_open(), Err(OpenError::Damaged { .. })), "{text:?}");
    }
}

#[test]
fn an_interrupted_creation_is_begun_again() {
    let bench = Bench::new();
    drop(bench.open());
    fs::rename(bench.dir().join("FORMAT"), bench.dir().join("FORMAT.new")).unwrap();
    let store = bench.open();
    assert!(bench.send(&store, direct("a", "b", "{}")).is_ok());
}

#[test]
fn a_missing_parent_directory_is_an_error_and_not_made() {
    let mut bench = Bench::new();
    bench.options.dir = bench.dir().join("one/two");
    assert!(matches!(bench.try_open(), Err(OpenError::Io { .. })));
}

#[test]
fn losing_unsynced_sends_with_the_machine_makes_a_new_epoch() {
    let mut bench = Bench::new();
    bench.options.durability = Durability::None;
    let store = bench.open();
    let epoch = store.epoch();
    bench.send(&store, direct("a", "b", "{}")).unwrap();

    // The process was killed, the machine went on: nothing is lost.
    let killed = bench.copy_to("killed");
    // The machine was started again since.
    let lost = bench.copy_to("lost");
    fs::write(lost.dir.join("UNSYNCED"), "another boot").unwrap();
    let open = |options: &Options| {
        let entropy = CountingEntropy::default();
        EmbeddedStore::open_on(options, bench.clock.clone(), &entropy, Box::new(RealDisk)).unwrap()
    };
    assert_eq!(open(&killed).epoch(), epoch);
    let after = open(&lost);
    assert_ne!(after.epoch(), epoch);
    assert_eq!(bench.all(&after, inbox("a")).unwrap().epoch, after.epoch());

    // A clean end has synced everything.
    bench.runtime.block_on(store.close()).unwrap();
    assert!(!bench.dir().join("UNSYNCED").exists());
}

#[test]
fn an_interval_syncs_without_further_sends() {
    let mut bench = Bench::new();
    bench.options.durability = Durability::Interval(Duration::from_millis(1));
    let (synced, syncs) = channel();
    let store = bench.open_on(Box::new(TellingSync(synced))).unwrap();
    bench.send(&store, direct("a", "b", "{}")).unwrap();
    syncs.recv_timeout(WAIT_MAX).unwrap();
}

/// A disk that tells when it syncs.
struct TellingSync(Sender<()>);

impl Disk for TellingSync {
    fn write(&mut self, engine: &Engine, batch: OwnedWriteBatch, sync: bool) -> fjall::Result<()> {
        RealDisk.write(engine, batch, sync)
    }

    fn sync(&mut self, engine: &Engine) -> fjall::Result<()> {
        let _ = self.0.send(()).is_ok();
        RealDisk.sync(engine)
    }
}
