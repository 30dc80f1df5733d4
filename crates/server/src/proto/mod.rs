//! Protobuf of `timeline.v1` by hand: requests borrow from the bytes they came in, replies copy
//! each message once. HTTP uses it for protobuf bodies, gRPC for everything.
//!
//! The tests hold it equal to the generated code.

pub mod decode;
pub mod encode;
mod fields;

#[cfg(test)]
mod tests;

/// The bytes are no message of the expected type: cut off, a wrong wire type, or not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are no valid protobuf message of this type")]
pub struct Malformed;
