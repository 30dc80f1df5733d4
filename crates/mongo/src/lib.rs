//! The distributed store on MongoDB: any number of instances, one database.
//!
//! Start at [`store::MongoStore`]. A send goes from its lane (`queue`) to its number (`place`),
//! back over what others left unfinished (`walk`), into the inboxes (`deliver`). [`db`] is the
//! port to a database, [`hints`] the ports to a service beside it that saves time. Nothing here
//! keeps anything of its own but memory that may be lost.

mod aside;
mod bounds;
mod call;
mod care;
pub mod check;
mod claims;
mod counts;
pub mod db;
mod deliver;
mod documents;
mod epoch;
mod exact;
mod heads;
pub mod hints;
mod joined;
mod legacy;
mod life;
mod lookup;
mod marks;
pub mod names;
pub mod options;
mod place;
mod positions;
mod purge;
mod queue;
mod reach;
mod read;
mod reader;
pub mod redis;
mod resume;
pub mod schema;
mod send;
mod shared;
mod shell;
pub mod source;
mod stem;
pub mod store;
mod tails;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod trim;
mod turns;
pub mod uptime;
mod walk;
mod watched;

pub use options::{Options, WeakWrites};
pub use shared::Ports;
pub use store::{MongoStore, OpenError};
