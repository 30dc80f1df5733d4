//! Redis beside the database: dated tails of inboxes, and word that timelines have grown.
//!
//! Start at [`Redis::start`]. Redis may be absent, dead, paused, emptied or restarted, and may
//! have kept old values; that costs time and nothing else. Hence the rules of this folder:
//! * a call waits for one short deadline at most, and for nothing at all while Redis is known
//!   not to answer ([`link`]);
//! * a value is used only if its check says that it was written for just this key ([`hint`]);
//! * what waits to be written is bounded and dropped first ([`pending`]);
//! * whoever may have missed a notice is told so ([`writer`], [`listener`]).
//!
//! It knows nothing of MongoDB. One Redis (or one name in front of several) is meant, not a Redis
//! Cluster, which spreads keys that are asked for at once.

mod client;
mod figures;
mod hint;
mod link;
mod listener;
mod notice;
mod pending;
mod settings;
mod writer;

pub use client::{Listening, Redis};
pub use listener::Grown;
pub use settings::{Settings, SettingsError};
