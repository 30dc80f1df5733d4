//! For tests of the store on any database: several instances that are opened, killed and opened
//! again. Not part of a release.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails, with the place")]

mod instances;
mod line;
mod party;

pub use instances::Instances;
