//! Trimming hides at once, deletes later, and never takes the newest entry.

use fjall::Readable as _;
use seqline_core::page::Bounds;

use super::*;

fn seqs(bench: &Bench, store: &EmbeddedStore, timeline: TimelineId) -> Vec<u64> {
    bench.all(store, timeline).unwrap().entries.iter().map(|e| e.seq.get()).collect()
}

#[test]
fn trimmed_entries_are_gone_at_once_and_after_a_restart() {
    let bench = Bench::new();
    let store = bench.open();
    for _ in 0..5 {
        bench.send(&store, direct("a", "b", "{}")).unwrap();
    }
    let trim = |store: &EmbeddedStore, up_to| {
        bench.runtime.block_on(store.trim(inbox("a"), Seq::new(up_to))).unwrap()
    };
    let bounds = |first| Bounds { first: Seq::new(first), latest: Seq::new(5) };
    assert_eq!(trim(&store, 2), bounds(3));
    assert_eq!(trim(&store, 1), bounds(3), "a floor never goes down");
    assert_eq!(seqs(&bench, &store, inbox("a")), [3, 4, 5]);
    assert_eq!(seqs(&bench, &store, inbox("b")), [1, 2, 3, 4, 5]);
    drop(store);
    let store = bench.open();
    assert_eq!(seqs(&bench, &store, inbox("a")), [3, 4, 5]);
    assert_eq!(trim(&store, 100), bounds(5), "the newest entry stays");
    assert_eq!(bench.send(&store, direct("b", "a", "{}")).unwrap().receiver_seq, Seq::new(6));
    assert_eq!(checked(&store).1, Vec::<String>::new());
}

#[test]
fn a_trimmed_conversation_leaves_the_inboxes_whole() {
    let bench = Bench::new();
    let store = bench.open();
    for n in 0..4 {
        bench.send(&store, to_group("g", &["a"], &format!("{{\"n\":{n}}}"))).unwrap();
    }
    let bounds = bench.runtime.block_on(store.trim(group("g"), Seq::new(3))).unwrap();
    assert_eq!(bounds, Bounds { first: Seq::new(4), latest: Seq::new(4) });
    assert_eq!(seqs(&bench, &store, group("g")), [4]);
    assert_eq!(bench.bodies(&store, inbox("a")).len(), 4);
    assert_eq!(checked(&store).1, Vec::<String>::new());
}

#[test]
fn trimming_what_never_was_changes_nothing() {
    let bench = Bench::new();
    let store = bench.open();
    let bounds = bench.runtime.block_on(store.trim(inbox("x"), Seq::MAX)).unwrap();
    assert_eq!(bounds, Bounds::EMPTY);
    assert_eq!(bench.send(&store, direct("x", "y", "{}")).unwrap().conversation_seq, Seq::FIRST);
    drop(store);
    assert_eq!(seqs(&bench, &bench.open(), inbox("x")), [1]);
}

#[test]
fn hidden_references_are_deleted_from_the_disk() {
    let bench = Bench::new();
    let (disk, writes) = Telling::new();
    let store = bench.open_on(disk).unwrap();
    let sends: Vec<_> = (0..5_000).map(|_| store.append(direct("a", "b", "{}"))).collect();
    for send in sends {
        bench.runtime.block_on(send).unwrap();
    }
    let _ = writes.try_iter().count();
    bench.runtime.block_on(store.trim(inbox("a"), Seq::new(4_990))).unwrap();
    // One write for the call itself, three for the deletions.
    for _ in 0..4 {
        writes.recv_timeout(WAIT_MAX).unwrap();
    }
    assert_eq!(seqs(&bench, &store, inbox("a")).len(), 10);
    assert_eq!(checked(&store).1, Vec::<String>::new());
    drop(store);
    let engine = bench.engine();
    assert_eq!(engine.snapshot().len(&engine.inbox).unwrap(), 5_010);
}
