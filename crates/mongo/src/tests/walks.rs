//! Walking back, where a single step of it decides.

use std::collections::BTreeMap;
use std::time::Duration;

use seqline_core::store::Store as _;
use tokio::time::Instant;

use super::scenes::{Scene, direct, run};
use crate::call::Call;
use crate::counts::Operation;
use crate::db::Collection;
use crate::db::simulated::{Calm, Simulated};
use crate::documents::Sent;
use crate::options::Options;
use crate::walk;

// A send that had stored its first entry and was still looking for a number for its second waited
// for the first one in vain until its time was up, and had an unknown outcome: own entries 1 and 4
// of which others had made 1 and 2 whole meanwhile, and had stored 3.
#[test]
fn an_own_entry_that_others_made_whole_meanwhile_is_not_waited_for() {
    run(async {
        let scene = Scene::new(Simulated::new(Calm));
        let unmarked = Options { mark_interval: Duration::from_secs(3_600), ..Options::default() };
        let one = scene.open(0, unmarked.clone()).await;
        let other = scene.open(1, unmarked).await;
        for id in 1..=4 {
            other.append(direct(id, "ann", "ben")).await.unwrap();
        }
        let documents = scene.db.all(Collection::History);
        let sent: Vec<Sent> = documents.iter().map(|d| Sent::read(d).unwrap()).collect();
        let own = |sent: &&Sent| [1, 4].contains(&sent.seq);
        let own: BTreeMap<u64, &Sent> = sent.iter().filter(own).map(|s| (s.seq, s)).collect();
        let id = "seq:ann:ben";
        one.shared.tails.know_whole(id, 2);
        let begin = Instant::now();
        let call = Call::new(&one.shared, Operation::Send);
        let places = walk::make_whole(&call, id, &own, 4).await.expect("there is time");
        assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
        assert!(places.keys().eq(&[3, 4]), "{places:?}");
    });
}
