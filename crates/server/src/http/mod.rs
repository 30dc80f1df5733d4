//! HTTP: the calls of `timeline.v1`, what operators ask, and the web page.

pub mod body;
pub mod codec;
pub mod cors;
pub mod ops;
pub mod path;
pub mod router;
pub mod timeline;

#[cfg(test)]
mod tests;

pub use router::router;
