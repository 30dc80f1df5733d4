//! HTTP and gRPC in front of a store: the only place that joins things.
//!
//! Start at [`app::App`], what every handler gets; [`convert`] is the only translator between the
//! wire and the domain.

pub mod app;
pub mod config;
pub mod convert;
pub mod http;
pub mod metrics;
pub mod page;
pub mod requests;
pub mod system;
