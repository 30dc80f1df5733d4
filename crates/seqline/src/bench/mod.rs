//! `bench`: how much a running server does, and how long each answer takes.
//!
//! A closed loop: each worker sends its next request when the last one is answered. Requests are
//! made beforehand ([`load`]) and replies hardly read, so that the client takes little from the
//! server beside it; what it takes is in the [`report`]. The first second is not counted.

mod latency;
mod load;
mod report;
mod run;

pub use load::{Mode, Settings};
pub use run::bench;
