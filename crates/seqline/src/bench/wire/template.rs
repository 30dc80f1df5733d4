//! Requests encoded beforehand, each with a place for a number that makes its message unique.

use std::ops::Range;

use crate::client::Request;

/// Digits of the number, at most.
const SERIAL_DIGITS: usize = 16;
/// Stands for the number until the request is sent; ids and texts here have no such sign.
const PLACEHOLDER: &str = "~~~~~~~~~~~~~~~~";

/// One request: for gRPC the framed message, for HTTP everything.
#[derive(Clone, Debug)]
pub struct Template {
    /// What is sent.
    pub bytes: Vec<u8>,
    /// Where the number stands.
    serial: Range<usize>,
}

impl Template {
    /// A message of exactly `length` bytes that begins with the place for the number, as far as
    /// there is room for one. `filler` makes the rest.
    pub fn message(length: usize, mut filler: impl FnMut() -> char) -> String {
        let text = length.saturating_sub("{\"text\":\"\"}".len());
        let digits = text.min(SERIAL_DIGITS);
        let rest: String = (digits..text).map(|_| filler()).collect();
        format!("{{\"text\":\"{}{rest}\"}}", &PLACEHOLDER[..digits])
    }

    /// `request` to the server `authority`.
    pub fn new(request: &Request, authority: &str, base_path: &str) -> Template {
        let bytes = match request {
            Request::Grpc { body, .. } => body.to_vec(),
            Request::Http { target, body } => {
                let method = if body.is_some() { "POST" } else { "GET" };
                let body = body.as_deref().unwrap_or_default();
                let head = format!(
                    "{method} {base_path}{target} HTTP/1.1\r\nhost: {authority}\r\n\
                     content-type: application/json\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                [head.as_bytes(), body].concat()
            }
        };
        let sign = |byte: &u8| PLACEHOLDER.as_bytes().contains(byte);
        let start = bytes.iter().rposition(sign).map_or(0, |last| {
            let before = bytes[..last].iter().rposition(|byte| !sign(byte));
            before.map_or(0, |before| before + 1).max((last + 1).saturating_sub(SERIAL_DIGITS))
        });
        let length = bytes[start..].iter().take_while(|byte| sign(byte)).count();
        Template { serial: start..start + length, bytes }
    }

    /// Appends the request with the low digits of `serial` in it.
    pub fn put(&self, mut serial: u64, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        for place in self.serial.clone().rev() {
            out[start + place] = b"0123456789abcdef"[(serial & 15) as usize];
            serial >>= 4;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Protocol;

    fn put(template: &Template, serial: u64) -> String {
        let mut out = Vec::new();
        template.put(serial, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn every_request_sent_has_another_message_of_the_length_asked_for() {
        for (length, first) in [(200, "00000000000000ab"), (15, "00ab"), (12, "b"), (11, "")] {
            let message = Template::message(length, || 'x');
            assert_eq!(message.len(), length);
            for protocol in [Protocol::Grpc, Protocol::Http] {
                let template = Template::new(&protocol.send("a", "b", &message), "h:1", "");
                let sent = put(&template, 0xab);
                assert!(sent.contains(first), "{sent}");
                assert!(!sent.contains('~'), "{sent}");
                assert_eq!(sent.len(), put(&template, u64::MAX).len());
            }
        }
    }

    #[test]
    fn an_http_request_is_whole() {
        let request = Protocol::Http.send("a", "b", "{}");
        let sent = put(&Template::new(&request, "h:1", "/base"), 0);
        let (head, body) = sent.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /base/timeline/send HTTP/1.1\r\nhost: h:1\r\n"), "{head}");
        assert!(head.ends_with(&format!("content-length: {}", body.len())), "{head}");
    }
}
