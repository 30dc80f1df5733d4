//! An index that is missing or damaged beside a sound log, and a store of which all is sound.

use super::*;

fn check_same(stored: &Stored, summary: &RepairSummary) {
    assert_eq!(summary.repaired, Repaired::Index);
    assert!(!summary.lost());
    let store = stored.bench.open();
    assert_eq!(store.epoch().to_string(), stored.epoch);
    assert_eq!(content(&stored.bench, &store), stored.content);
    stored.check_keys(&store, &stored.content);
    assert_eq!(checked(&store).1, Vec::<String>::new());
}

fn refuses_and_names_the_way_out(stored: &Stored) {
    let refused = stored.bench.try_open().err().unwrap().to_string();
    assert!(refused.contains("seqline check DIR --repair"), "{refused}");
    assert!(refused.contains("loses nothing"), "{refused}");
}

#[test]
fn a_deleted_index_is_made_again() {
    let stored = Stored::new(2_000);
    fs::remove_dir_all(format::index_dir(stored.dir())).unwrap();
    refuses_and_names_the_way_out(&stored);
    let (summary, _) = stored.repair();
    check_same(&stored, &summary);
}

#[test]
fn an_index_with_a_zeroed_version_is_made_again() {
    let stored = Stored::new(1_000);
    let index = format::index_dir(stored.dir());
    let current = fs::read(index.join("current")).unwrap();
    let version = u64::from_le_bytes(current[..8].try_into().unwrap());
    let path = index.join(format!("v{version}"));
    let length = fs::metadata(&path).unwrap().len();
    overwrite(&path, 0, &vec![0; length as usize]);
    refuses_and_names_the_way_out(&stored);
    let (summary, _) = stored.repair();
    check_same(&stored, &summary);
    assert!(summary.kept_in.unwrap().join("index/current").exists());
}

#[test]
fn an_index_with_a_flipped_bit_in_a_table_is_made_again() {
    let stored = Stored::new(2_000);
    // In every table: one that a compaction has replaced may still be there.
    let tables = files(&format::index_dir(stored.dir()).join("tables"));
    for (table, bytes) in tables.into_iter().filter(|(_, bytes)| !bytes.is_empty()) {
        flip(&table, bytes.len() as u64 / 3);
    }
    let (summary, events) = stored.repair();
    assert!(matches!(events[0], RepairEvent::Damage { .. }), "{events:?}");
    check_same(&stored, &summary);
}

#[test]
fn an_index_that_says_something_else_than_the_log_is_made_again() {
    let stored = Stored::new(400);
    {
        let index =
            crate::index::Index::open(&format::index_dir(stored.dir()), &IndexOptions::default())
                .unwrap();
        let mut batch = crate::index::Batch::default();
        batch.delete(&crate::rows::head_key(&inbox("fay").key()));
        index.write(&batch);
        index.flush().unwrap();
    }
    let (summary, _) = stored.repair();
    check_same(&stored, &summary);
}

#[test]
fn a_sound_store_is_not_touched() {
    for abandoned in [false, true] {
        let stored = Stored::new(700);
        if abandoned {
            let store = stored.bench.open();
            for n in 0..50 {
                stored.bench.send(&store, nth(n)).unwrap();
            }
            store.abandon();
        }
        let before = files(stored.dir());
        let (summary, events) = stored.repair();
        assert_eq!(summary.repaired, Repaired::Nothing, "{events:?}");
        assert!(!events.iter().any(|event| !matches!(event, RepairEvent::Progress { .. })));
        assert!(files(stored.dir()) == before);
    }
}

#[test]
fn what_was_trimmed_stays_hidden_also_behind_segments_that_were_freed() {
    let mut stored = Stored::new(3_000);
    let store = stored.bench.open();
    for (timeline, up_to) in [("all", 400), ("few", 500)].map(|(id, n)| (group(id), n)) {
        stored.bench.runtime.block_on(store.trim(timeline, Seq::new(up_to))).unwrap();
    }
    for id in MEMBERS {
        let latest = stored.content[&inbox(id).to_string()].0.latest;
        stored.bench.runtime.block_on(store.trim(inbox(id), latest)).unwrap();
    }
    stored.content = content(&stored.bench, &store);
    stored.bench.runtime.block_on(store.close()).unwrap();
    drop(store);
    // As a store does that nobody reads old conversations of.
    let used: BTreeSet<u64> = [1, 2, stored.newest()].into();
    for number in (1..stored.newest()).filter(|n| !used.contains(n)) {
        let gone = stored.sends_in(number, 0, u64::MAX);
        let needed = gone
            .iter()
            .any(|(conversation, seq)| *seq >= stored.content[conversation].0.first.get());
        if !needed {
            fs::remove_file(stored.segment(number)).unwrap();
        }
    }
    fs::remove_dir_all(format::index_dir(stored.dir())).unwrap();
    let (summary, events) = stored.repair();
    assert_eq!(summary.repaired, Repaired::Index, "{events:?}");
    let store = stored.bench.open();
    assert_eq!(content(&stored.bench, &store), stored.content);
    assert_eq!(checked(&store).1, Vec::<String>::new());
}

#[test]
fn segments_behind_trims_may_be_freed_and_trims_with_them() {
    let mut bench = Bench::new();
    bench.tuning = Tuning { segment_bytes: 16 << 10, flush_bytes: 16 << 10, ..tiny() };
    let store = bench.open();
    let body = format!("{{\"x\": \"{}\"}}", "x".repeat(900));
    for _ in 0..150 {
        bench.send(&store, to_group("g", &["a"], &body)).unwrap();
        bench.send(&store, to_group("h", &["b"], &body)).unwrap();
    }
    for timeline in [group("g"), group("h"), inbox("a"), inbox("b")] {
        bench.runtime.block_on(store.trim(timeline, Seq::new(100))).unwrap();
    }
    for _ in 0..100 {
        bench.send(&store, to_group("g", &["a"], &body)).unwrap();
    }
    bench.runtime.block_on(store.close()).unwrap();
    drop(store);
    let segments = |dir: &Path| fs::read_dir(format::log_dir(dir)).unwrap().count();
    let all = segments(bench.dir());
    // Another trim, so that the keeper looks for what it may free.
    let store = bench.open();
    bench.runtime.block_on(store.trim(group("g"), Seq::new(180))).unwrap();
    bench.runtime.block_on(store.trim(inbox("a"), Seq::new(180))).unwrap();
    bench.runtime.block_on(store.close()).unwrap();
    drop(store);
    let _ = all;
    let timelines = [group("g"), group("h"), inbox("a"), inbox("b")];
    let read = |store: &EmbeddedStore| {
        timelines.clone().map(|timeline| bench.all(store, timeline).unwrap().entries)
    };
    let store = bench.open();
    let before = read(&store);
    bench.runtime.block_on(store.close()).unwrap();
    drop(store);
    fs::remove_dir_all(format::index_dir(bench.dir())).unwrap();
    let entropy: Arc<dyn Entropy> = Arc::new(CountingEntropy::default());
    let now = (bench.clock.now(), &entropy);
    let summary =
        repair_on(&bench.options, bench.tuning, now, &mut |_| (), &mut |_| Ok(())).unwrap();
    assert_eq!(summary.repaired, Repaired::Index);
    let store = bench.open();
    assert_eq!(read(&store), before);
    assert_eq!(checked(&store).1, Vec::<String>::new());
}

#[test]
fn a_repair_takes_no_more_memory_than_it_may() {
    let mut bench = Bench::new();
    bench.tuning = Tuning { segment_bytes: 256 << 10, ..tiny() };
    let store = bench.open();
    // A hundred times as many timelines as memory may have.
    for n in 0..9_000 {
        let (from, to) = (format!("member {n:06}"), format!("other {:06}", n / 2));
        bench.send(&store, direct(&from, &to, "{}")).unwrap();
    }
    let (before, problems) = checked(&store);
    assert_eq!(problems, Vec::<String>::new());
    bench.runtime.block_on(store.close()).unwrap();
    drop(store);
    fs::remove_dir_all(format::index_dir(bench.dir())).unwrap();
    let entropy: Arc<dyn Entropy> = Arc::new(CountingEntropy::default());
    let now = (bench.clock.now(), &entropy);
    let summary =
        repair_on(&bench.options, bench.tuning, now, &mut |_| (), &mut |_| Ok(())).unwrap();
    assert_eq!(summary.repaired, Repaired::Index);
    let most = crate::repair::most_taken(0);
    assert!(most > 0 && most < bench.tuning.table_bytes_max * 2, "{most}");
    let store = bench.open();
    assert_eq!(checked(&store), (before, Vec::new()));
}
