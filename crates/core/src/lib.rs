//! The domain of Seqline: what a timeline is and what every store promises.
//!
//! Start at [`service::Timelines`], the calls a back end makes, then [`store::Store`], the port
//! behind it. Nothing here knows a network, a disk, a wire type or a clock of its own.

pub mod clock;
pub mod error;
pub mod fanout;
pub mod id;
pub mod limits;
pub mod message;
pub mod page;
pub mod seq;
pub mod service;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
pub mod watch;

pub use error::{Error, Result};
