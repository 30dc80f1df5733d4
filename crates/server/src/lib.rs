//! HTTP and gRPC in front of a store: the only place that joins things.
//!
//! Start at [`serve`], which builds a server from its settings; [`app::App`] is what every handler
//! gets; [`convert`] is the only translator between the wire and the domain.

pub mod app;
pub mod config;
mod connection;
pub mod convert;
pub mod grpc;
pub mod health;
pub mod http;
pub mod listener;
pub mod metrics;
pub mod open_store;
pub mod page;
pub mod proto;
pub mod registry;
pub mod requests;
mod runtime;
pub mod serve;
mod shutdown;
pub mod system;
pub mod telemetry;
mod wakes;

#[cfg(test)]
mod tests;
