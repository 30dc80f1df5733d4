//! Repairs that are killed: whatever they left, the next one ends well.

use super::*;

fn stop(at: usize) -> impl FnMut(&'static str) -> std::result::Result<(), OpenError> {
    let mut steps = 0;
    move |_| {
        steps += 1;
        match steps > at {
            true => Err(OpenError::damaged(Path::new("here"), "killed")),
            false => Ok(()),
        }
    }
}

/// Kills a repair before each of its steps, repairs again, and checks with `check`.
fn killed_everywhere(
    damage: impl Fn(&Stored) -> BTreeSet<(String, u64)>,
    check: impl Fn(&Stored, &BTreeSet<(String, u64)>),
) -> usize {
    for at in 0.. {
        let stored = Stored::new(900);
        let lost = damage(&stored);
        let whole = files(stored.dir());
        let killed = stored.repair_until(&mut stop(at));
        if killed.is_ok() {
            return at;
        }
        // Between the renames nobody opens it by mistake.
        let swapping = stored.dir().join("repairing/READY").exists();
        if swapping {
            assert!(stored.bench.try_open().is_err() || at > 0 && !left(&stored));
        }
        let again = stored.repair_until(&mut stop(usize::MAX));
        assert!(again.is_ok(), "killed before step {at}: {again:?}");
        assert!(!stored.dir().join("repairing").exists());
        // Nothing of what was there is gone.
        let now: BTreeSet<Vec<u8>> = files(stored.dir()).into_values().collect();
        let logs = whole.iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "seg"));
        for (path, bytes) in logs {
            assert!(now.contains(bytes), "killed before step {at}: {}", path.display());
        }
        check(&stored, &lost);
    }
    unreachable!("some repair comes to its end")
}

fn left(stored: &Stored) -> bool {
    let repairing = stored.dir().join("repairing");
    repairing.join("log").exists() || repairing.join("index").exists()
}

#[test]
fn a_repair_of_the_index_may_be_killed_before_every_step() {
    let steps = killed_everywhere(
        |stored| {
            fs::remove_dir_all(format::index_dir(stored.dir()).join("tables")).unwrap();
            BTreeSet::new()
        },
        |stored, _| {
            let store = stored.bench.open();
            assert_eq!(store.epoch().to_string(), stored.epoch);
            assert_eq!(content(&stored.bench, &store), stored.content);
            assert_eq!(checked(&store).1, Vec::<String>::new());
        },
    );
    assert_eq!(steps, 5);
}

#[test]
fn a_repair_of_the_log_may_be_killed_before_every_step() {
    let steps = killed_everywhere(
        |stored| {
            let lost = stored.sends_in(1, 32 << 10, 36 << 10);
            overwrite(&stored.segment(1), 32 << 10, &[0; 4096]);
            lost
        },
        |stored, lost| {
            let epoch = stored.bench.open().epoch();
            let summary = RepairSummary { new_epoch: Some(epoch), ..RepairSummary::default() };
            stored.check_all_but(lost, &summary);
        },
    );
    assert_eq!(steps, 7);
}

#[test]
fn what_a_killed_repair_was_making_keeps_nobody_from_opening() {
    let stored = Stored::new(300);
    fs::create_dir_all(stored.dir().join("repairing/log")).unwrap();
    fs::create_dir_all(stored.dir().join("damaged-17/log")).unwrap();
    let store = stored.bench.open();
    assert_eq!(content(&stored.bench, &store), stored.content);
    drop(store);
    assert_eq!(stored.repair().0.repaired, Repaired::Nothing);
    assert!(stored.dir().join("damaged-17/log").exists());
}

#[test]
fn nobody_repairs_what_is_open_or_no_store() {
    let stored = Stored::new(10);
    let store = stored.bench.open();
    let refused = stored.repair_until(&mut stop(usize::MAX)).err().unwrap();
    assert!(matches!(refused, OpenError::Locked { .. }), "{refused}");
    drop(store);
    fs::write(stored.dir().join("FORMAT"), "other").unwrap();
    assert!(stored.repair_until(&mut stop(usize::MAX)).is_err());
}
