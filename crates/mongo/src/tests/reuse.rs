//! Stories about what is used twice: the `_id` of a key that came free, and a tail that was known
//! before. A number and a place in an inbox never are. Each is a trace of the model in `model/`.

use std::time::Duration;

use seqline_core::seq::Seq;
use seqline_core::store::Store as _;

use super::scenes::{Scene, direct, ids, inbox, run};
use crate::db::Collection;
use crate::db::simulated::{Calm, Simulated};
use crate::options::Options;

/// Long enough for an instance to delete what may go.
const CARE: Duration = Duration::from_secs(40);

fn grace() -> u64 {
    u64::try_from(Options::default().grace.as_millis()).unwrap()
}

#[test]
fn a_tail_that_memory_has_no_room_for_is_not_taken_as_nothing() {
    // A tail that was lost between finding it out and its use counted as 0; with the first entry
    // deleted, its number was used twice, below the floor.
    run(async {
        let scene = Scene::new(Simulated::new(Calm));
        let forgetful = Options { tails_max: 1, ..Options::default() };
        let store = scene.open(0, forgetful).await;
        for id in 1..=3 {
            store.append(direct(id, "a", "b")).await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        for member in ["a", "b"] {
            store.trim(inbox(member), Seq::new(2)).await.unwrap();
        }
        scene.clock.advance(2 * grace());
        tokio::time::sleep(CARE).await;
        assert_eq!(scene.db.all(Collection::Inboxes).len(), 2, "what is below the floors is gone");
        for id in 4..=5 {
            let receipt = store.append(direct(id, "a", "b")).await.unwrap();
            assert_eq!(u128::from(receipt.receiver_seq.get()), id);
        }
        for member in ["a", "b"] {
            assert_eq!(ids(&store, &inbox(member)).await, [3, 4, 5]);
        }
    });
}
