//! Timelines in memory: which are in use, their numbers, and their newest entries.
//!
//! `Table` is shared: callers look their timelines up, the committer publishes, readers read, the
//! keeper takes away what it has put into the index. What the committer alone knows is in
//! `numbers`. What is not in memory is in the index and comes back through `load`.

mod load;
mod names;
mod numbers;
mod slots;
mod table;
mod tail;

pub(crate) use load::{begin, cached_refs, head, load, stored_refs};
pub(crate) use names::Place;
pub(crate) use numbers::{Assigned, Numbers};
pub(crate) use table::{Changes, Inserted, Publication, Table};
pub(crate) use tail::Tail;
