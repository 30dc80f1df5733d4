//! A journal that is broken: a torn end is dropped, damage before good writes is refused.

use std::path::PathBuf;

use super::*;
use crate::Durability;

/// A store with `sends` sends, each in a batch of its own; its journal, and where in it each
/// batch ends.
fn crashed(sends: usize) -> (Bench, Options, PathBuf, Vec<usize>) {
    let bench = Bench::new();
    let store = bench.open();
    for n in 1..=sends {
        bench.send(&store, direct("a", "b", &format!("{{\"n\":{n}}}"))).unwrap();
    }
    let options = bench.copy_to("crashed");
    let journal = options.dir.join("engine/0.jnl");
    let bytes = fs::read(&journal).unwrap();
    let magic = b"FJL\x03";
    let ends = bytes.windows(4).enumerate().filter(|(_, w)| w == magic).map(|(at, _)| at + 4);
    let ends: Vec<usize> = ends.collect();
    // What follows are the zeros it was made of; a page of them is enough.
    fs::write(&journal, &bytes[..ends.last().unwrap() + 4_096]).unwrap();
    // The first batch is the epoch.
    assert_eq!(ends.len(), sends + 1);
    (bench, options, journal, ends)
}

fn open(bench: &Bench, options: &Options) -> std::result::Result<EmbeddedStore, OpenError> {
    let entropy = CountingEntropy::default();
    EmbeddedStore::open_on(options, bench.clock.clone(), &entropy, Box::new(RealDisk))
}

fn change(journal: &Path, change: impl Fn(&mut Vec<u8>)) {
    let mut bytes = fs::read(journal).unwrap();
    change(&mut bytes);
    fs::write(journal, bytes).unwrap();
}

#[test]
fn damage_before_finished_writes_is_refused_and_nothing_is_changed() {
    let (bench, options, journal, ends) = crashed(5);
    let whole = fs::read(&journal).unwrap();
    for at in [5, ends[1] - 30, ends[2] - 10, ends[2] - 2, ends[3] + 3, ends[3] + 20] {
        fs::write(&journal, &whole).unwrap();
        change(&journal, |bytes| bytes[at] ^= 0x10);
        let broken = fs::read(&journal).unwrap();
        let error = open(&bench, &options).err().unwrap();
        assert!(matches!(error, OpenError::Damaged { .. }), "byte {at}: {error}");
        assert_eq!(fs::read(&journal).unwrap(), broken);
    }
    fs::write(&journal, &whole).unwrap();
    assert_eq!(bench.bodies(&open(&bench, &options).unwrap(), inbox("b")).len(), 5);
}

#[test]
fn a_write_torn_anywhere_is_dropped_whole() {
    let (bench, options, journal, ends) = crashed(3);
    let whole = fs::read(&journal).unwrap();
    let (begin, end) = (ends[2], ends[3]);
    for cut in (begin..end).step_by(23) {
        // The rest never arrived; or the end arrived and something before it did not.
        for torn in [cut..end, begin..cut.max(begin + 1), cut..(cut + 3).min(end)] {
            fs::write(&journal, &whole).unwrap();
            change(&journal, |bytes| bytes[torn.clone()].fill(0));
            let store = open(&bench, &options).unwrap();
            let stored = bench.bodies(&store, inbox("b")).len();
            let unchanged = whole[torn.clone()].iter().all(|byte| *byte == 0);
            assert_eq!(stored, if unchanged { 3 } else { 2 }, "{torn:?}");
            let next = bench.send(&store, direct("a", "b", "{}")).unwrap();
            assert_eq!(next.receiver_seq.get() as usize, stored + 1);
            assert_eq!(checked(&store).1, Vec::<String>::new());
        }
    }
}

#[test]
fn unsynced_writes_broken_by_a_stopped_machine_are_dropped_under_a_new_epoch() {
    let (bench, mut options, journal, ends) = crashed(5);
    options.durability = Durability::None;
    let epoch = open(&bench, &options).unwrap().epoch();
    fs::write(options.dir.join("UNSYNCED"), "another boot").unwrap();
    change(&journal, |bytes| bytes[ends[2] + 20] ^= 1);
    let store = open(&bench, &options).unwrap();
    assert_ne!(store.epoch(), epoch);
    assert_eq!(bench.bodies(&store, inbox("b")).len(), 2);
}
