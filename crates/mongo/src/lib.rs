//! The document shapes of the distributed store on MongoDB.
//!
//! Today this crate holds exactly that and nothing that opens a connection: how go-timeline names
//! collections, fields and timelines, so that its data can be read and kept. [`schema`] is pure.

pub mod schema;
