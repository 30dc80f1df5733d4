//! That joined calls are one command, and that each hears what became of its own.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, RawDocumentBuf, rawdoc};
use tokio::runtime::Handle;

use super::Joined;
use crate::db::simulated::{Command, Simulated, Steady, Verdict, Weather};
use crate::db::{Collection, Db as _, Fields, Order, Outcome, Query};
use crate::life::Life;
use crate::tests::scenes::{Virtual, run};

const ONE: Duration = Duration::from_millis(10);
const WITHIN: Duration = Duration::from_secs(10);

/// How many documents or ids each command had, and its time.
#[derive(Clone, Default)]
struct Watched {
    commands: Arc<Mutex<Vec<(usize, Duration)>>>,
    /// What becomes of commands.
    verdict: Option<Verdict>,
}

impl Watched {
    fn sizes(&self) -> Vec<usize> {
        self.commands.lock().unwrap().iter().map(|(size, _)| *size).collect()
    }
}

impl Weather for Watched {
    fn verdict(&self, _: usize, command: &Command, within: Duration) -> Verdict {
        let size = match command {
            Command::Insert(_, documents) => documents.len(),
            Command::Tails(_, ids) => ids.len(),
            _ => 0,
        };
        self.commands.lock().unwrap().push((size, within));
        self.verdict.unwrap_or(Verdict::Done)
    }

    fn way(&self, by: usize) -> (Duration, Duration) {
        Steady(ONE).way(by)
    }

    fn step(&self) -> Duration {
        Duration::ZERO
    }

    fn replication(&self) -> Duration {
        Duration::ZERO
    }
}

fn joined(weather: &Watched) -> (Simulated, Arc<Joined>, Arc<Life>) {
    let db = Simulated::new(weather.clone());
    let uptime = Arc::new(Virtual(tokio::time::Instant::now()));
    let life = Arc::<Life>::default();
    let inner = Arc::new(db.clone());
    let joined = Joined::new(inner, uptime, Arc::clone(&life), WITHIN, Handle::current());
    (db, Arc::new(joined), life)
}

fn entry(member: &str, seq: i64) -> RawDocumentBuf {
    rawdoc! { "_id": format!("{member} {seq}"), "id": member, "seq": seq }
}

fn insert(db: &Joined, documents: Vec<RawDocumentBuf>) -> crate::db::Reply<Vec<Outcome>> {
    db.insert(Collection::Inboxes, documents, Order::Unordered, WITHIN)
}

#[test]
fn what_comes_at_once_is_one_command_and_each_hears_of_its_own_documents() {
    run(async {
        let weather = Watched::default();
        let (_, db, _) = joined(&weather);
        let calls = (0..100).map(|n| {
            // Every tenth wants a position that the one before has.
            let last = if n % 10 == 9 { n - 1 } else { n };
            insert(&db, vec![entry(&format!("a{last}"), 1), entry(&format!("b{n}"), 1)])
        });
        for (n, outcomes) in join_all(calls).await.into_iter().enumerate() {
            let outcomes = outcomes.unwrap();
            assert_eq!(outcomes.len(), 2);
            assert_eq!(outcomes[1], Outcome::Stored);
            if n % 10 < 8 {
                assert_eq!(outcomes[0], Outcome::Stored, "{n}");
            }
        }
        assert_eq!(weather.sizes(), [200]);
    });
}

#[test]
fn what_comes_while_commands_are_under_way_goes_with_the_next() {
    run(async {
        let weather = Watched::default();
        let (_, db, _) = joined(&weather);
        let mut calls = Vec::new();
        for n in 0..50 {
            calls.push(tokio::spawn(insert(&db, vec![entry(&format!("{n}"), 1)])));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap(), [Outcome::Stored]);
        }
        let sizes = weather.sizes();
        assert_eq!(sizes[..4], [1; 4], "nothing waits for company");
        assert!(sizes.len() < 25, "{sizes:?}");
    });
}

#[test]
fn large_calls_and_those_that_shall_be_alone_go_by_themselves() {
    run(async {
        let weather = Watched::default();
        let (_, db, _) = joined(&weather);
        let large = (0..600).map(|n| entry(&format!("{n}"), 1)).collect();
        let alone =
            |member| db.insert(Collection::Inboxes, vec![entry(member, 1)], Order::Alone, WITHIN);
        let calls =
            vec![insert(&db, large), alone("x"), alone("y"), insert(&db, vec![entry("z", 1)])];
        assert!(join_all(calls).await.iter().all(Result::is_ok));
        let mut sizes = weather.sizes();
        sizes.sort_unstable();
        assert_eq!(sizes, [1, 1, 1, 600]);
        // A thousand are one command, and more are more.
        let small = (0..1_500).map(|n| insert(&db, vec![entry(&format!("{n}"), 2)]));
        assert!(join_all(small).await.iter().all(Result::is_ok));
        assert_eq!(weather.sizes()[4..], [1_000, 500]);
    });
}

#[test]
fn a_call_in_a_hurry_takes_no_time_from_the_others() {
    run(async {
        let weather = Watched::default();
        let (_, db, _) = joined(&weather);
        let short = 2 * ONE;
        let call = |member, within| {
            db.insert(Collection::Inboxes, vec![entry(member, 1)], Order::Unordered, within)
        };
        let calls = [call("a", WITHIN), call("b", short), call("c", WITHIN)];
        assert!(join_all(calls).await.iter().all(Result::is_ok));
        let commands = weather.commands.lock().unwrap().clone();
        assert_eq!(commands, [(1, WITHIN), (1, short), (1, WITHIN)]);
    });
}

#[test]
fn without_a_reply_nobody_knows_and_what_was_not_sent_in_its_time_never_is() {
    run(async {
        let lost = Watched { verdict: Some(Verdict::Unheard), ..Watched::default() };
        let (set, db, _) = joined(&lost);
        let calls = (0..3).map(|n| insert(&db, vec![entry(&format!("{n}"), 1)]));
        assert!(join_all(calls).await.iter().all(Result::is_err));
        assert_eq!(set.all(Collection::Inboxes).len(), 3, "they were stored all the same");

        let weather = Watched::default();
        let (set, db, _) = joined(&weather);
        // The line is dead: commands hang.
        set.cut();
        let mut hanging = Vec::new();
        for n in 0..4 {
            hanging.push(tokio::spawn(insert(&db, vec![entry(&format!("{n}"), 1)])));
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
        }
        let waits = db.insert(Collection::Inboxes, vec![entry("x", 1)], Order::Unordered, ONE);
        assert_eq!(waits.await.unwrap(), [Outcome::Refused], "it is not in doubt");
        for call in hanging {
            assert!(call.await.unwrap().is_err());
        }
    });
}

#[test]
fn nothing_is_sent_once_the_store_has_ended() {
    run(async {
        let weather = Watched::default();
        let (_, db, life) = joined(&weather);
        let call = insert(&db, vec![entry("a", 1)]);
        life.end("a test ends it");
        assert_eq!(call.await.unwrap(), [Outcome::Refused]);
        assert!(weather.sizes().is_empty());
        // Nor does anything hang.
        assert!(db.tails(Collection::Inboxes, vec!["a".into()], WITHIN).await.is_err());
    });
}

#[test]
fn questions_are_joined_and_each_has_its_own_answer() {
    run(async {
        let weather = Watched::default();
        let (set, db, _) = joined(&weather);
        set.put(Collection::History, (1..=3).map(|seq| entry("a", seq)).chain([entry("b", 7)]));
        let ask = |ids: &[&str]| {
            let ids = ids.iter().map(ToString::to_string).collect();
            db.tails(Collection::History, ids, WITHIN).map(|found| {
                let mut found: Vec<(String, u64)> =
                    found.unwrap().into_iter().map(|tail| (tail.id, tail.seq)).collect();
                found.sort_unstable();
                found
            })
        };
        let answers =
            join_all([ask(&["a"]), ask(&["b", "c"]), ask(&["b", "a"]), ask(&["c"])]).await;
        let (a, b) = (("a".to_owned(), 3), ("b".to_owned(), 7));
        assert_eq!(answers, [vec![a.clone()], vec![b.clone()], vec![a, b], vec![]]);
        assert_eq!(weather.sizes(), [3]);
    });
}

#[test]
fn looks_are_joined_and_each_finds_its_own() {
    run(async {
        let weather = Watched::default();
        let (set, db, _) = joined(&weather);
        let id = |n: u8| Binary { subtype: BinarySubtype::Generic, bytes: vec![n] };
        set.put(
            Collection::Inboxes,
            [1, 2].map(|n: u8| rawdoc! { "_id": id(n), "id": "a", "seq": i64::from(n) }),
        );
        let look = |ids: &[u8]| {
            let ids = ids.iter().map(|n| Bson::Binary(id(*n))).collect();
            db.find(Query::Ids { of: Collection::Inboxes, ids, fields: Fields::Head }, WITHIN)
        };
        let found = join_all([look(&[1, 3]), look(&[2]), look(&[3]), look(&[1, 2])]).await;
        let seqs = |found: Vec<RawDocumentBuf>| -> Vec<i64> {
            found.iter().map(|document| document.get_i64("seq").unwrap()).collect()
        };
        let seqs: Vec<Vec<i64>> = found.into_iter().map(|found| seqs(found.unwrap())).collect();
        assert_eq!(seqs, [vec![1], vec![2], vec![], vec![1, 2]]);
        assert_eq!(weather.sizes().len(), 1);
    });
}
