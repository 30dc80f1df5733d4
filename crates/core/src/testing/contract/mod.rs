//! The contract suite: the promises of the [`Store`](crate::store::Store) port, attacked.
//!
//! A store's tests implement [`Subject`] and write `contract_tests!(make_subject)`, which lists
//! every case as a test of its own; [`run`] does all of them in one. Each case begins with a new,
//! empty subject, opens it as often as it likes, and panics at the first broken promise.

mod cases;
mod crowd;
mod follow;
mod random;
mod scene;
mod subject;
mod verify;

mod all_or_nothing;
mod byte_exact;
mod close;
mod contiguous;
mod durable;
mod exactly_once;
mod honest_positions;
mod ids;
mod one_order;
mod overtaking;
mod reads;
mod trim;
mod watch;

pub use cases::{CASES, Case, run, run_named};
pub use scene::{End, Scene, whole};
pub use subject::Subject;
