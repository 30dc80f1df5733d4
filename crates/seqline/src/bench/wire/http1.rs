//! One HTTP/1.1 connection: a request, its answer, the next request.

use std::time::Instant;

use super::judge::Wanted;
use super::template::Template;
use super::{Answer, Speaker};

/// Most bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Most bytes of an answer that are shown when it is no success.
const SHOWN_BYTES_MAX: usize = 300;

/// One connection.
#[derive(Debug)]
pub struct Http1 {
    wanted: Wanted,
    /// When the request without an answer left.
    begun: Option<Instant>,
    is_retiring: bool,
}

/// The head of an answer.
#[derive(Debug, Default, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Bytes of the head itself.
    bytes: usize,
    /// Length of the body, if it is said.
    length: Option<usize>,
    is_chunked: bool,
    closes: bool,
}

impl Head {
    /// Reads a head; `None` while it is not whole.
    fn read(bytes: &[u8]) -> Result<Option<Head>, String> {
        let strange = || "no HTTP/1.1; is this address a Seqline server?".to_owned();
        let start = &bytes[..bytes.len().min(9)];
        if !b"HTTP/1.1 ".starts_with(start) {
            return Err(strange());
        }
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let Some(end) = end else {
            return if bytes.len() > HEAD_BYTES_MAX { Err(strange()) } else { Ok(None) };
        };
        let text = std::str::from_utf8(&bytes[..end]).map_err(|_| strange())?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.get(9..12)?.parse().ok());
        let mut head =
            Head { status: status.ok_or_else(strange)?, bytes: end + 4, ..Head::default() };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                head.length = Some(value.parse().map_err(|_| strange())?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                head.is_chunked = value.eq_ignore_ascii_case("chunked");
            } else if name.eq_ignore_ascii_case("connection") {
                head.closes = value.eq_ignore_ascii_case("close");
            }
        }
        Ok(Some(head))
    }
}

/// The body in chunks: what it says and how many bytes that took; `None` while it is not whole.
fn chunks(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, String> {
    let strange = || "a body in chunks that cannot be read".to_owned();
    let (mut body, mut rest) = (Vec::new(), bytes);
    loop {
        let Some(line) = rest.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
        let text = std::str::from_utf8(&rest[..line]).map_err(|_| strange())?;
        let size = text.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| strange())?;
        rest = &rest[line + 2..];
        if size == 0 {
            // Trailers, then an empty line.
            while let Some(line) = rest.windows(2).position(|two| two == b"\r\n") {
                rest = &rest[line + 2..];
                if line == 0 {
                    return Ok(Some((body, bytes.len() - rest.len())));
                }
            }
            return Ok(None);
        }
        let whole = size.checked_add(2).ok_or_else(strange)?;
        let Some((chunk, after)) = rest.split_at_checked(whole) else { return Ok(None) };
        body.extend_from_slice(chunk.strip_suffix(b"\r\n").ok_or_else(strange)?);
        rest = after;
    }
}

impl Http1 {
    /// A connection.
    pub fn new(wanted: Wanted) -> Http1 {
        Http1 { wanted, begun: None, is_retiring: false }
    }

    fn answered(&mut self, head: &Head, body: &[u8], answers: &mut Vec<Answer>) {
        self.is_retiring |= head.closes;
        let Some(begun) = self.begun.take() else { return };
        let outcome = match head.status {
            200 => self.wanted.judge_json(body),
            status => {
                let shown = &body[..body.len().min(SHOWN_BYTES_MAX)];
                let shown = String::from_utf8_lossy(shown);
                Err(format!("the server refused: {shown} (HTTP {status})"))
            }
        };
        answers.push(Answer { begun, outcome });
    }
}

impl Speaker for Http1 {
    fn greet(&mut self, _: &mut Vec<u8>) {}

    fn has_room(&self) -> bool {
        self.begun.is_none() && !self.is_retiring
    }

    fn start(&mut self, template: &Template, serial: u64, now: Instant, out: &mut Vec<u8>) {
        template.put(serial, out);
        self.begun = Some(now);
    }

    fn receive(
        &mut self,
        bytes: &[u8],
        _: &mut Vec<u8>,
        answers: &mut Vec<Answer>,
    ) -> Result<usize, String> {
        let Some(head) = Head::read(bytes)? else { return Ok(0) };
        if head.status < 200 {
            return Ok(head.bytes);
        }
        let rest = &bytes[head.bytes..];
        if head.is_chunked {
            let Some((body, taken)) = chunks(rest)? else { return Ok(0) };
            self.answered(&head, &body, answers);
            return Ok(head.bytes + taken);
        }
        let length = head.length.ok_or("an answer whose length is not said")?;
        let Some(body) = rest.get(..length) else { return Ok(0) };
        self.answered(&head, body, answers);
        Ok(head.bytes + length)
    }

    fn in_flight(&self) -> usize {
        usize::from(self.begun.is_some())
    }

    fn is_retiring(&self) -> bool {
        self.is_retiring
    }

    fn abandon(&mut self, reason: &str, answers: &mut Vec<Answer>) {
        if let Some(begun) = self.begun.take() {
            answers.push(Answer { begun, outcome: Err(reason.to_owned()) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Protocol;

    /// The answers to one request when this arrives in pieces of any length.
    #[track_caller]
    fn answers(received: &[u8]) -> Result<Vec<Result<u64, String>>, String> {
        let template = Template::new(&Protocol::Http.send("a", "b", "{}"), "h:1", "");
        let mut all = Vec::new();
        for cut in 0..received.len() {
            let mut http = Http1::new(Wanted::Sequence);
            let (mut out, mut found) = (Vec::new(), Vec::new());
            http.start(&template, 0, Instant::now(), &mut out);
            assert!(!http.has_room());
            let used = http.receive(&received[..cut], &mut out, &mut found)?;
            let used = used + http.receive(&received[used..], &mut out, &mut found)?;
            assert_eq!((used, http.in_flight()), (received.len(), 0));
            all.push(found.into_iter().map(|answer| answer.outcome).collect());
        }
        assert!(all.iter().all(|found| *found == all[0]), "{all:?}");
        Ok(all.remove(0))
    }

    #[test]
    fn an_answer_is_read_however_it_is_cut() {
        let plain = b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"sequence\":\"1\"}";
        assert_eq!(answers(plain), Ok(vec![Ok(0)]));
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
            7;x=y\r\n{\"seque\r\n9\r\nnce\":\"1\"}\r\n0\r\nx: y\r\n\r\n";
        assert_eq!(answers(chunked), Ok(vec![Ok(0)]));
    }

    #[test]
    fn a_refusal_is_a_failure_and_says_why() {
        let refused = b"HTTP/1.1 503 No\r\ncontent-length: 4\r\nconnection: close\r\n\r\nfull";
        let failed = "the server refused: full (HTTP 503)".to_owned();
        assert_eq!(answers(refused), Ok(vec![Err(failed)]));
    }

    #[test]
    fn what_is_no_http_is_told() {
        assert!(answers(b"SSH-2.0-x\r\n").is_err());
        assert!(answers(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(answers(b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n").is_err());
    }
}
