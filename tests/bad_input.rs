//! Bad input of every kind against a real server: refused as documented, nothing stored, no number
//! lost, the process unharmed.

mod addresses;
mod framing;
mod grpc;
mod http;
mod victim;
