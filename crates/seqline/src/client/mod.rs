//! The client side: one connection to a running server, over gRPC or HTTP.
//!
//! [`Endpoint`] says where the server is, [`Protocol`] makes requests in its wire form, a
//! [`Client`] sends them, a [`Reply`] is read in place. Requests can be made once and sent many
//! times, and replies are never copied entry by entry: `replay` and `bench` live on that.

mod connection;
mod endpoint;
mod failure;
mod grpc;
mod http;
mod pool;
mod reply;
mod request;
mod wire;

pub use connection::Client;
pub use endpoint::{Endpoint, Protocol, Target, parse_http};
pub use failure::Failure;
pub use http::Http;
pub use pool::Pool;
pub use reply::{Entry, Page, Reply};
pub use request::{GroupSend, Request, Timeline};
