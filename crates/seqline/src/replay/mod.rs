//! `replay`: real traffic into a running server, and the proof that all of it came out right.
//!
//! [`input`] gives the lines, [`plan`] keeps for each where it stands and what must become of
//! it, [`send`] sends them, [`verify`] reads every timeline back and has [`check`] compare,
//! [`report`] tells. Nothing keeps a message's text in memory: the plan has a place in the file
//! and a hash for each.

mod body;
mod check;
pub mod input;
pub mod plan;
mod progress;
pub mod report;
mod run;
pub mod send;
pub mod synthetic;
pub mod verify;

pub use run::{Replay, Steps};
