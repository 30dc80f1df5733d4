//! What tests of every store share: the contract suite and a plain reference store.

pub mod contract;
pub mod memory;
