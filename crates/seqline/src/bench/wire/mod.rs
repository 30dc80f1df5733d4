//! The client's side of the two protocols, without a socket: bytes to send, answers from bytes.
//!
//! Only what a load needs: requests are encoded beforehand and copied, replies are looked at
//! where they arrive. HTTP/2 follows RFC 9113 as far as a client without push must.

mod frame;
mod hpack;
mod http1;
mod http2;
mod huffman;
mod judge;
mod template;

pub use http1::Http1;
pub use http2::Http2;
pub use judge::Wanted;
pub use template::Template;

use std::time::Instant;

/// The answer to one request.
#[derive(Debug)]
pub struct Answer {
    /// When the request left.
    pub begun: Instant,
    /// Entries in the page that came; 0 for a send. Or why it failed.
    pub outcome: Result<u64, String>,
}

/// What one end of a connection can do.
pub trait Speaker {
    /// What must be sent first.
    fn greet(&mut self, out: &mut Vec<u8>);

    /// Whether another request can leave now.
    fn has_room(&self) -> bool;

    /// Appends one request. Only to be called while there is room.
    fn start(&mut self, template: &Template, serial: u64, now: Instant, out: &mut Vec<u8>);

    /// Takes what came. Answers go to `answers`, bytes that must be sent to `out`. Returns how
    /// many bytes were used; the rest must come again, with more behind it.
    ///
    /// # Errors
    /// Why the connection is of no more use.
    fn receive(
        &mut self,
        bytes: &[u8],
        out: &mut Vec<u8>,
        answers: &mut Vec<Answer>,
    ) -> Result<usize, String>;

    /// Requests without an answer.
    fn in_flight(&self) -> usize;

    /// Whether a new connection is needed once nothing is in flight.
    fn is_retiring(&self) -> bool;

    /// Ends: every request in flight has failed for `reason`.
    fn abandon(&mut self, reason: &str, answers: &mut Vec<Answer>);
}
