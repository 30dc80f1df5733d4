//! Codecs of requests and replies: which one a header asks for, and decoding by it.
//!
//! A request type lists its fields once, as [`Fields`]; every codec fills it from that list.

pub mod fields;
pub mod form;
pub mod integer;
pub mod json;
pub mod reply;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName};

use self::fields::Fields;
use crate::convert::Status;

/// Longest text of an error: it may quote what the client sent, which may be megabytes.
const ERROR_BYTES_MAX: usize = 1_024;

/// How a request body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyCodec {
    /// proto-JSON.
    Json,
    /// Protobuf.
    Proto,
    /// `application/x-www-form-urlencoded`.
    Form,
}

impl BodyCodec {
    /// The codec of the first `Content-Type` line that names a known one. Only the text between
    /// the first slash and the first semicolon counts, and case matters, as in go-timeline.
    ///
    /// # Errors
    /// If there is none.
    pub fn of(headers: &HeaderMap) -> Result<BodyCodec, Status> {
        let known = subtypes(headers, CONTENT_TYPE).find_map(|subtype| match subtype {
            b"json" | b"protojson" => Some(BodyCodec::Json),
            b"proto" | b"x-protobuf" => Some(BodyCodec::Proto),
            b"x-www-form-urlencoded" => Some(BodyCodec::Form),
            _ => None,
        });
        known.ok_or_else(|| {
            let line = headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
            error(format!("unregister Content-Type: {}", String::from_utf8_lossy(line)))
        })
    }

    /// Decodes a request. An empty body is a request without any field.
    ///
    /// # Errors
    /// If the body is not what the codec says.
    pub fn decode<T: Fields>(self, body: &Bytes) -> Result<T, Status> {
        if body.is_empty() {
            return Ok(T::default());
        }
        let decoded = match self {
            BodyCodec::Json => json::decode(body),
            BodyCodec::Proto => T::from_proto(body).map_err(|e| e.to_string()),
            BodyCodec::Form => form::decode_body(body),
        };
        decoded.map_err(|text| error(format!("body unmarshal {text}")))
    }
}

/// How a reply is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyCodec {
    /// proto-JSON with every field present.
    Json,
    /// The same under the name newer kratos clients ask for.
    ProtoJson,
    /// Protobuf.
    Proto,
}

impl ReplyCodec {
    /// The codec of the first `Accept` line that names a known one, else JSON. Each line is read
    /// as a whole, like a `Content-Type`, so a list of types means JSON.
    pub fn of(headers: &HeaderMap) -> ReplyCodec {
        let known = subtypes(headers, ACCEPT).find_map(|subtype| match subtype {
            b"json" => Some(ReplyCodec::Json),
            b"protojson" => Some(ReplyCodec::ProtoJson),
            b"proto" => Some(ReplyCodec::Proto),
            _ => None,
        });
        known.unwrap_or(ReplyCodec::Json)
    }

    /// The `Content-Type` of replies.
    pub fn content_type(self) -> &'static str {
        match self {
            ReplyCodec::Json => "application/json",
            ReplyCodec::ProtoJson => "application/protojson",
            ReplyCodec::Proto => "application/proto",
        }
    }
}

/// A refusal of something that cannot be decoded, its text cut to a length worth reading.
pub fn error(mut text: String) -> Status {
    if text.len() > ERROR_BYTES_MAX {
        let end = (0..=ERROR_BYTES_MAX).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
    Status::codec(text)
}

fn subtypes(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &[u8]> {
    headers.get_all(name).into_iter().filter_map(|value| {
        let (_, after) = split(value.as_bytes(), b'/')?;
        Some(split(after, b';').map_or(after, |(subtype, _)| subtype))
    })
}

/// What stands before and after the first `separator`.
pub fn split(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == separator)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::SendRequest;

    fn headers(name: &HeaderName, lines: &[&'static str]) -> HeaderMap {
        lines.iter().map(|line| (name.clone(), http::HeaderValue::from_static(line))).collect()
    }

    #[track_caller]
    fn check_body(lines: &[&'static str], wanted: Option<BodyCodec>) {
        assert_eq!(BodyCodec::of(&headers(&CONTENT_TYPE, lines)).ok(), wanted, "{lines:?}");
    }

    #[test]
    fn the_body_codec_is_the_text_between_slash_and_semicolon() {
        for line in ["application/json", "text/json; charset=gbk", "/json", "x/protojson;"] {
            check_body(&[line], Some(BodyCodec::Json));
        }
        for line in ["application/proto;q=0.5", "application/x-protobuf"] {
            check_body(&[line], Some(BodyCodec::Proto));
        }
        check_body(&["application/x-www-form-urlencoded"], Some(BodyCodec::Form));
        for line in ["", "json", "application/JSON", "text/plain", "application/json , x", "*/*"] {
            check_body(&[line], None);
        }
        check_body(&["text/plain", "application/proto"], Some(BodyCodec::Proto));
        check_body(&[], None);
    }

    #[test]
    fn the_reply_codec_is_json_unless_a_line_asks_for_another_alone() {
        let check = |lines: &[&'static str], wanted| {
            assert_eq!(ReplyCodec::of(&headers(&ACCEPT, lines)), wanted, "{lines:?}");
        };
        check(&[], ReplyCodec::Json);
        check(&["application/proto, application/json"], ReplyCodec::Json);
        check(&["application/x-protobuf"], ReplyCodec::Json);
        check(&["text/html", "application/proto;q=0.5"], ReplyCodec::Proto);
        check(&["application/protojson"], ReplyCodec::ProtoJson);
    }

    #[test]
    fn an_error_never_quotes_megabytes() {
        let body = Bytes::from(format!("[\"{}\"]", "吃".repeat(1 << 20)));
        for codec in [BodyCodec::Json, BodyCodec::Proto, BodyCodec::Form] {
            let decoded = codec.decode::<SendRequest>(&body);
            assert!(decoded.map_or_else(|s| s.message.len(), |_| 0) < 2 * ERROR_BYTES_MAX);
        }
    }
}
