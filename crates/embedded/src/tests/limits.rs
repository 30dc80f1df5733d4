//! Bounds: a full queue refuses at once, and the largest group goes through.

use seqline_core::Error;

use super::*;

/// A disk that says when it begins to write and waits until it may go on.
struct Gate {
    begun: Sender<()>,
    go_on: Receiver<()>,
}

impl Disk for Gate {
    fn write(&mut self, engine: &Engine, batch: OwnedWriteBatch, sync: bool) -> fjall::Result<()> {
        let _ = self.begun.send(()).is_ok();
        // Once the test has let go, everything passes.
        let _ = self.go_on.recv().is_ok();
        RealDisk.write(engine, batch, sync)
    }

    fn sync(&mut self, engine: &Engine) -> fjall::Result<()> {
        RealDisk.sync(engine)
    }
}

#[test]
fn a_full_queue_refuses_at_once_and_what_waited_is_stored() {
    let mut bench = Bench::new();
    bench.options.queue_sends_max = 3;
    let ((begun, begins), (go, go_on)) = (channel(), channel());
    let store = bench.open_on(Box::new(Gate { begun, go_on })).unwrap();
    let send = || store.append(direct("a", "b", "{}"));
    let mut sends = vec![send()];
    begins.recv().unwrap();
    sends.extend([send(), send()]);
    assert_eq!(store.status().queued_sends, 3);
    for _ in 0..10 {
        let refused = bench.runtime.block_on(send()).unwrap_err();
        assert!(matches!(refused, Error::Overloaded { .. }), "{refused}");
    }
    assert_eq!(bench.bodies(&store, inbox("b")), Vec::<String>::new());
    drop(go);
    for send in sends {
        bench.runtime.block_on(send).unwrap();
    }
    assert_eq!(bench.bodies(&store, inbox("b")).len(), 3);
}

#[test]
fn a_queue_full_of_bytes_refuses_but_takes_one_large_send_alone() {
    let mut bench = Bench::new();
    bench.options.queue_bytes_max = 4_000;
    let ((begun, begins), (go, go_on)) = (channel(), channel());
    let store = bench.open_on(Box::new(Gate { begun, go_on })).unwrap();
    let body = format!("{{\"a\":\"{}\"}}", "x".repeat(5_000));
    let large = store.append(direct("a", "b", &body));
    begins.recv().unwrap();
    let refused = bench.runtime.block_on(store.append(direct("a", "b", "{}"))).unwrap_err();
    assert!(matches!(refused, Error::Overloaded { .. }), "{refused}");
    assert!(store.status().queued_bytes > 5_000);
    drop(go);
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
