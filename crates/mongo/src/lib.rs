//! The distributed store on MongoDB: any number of instances, one database.
//!
//! [`schema`] says how go-timeline names collections, fields and timelines, so that its data can
//! be read and kept. [`hints`] has the two ports to a service beside the database that saves time,
//! and [`redis`] is one.

pub mod hints;
pub mod redis;
pub mod schema;
