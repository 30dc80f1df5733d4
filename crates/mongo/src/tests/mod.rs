//! Tests of the whole store on a simulated database.

mod contract;
mod instances;
mod simulation;
