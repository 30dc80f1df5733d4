//! Idempotency keys count for the window and then go, in small steps.

use fjall::Readable as _;

use super::*;

const WINDOW_MILLIS: u64 = 7 * 24 * 60 * 60 * 1_000;

/// Rows about idempotency keys that are on disk after the store has ended.
fn rows(bench: &Bench) -> usize {
    let engine = bench.engine();
    engine.snapshot().len(&engine.dedupe).unwrap()
}

#[test]
fn a_key_counts_until_the_window_ends_and_then_stores_again() {
    let bench = Bench::new();
    let store = bench.open();
    let send = || with_key(direct("a", "b", "{}"), "key");
    let first = bench.send(&store, send()).unwrap();
    bench.clock.advance(WINDOW_MILLIS - 1);
    assert!(bench.send(&store, send()).unwrap().repeat);
    bench.clock.advance(1);
    let second = bench.send(&store, send()).unwrap();
    assert!(!second.repeat);
    assert_eq!(second.conversation_seq, first.conversation_seq.next());
    assert!(bench.send(&store, send()).unwrap().repeat);
    drop(store);
}

#[test]
fn expired_keys_leave_the_disk_with_the_next_send() {
    let bench = Bench::new();
    let (disk, writes) = Telling::new();
    let store = bench.open_on(disk).unwrap();
    let keyed = |n| store.append(with_key(direct("a", "b", "{}"), &format!("key-{n}")));
    let sends: Vec<_> = (0..5_000).map(keyed).collect();
    for send in sends {
        bench.runtime.block_on(send).unwrap();
    }
    let _ = writes.try_iter().count();
    bench.clock.advance(WINDOW_MILLIS);
    bench.send(&store, direct("a", "b", "{}")).unwrap();
    // One write for the call itself, three for the deletions.
    for _ in 0..4 {
        writes.recv_timeout(WAIT_MAX).unwrap();
    }
    drop(store);
    assert_eq!(rows(&bench), 0);
}

#[test]
fn the_same_key_in_one_batch_and_in_other_conversations() {
    let bench = Bench::new();
    let store = bench.open();
    let sends: Vec<_> =
        (0..50).map(|_| store.append(with_key(direct("a", "b", "{}"), "key"))).collect();
    let receipts: Vec<Receipt> =
        sends.into_iter().map(|send| bench.runtime.block_on(send).unwrap()).collect();
    assert_eq!(receipts.iter().filter(|r| !r.repeat).count(), 1);
    assert!(receipts.iter().all(|r| r.conversation_seq == Seq::FIRST));
    let other = bench.send(&store, with_key(direct("a", "c", "{}"), "key")).unwrap();
    assert!(!other.repeat);
    let conflict = bench.send(&store, with_key(direct("a", "b", "{\"n\":1}"), "key"));
    assert!(matches!(conflict, Err(seqline_core::Error::Conflict)));
    assert_eq!(bench.bodies(&store, inbox("a")).len(), 2);
}
