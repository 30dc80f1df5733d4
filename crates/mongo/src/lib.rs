//! The distributed store on MongoDB: any number of instances, one database.
//!
//! [`schema`] says how go-timeline names collections, fields and timelines, so that its data can
//! be read and kept. [`hints`] has the two ports to a service beside the database that saves time.

pub mod hints;
pub mod schema;
