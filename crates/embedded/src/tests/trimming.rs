//! Trimming hides at once, deletes later, and never takes the newest entry.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use seqline_core::page::Bounds;

use super::*;
use crate::rows::{self, TimelineRow};

/// How long a test waits for the keeper before it fails.
const WAIT_MAX: Duration = Duration::from_secs(30);

fn seqs(bench: &Bench, store: &EmbeddedStore, timeline: TimelineId) -> Vec<u64> {
    bench.all(store, timeline).unwrap().entries.iter().map(|e| e.seq.get()).collect()
}

#[test]
fn trimmed_entries_are_gone_at_once_and_after_a_restart() {
    for clean in [true, false] {
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
        if !clean {
            store.abandon();
        }
        drop(store);
        let store = bench.open();
        assert_eq!(seqs(&bench, &store, inbox("a")), [3, 4, 5]);
        assert_eq!(trim(&store, 100), bounds(5), "the newest entry stays");
        assert_eq!(bench.send(&store, direct("b", "a", "{}")).unwrap().receiver_seq, Seq::new(6));
        assert_eq!(checked(&store).1, Vec::<String>::new());
    }
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

/// The chunks of a timeline that the index has.
fn chunks(store: &EmbeddedStore, timeline: &[u8]) -> Vec<u64> {
    let engine = store.engine();
    let rows = engine.index.scan(rows::TIMELINES_START..rows::TIMELINES_END);
    rows.filter_map(|row| match rows::decode_timeline_key(&row.unwrap().0) {
        Some(TimelineRow::Chunk(of, chunk)) if of == timeline => Some(chunk),
        _ => None,
    })
    .collect()
}

#[test]
fn chunks_of_hidden_entries_are_deleted_from_the_index() {
    let bench = Bench::new();
    let store = bench.open();
    let sends: Vec<_> = (0..5_000).map(|_| store.append(direct("a", "b", "{}"))).collect();
    for send in sends {
        bench.runtime.block_on(send).unwrap();
    }
    checked(&store);
    assert_eq!(chunks(&store, b"ia"), (0..78).collect::<Vec<_>>());
    bench.runtime.block_on(store.trim(inbox("a"), Seq::new(4_900))).unwrap();
    checked(&store);
    assert_eq!(chunks(&store, b"ia"), [76, 77]);
    assert_eq!(seqs(&bench, &store, inbox("a")), (4_901..=5_000).collect::<Vec<_>>());
    assert_eq!(chunks(&store, b"ib").len(), 78);
    assert_eq!(checked(&store).1, Vec::<String>::new());
}

/// Trims everything but the newest of all three timelines of the test below.
fn trim_all(bench: &Bench, store: &EmbeddedStore) {
    for timeline in [inbox("a"), inbox("b"), group("g")] {
        let bounds = bench.runtime.block_on(store.trim(timeline, Seq::MAX)).unwrap();
        assert_eq!(bounds.first, bounds.latest);
    }
}

#[test]
fn unused_segments_are_freed_and_used_again_while_readers_and_senders_go_on() {
    let mut bench = Bench::new();
    bench.tuning = Tuning { segment_bytes: 64 << 10, unused_after: 1, ..tiny() };
    let store = bench.open();
    let body = format!("{{\"x\":\"{}\"}}", "x".repeat(2_000));
    let fill = || {
        let send = |_| store.append(to_group("g", &["a", "b"], &body));
        let sends: Vec<_> = (0..400).map(send).collect();
        for send in sends {
            bench.runtime.block_on(send).unwrap();
        }
    };
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Reads go on all the time: what is trimmed meanwhile is not there, nothing else fails.
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let page = bench.all(&store, group("g")).unwrap();
                let first = page.entries.first().map_or(1, |entry| entry.seq.get());
                let seqs = page.entries.iter().map(|entry| entry.seq.get());
                assert!(seqs.eq(first..first + page.entries.len() as u64));
            }
        });
        let mut most = 0;
        for _ in 0..6 {
            fill();
            most = most.max(store.engine().segments.disk_bytes());
            trim_all(&bench, &store);
            let begun = Instant::now();
            // The committer frees what the keeper finds, so it needs something to do.
            while store.engine().segments.numbers().len() > 3 {
                assert!(begun.elapsed() < WAIT_MAX, "{:?}", store.engine().segments.numbers());
                bench.send(&store, to_group("g", &["a", "b"], "{}")).unwrap();
                trim_all(&bench, &store);
                store.engine().backlog.wait_for_progress(Duration::from_millis(5));
            }
            assert!(store.engine().segments.disk_bytes() <= 6 * (64 << 10));
        }
        done.store(true, Ordering::Relaxed);
        // Without freeing, six rounds would have taken six times as much.
        assert!(most <= 24 * (64 << 10), "{most}");
    });
    assert_eq!(checked(&store).1, Vec::<String>::new());
    store.abandon();
    let store = bench.open();
    assert_eq!(bench.bodies(&store, inbox("a")).len(), 1);
    assert_eq!(checked(&store).1, Vec::<String>::new());
}
