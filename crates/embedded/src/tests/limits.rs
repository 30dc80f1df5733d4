//! Bounds: a full queue refuses at once, the largest group goes through, memory stays bounded.

use seqline_core::Error;

use super::*;
use crate::storage::faulty::FaultyDisk;

/// A disk whose syncs wait. They go on when it is dropped, also by a test that fails.
struct Held(FaultyDisk);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.release_sync();
    }
}

/// A store on a disk in memory whose syncs wait. The disk is to be dropped first.
fn held(bench: &Bench) -> (EmbeddedStore, Held) {
    let disk = FaultyDisk::new(1);
    let store = bench.open_on(Arc::new(disk.clone())).unwrap();
    disk.hold_next_sync();
    (store, Held(disk))
}

#[test]
fn a_full_queue_refuses_at_once_and_what_waited_is_stored() {
    let mut bench = Bench::new();
    bench.options.queue_sends_max = 3;
    bench.tuning.background = false;
    let (store, disk) = held(&bench);
    let send = || store.append(direct("a", "b", "{}"));
    let mut sends = vec![send()];
    disk.0.wait_for_held_sync();
    sends.extend([send(), send()]);
    assert_eq!(store.status().queued_sends, 3);
    for _ in 0..10 {
        let refused = bench.runtime.block_on(send()).unwrap_err();
        assert!(matches!(refused, Error::Overloaded { .. }), "{refused}");
    }
    assert_eq!(bench.bodies(&store, inbox("b")), Vec::<String>::new(), "nothing before its sync");
    drop(disk);
    for send in sends {
        bench.runtime.block_on(send).unwrap();
    }
    assert_eq!(bench.bodies(&store, inbox("b")).len(), 3);
}

#[test]
fn a_queue_full_of_bytes_refuses_but_takes_one_large_send_alone() {
    let mut bench = Bench::new();
    bench.options.queue_bytes_max = 4_000;
    bench.tuning.background = false;
    let (store, disk) = held(&bench);
    let body = format!("{{\"a\":\"{}\"}}", "x".repeat(5_000));
    let large = store.append(direct("a", "b", &body));
    disk.0.wait_for_held_sync();
    let refused = bench.runtime.block_on(store.append(direct("a", "b", "{}"))).unwrap_err();
    assert!(matches!(refused, Error::Overloaded { .. }), "{refused}");
    assert!(store.status().queued_bytes > 5_000);
    drop(disk);
    bench.runtime.block_on(large).unwrap();
}

#[test]
fn a_group_of_a_hundred_thousand_receives() {
    let bench = Bench::new();
    let store = bench.open();
    let ids: Vec<String> = (0..100_000).map(|n| format!("member-{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    for n in 1..=2 {
        let receipt = bench.send(&store, to_group("all", &ids, "{}")).unwrap();
        assert_eq!(receipt.receiver_seq, Seq::new(n));
    }
    for id in ["member-0", "member-50000", "member-99999"] {
        assert_eq!(bench.bodies(&store, inbox(id)).len(), 2);
    }
    let (summary, problems) = checked(&store);
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!((summary.timelines, summary.inbox_entries), (100_001, 200_000));
    // What it took in memory is given back: other sends find room, and push it out.
    assert!(store.engine().table.bytes() <= bench.tuning.table_bytes_max);
    assert_eq!(store.status().queued_bytes, 0);
    store.abandon();
    let store = bench.open();
    assert_eq!(bench.bodies(&store, inbox("member-99999")).len(), 2);
    assert_eq!(bench.send(&store, to_group("all", &ids, "{}")).unwrap().receiver_seq, Seq::new(3));
}

#[test]
fn a_million_timelines_stay_within_little_memory() {
    let mut bench = Bench::new();
    bench.options.memory_bytes = 32 << 20;
    bench.tuning = crate::options::Tuning { segment_bytes: 64 << 20, ..Tuning::of(&bench.options) };
    let store = bench.open();
    let most = bench.tuning.table_bytes_max;
    assert_eq!(most, 12 << 20);
    let each = 10_000;
    let mut highest = 0;
    for n in 0..100 {
        let ids: Vec<String> = (0..each).map(|m| format!("member-{}", n * each + m)).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let receipt = bench.send(&store, to_group("all", &ids, "{}")).unwrap();
        assert_eq!(receipt.receiver_seq, Seq::FIRST);
        highest = highest.max(store.engine().table.bytes());
    }
    // The last send's own timelines come on top before they can leave.
    assert!(highest <= most + 2 * each * 300, "{highest} of {most}");
    for n in [0, 500_000, 999_999] {
        assert_eq!(bench.bodies(&store, inbox(&format!("member-{n}"))).len(), 1);
    }
}

#[test]
fn large_bodies_come_back_byte_for_byte_and_fill_pages_by_bytes() {
    let bench = Bench::new();
    let store = bench.open();
    let body = |n: usize| format!("{{\"n\":{n},\"a\":\"{}\"}}", "é".repeat(100_000 + n));
    for n in 0..80 {
        bench.send(&store, direct("a", "b", &body(n))).unwrap();
    }
    let mut after = Seq::ZERO;
    let mut seen = 0;
    loop {
        let read = Read { after, bytes_max: 1_000_000, ..everything(inbox("b")) };
        let page = bench.runtime.block_on(store.read(read)).unwrap();
        assert!(page.entries.len() <= 4);
        for entry in &page.entries {
            assert_eq!(entry.message.body.as_str(), body(seen));
            seen += 1;
            after = entry.seq;
        }
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, 80);
}

#[test]
fn a_send_larger_than_a_segment_is_refused_and_the_largest_is_not() {
    let mut bench = Bench::new();
    bench.tuning.segment_bytes = 64 << 10;
    let store = bench.open();
    let send = |bytes: usize| {
        bench.send(&store, direct("a", "b", &format!("{{\"x\":\"{}\"}}", "x".repeat(bytes))))
    };
    let error = send(64 << 10).unwrap_err();
    let Error::TooLarge { limit: "one send", max, actual, .. } = error else {
        panic!("another refusal: {error}");
    };
    let most = (64 << 10) - (actual - max);
    for n in 1..=3 {
        assert_eq!(send(most).unwrap().receiver_seq, Seq::new(n));
    }
    assert!(matches!(send(most + 1), Err(Error::TooLarge { .. })));
    store.abandon();
    let store = bench.open();
    assert_eq!(bench.bodies(&store, inbox("b")).len(), 3);
    assert_eq!(checked(&store).1, Vec::<String>::new());
}

#[test]
fn pages_go_both_ways_within_their_limits() {
    let bench = Bench::new();
    let store = bench.open();
    for n in 1..=200 {
        bench.send(&store, direct("a", "b", &format!("{{\"n\":{n}}}"))).unwrap();
    }
    let conversation = TimelineId::from(ConversationId::direct(member("a"), member("b")));
    for timeline in [inbox("a"), conversation] {
        let page = |after, until, direction, entries_max| {
            let read = Read {
                after: Seq::new(after),
                until: Seq::new(until),
                direction,
                entries_max,
                ..everything(timeline.clone())
            };
            let page = bench.runtime.block_on(store.read(read)).unwrap();
            let seqs: Vec<u64> = page.entries.iter().map(|e| e.seq.get()).collect();
            for entry in &page.entries {
                assert_eq!(entry.message.body.as_str(), format!("{{\"n\":{}}}", entry.seq));
            }
            (seqs, page.more)
        };
        let (forward, backward) = (Direction::Forward, Direction::Backward);
        assert_eq!(page(0, u64::MAX, forward, 2), (vec![1, 2], true));
        assert_eq!(page(0, u64::MAX, backward, 2), (vec![200, 199], true));
        assert_eq!(page(5, 8, forward, 9), (vec![6, 7, 8], false));
        assert_eq!(page(5, 8, backward, 2), (vec![8, 7], true));
        assert_eq!(page(5, 8, backward, 3), (vec![8, 7, 6], false));
        assert_eq!(page(199, u64::MAX, forward, 9), (vec![200], false));
        assert_eq!(page(200, u64::MAX, forward, 9), (vec![], false));
        assert_eq!(page(u64::MAX, u64::MAX, forward, 9), (vec![], false));
        assert_eq!(page(0, u64::MAX, forward, 0), (vec![], true));
        assert_eq!(page(0, 0, backward, 9), (vec![], false));
        let (all, more) = page(0, u64::MAX, backward, 500);
        assert_eq!((all, more), ((1..=200).rev().collect(), false));
    }
}
