//! The only translator between the wire and the domain, for HTTP and gRPC alike.
//!
//! A decoder of either protocol makes a [`request`]; its `checked` gives the arguments of one
//! call of the service; [`reply`] and [`status`] turn the answer into what the wire carries.

pub mod reply;
pub mod request;
pub mod status;

pub use request::{
    GroupHistoryRequest, MemberList, SendGroupRequest, SendRequest, SingleHistoryRequest,
    SyncRequest, idempotency_key,
};
pub use status::Status;
