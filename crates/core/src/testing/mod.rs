//! What tests of every store share: the contract suite, a model and a plain reference store.

pub mod contract;
pub mod memory;
pub mod model;
