//! Tests of the domain through its public face, with the reference store behind it.

#[path = "suite/memory.rs"]
mod memory;
