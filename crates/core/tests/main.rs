//! Tests of the domain through its public face, with the reference store behind it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "suite/broken.rs"]
mod broken;
#[path = "suite/broken_reads.rs"]
mod broken_reads;
#[path = "suite/broken_sends.rs"]
mod broken_sends;
#[path = "suite/memory.rs"]
mod memory;
#[path = "suite/mutants.rs"]
mod mutants;
#[path = "suite/service.rs"]
mod service;
