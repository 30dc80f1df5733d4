//! The small parts of the store, and one send and one page from end to end.
//!
//! `cargo bench -p seqline-embedded --features fuzzing`, followed by `-- NAME` for those with that
//! in their name. The parts run on one thread; one send at a time is two changes of threads, which
//! is most of what it takes.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use criterion::Criterion;
use seqline_core::clock::{CountingEntropy, ManualClock, UnixMillis};
use seqline_core::fanout::Outgoing;
use seqline_core::id::{MemberId, MessageId, TimelineId};
use seqline_core::message::Body;
use seqline_core::page::{Direction, Read};
use seqline_core::seq::Seq;
use seqline_core::store::Store as _;
use seqline_embedded::{Durability, EmbeddedStore, Options, measure};
use tokio::runtime::Runtime;

/// So many that they have a few levels of blocks and do not fit the processor's cache.
const INDEX_ROWS: u64 = 200_000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let dir = tempfile::tempdir().expect("a directory for the benches");
    let parts = measure::parts(dir.path(), INDEX_ROWS).expect("the parts can be set up");
    for (name, mut run) in parts {
        criterion.bench_function(&name, |bencher| bencher.iter(&mut run));
    }
    store(&mut criterion, &dir.path().join("store"));
    criterion.final_summary();
}

fn store(criterion: &mut Criterion, dir: &Path) {
    let options =
        Options { dir: dir.to_owned(), durability: Durability::None, ..Options::default() };
    let clock = Arc::new(ManualClock::new(UnixMillis(1_700_000_000_000)));
    let store = EmbeddedStore::open(options, clock, Arc::new(CountingEntropy::default()));
    let store = store.expect("a store in a new directory");
    let runtime = Runtime::new().expect("a runtime");
    let member = |id: &str| MemberId::new("member", id).expect("a valid id");
    let body = Body::from_stored(Bytes::from("b".repeat(200))).expect("it is text");
    let send = Outgoing::direct(MessageId(1), member("ann"), member("bob"), body, None);
    criterion.bench_function("store append/direct, 1 caller", |bencher| {
        bencher.iter(|| runtime.block_on(store.append(send.clone())).expect("it is stored"));
    });
    for _ in 0..100 {
        runtime.block_on(store.append(send.clone())).expect("it is stored");
    }
    let timeline = TimelineId::Inbox(member("bob"));
    let latest = runtime.block_on(store.bounds(vec![timeline.clone()])).expect("it is there");
    let after = Seq::new(latest[0].latest.get() - 100);
    let (until, direction) = (Seq::MAX, Direction::Forward);
    let read = Read { timeline, after, until, direction, entries_max: 100, bytes_max: usize::MAX };
    criterion.bench_function("store page/newest 100 of an inbox", |bencher| {
        bencher.iter(|| {
            let page = runtime.block_on(store.read(read.clone())).expect("it is there");
            assert_eq!(page.entries.len(), 100);
            black_box(page)
        });
    });
}
