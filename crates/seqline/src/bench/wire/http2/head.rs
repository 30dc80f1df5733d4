//! The headers of requests, which are the same for all calls of a connection.

use super::super::hpack;

/// The headers of a request: once with names and values, from then on as numbers.
#[derive(Debug)]
pub struct RequestHead {
    path: String,
    authority: String,
    /// For the next request.
    pub next: Vec<u8>,
    /// For those after it.
    pub later: Vec<u8>,
}

impl RequestHead {
    /// For calls of `method`; see [`RequestHead::prepare`].
    pub fn new(method: &str, authority: &str) -> RequestHead {
        let path = format!("/timeline.v1.Timeline/{method}");
        RequestHead { path, authority: authority.into(), next: Vec::new(), later: Vec::new() }
    }

    /// Makes the blocks. The server's table must have room for four entries to be used.
    pub fn prepare(&mut self, table_bytes: usize) {
        let (path, authority) = (self.path.as_str(), self.authority.as_str());
        let headers = [
            (4, ":path", path),
            (1, ":authority", authority),
            (31, "content-type", "application/grpc"),
            (0, "te", "trailers"),
        ];
        // POST and http, which have numbers beforehand.
        let start = vec![0x83, 0x86];
        (self.next, self.later) = (start.clone(), start);
        if headers.iter().map(|(_, name, value)| name.len() + value.len() + 32).sum::<usize>()
            <= table_bytes
        {
            for (index, name, value) in headers {
                hpack::put_indexed(&mut self.next, index, name, value);
            }
            // The newest entry has the number 62.
            self.later.extend([0x80 | 65, 0x80 | 64, 0x80 | 63, 0x80 | 62]);
        } else {
            for (index, name, value) in headers {
                hpack::put_plain(&mut self.later, index, name, value);
            }
            // The table becomes empty first, as a smaller one must be acknowledged.
            self.next = [&[0x20], self.later.as_slice()].concat();
        }
    }
}
