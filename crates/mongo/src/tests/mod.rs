//! Tests of the whole store on a simulated database.

mod adoption;
mod aside;
mod checks;
mod contract;
mod costs;
mod lost;
mod reuse;
mod round_trips;
pub(crate) mod scenes;
mod simulation;
mod traces;
mod waiting;
mod walks;
mod wire;
