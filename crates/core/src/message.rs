//! Messages: what a sender hands over and what is kept of it.
//!
//! A body is a JSON object kept as the exact text it came in; nothing ever re-writes it.

use bytes::Bytes;

use crate::clock::UnixMillis;
use crate::error::{Error, Result};
use crate::id::{ConversationId, MemberId, MessageId, Text};
use crate::seq::Seq;

/// The text of a message: a JSON object, byte for byte as the sender wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body(Text);

impl Body {
    /// Checks that `text` is one JSON object of at most `bytes_max` bytes. Numbers beyond
    /// `float64`, escaped NULs, escaped lone surrogates, repeated keys and any depth are fine:
    /// nothing is decoded, so nothing can be lost.
    ///
    /// # Errors
    /// [`Error::TooLarge`] past `bytes_max`, [`Error::Invalid`] if it is no JSON object.
    pub fn new(text: impl Into<Text>, bytes_max: usize) -> Result<Body> {
        let text = text.into();
        let actual = text.as_bytes().len();
        if actual > bytes_max {
            return Err(Error::TooLarge {
                field: "message",
                limit: "message_bytes_max",
                max: bytes_max,
                actual,
                unit: "bytes",
            });
        }
        let start = text.as_bytes().iter().find(|b| !b" \t\r\n".contains(b));
        if start != Some(&b'{') {
            return Err(Error::invalid("message", "it is not a JSON object"));
        }
        serde_json::from_slice::<serde::de::IgnoredAny>(text.as_bytes())
            .map_err(|e| Error::invalid("message", format!("it is not valid JSON: {e}")))?;
        Ok(Body(text))
    }

    /// A body read back from a store, checked when it went in; `None` if it is not UTF-8.
    pub fn from_stored(bytes: Bytes) -> Option<Body> {
        Text::new(bytes).map(Body)
    }

    /// The exact text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The exact text's bytes, without checking again that they are text.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The exact text's bytes, shared.
    pub fn bytes(&self) -> Bytes {
        self.0.bytes()
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.as_bytes().len()
    }

    /// Never true: the shortest body is `{}`.
    pub fn is_empty(&self) -> bool {
        false
    }
}

/// One message as it is kept, once, in its conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Names the message for ever.
    pub id: MessageId,
    /// The conversation it belongs to.
    pub conversation: ConversationId,
    /// Its position there.
    pub seq: Seq,
    /// Who sent it; a `timeline.v1` group send does not say.
    pub sender: Option<MemberId>,
    /// When the server took it in. Never less than that of the message before it.
    pub at: UnixMillis,
    /// The exact text.
    pub body: Body,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, valid: bool) {
        assert_eq!(Body::new(text, 1 << 20).is_ok(), valid, "{text:.80}");
    }

    #[test]
    fn a_body_is_exactly_one_json_object() {
        for text in ["{}", " \n{\"a\": 1}\t", "{\"a\":1,\"a\":2}", "{\"n\":1e400}"] {
            check(text, true);
        }
        for text in [r#"{"a\u0000":"\ud800"}"#, r#"{"n":123456789012345678901234567890}"#] {
            check(text, true);
        }
        for text in ["", " ", "null", "[]", "1", "\"a\"", "{", "{}{}", "{\"a\":}", "{'a':1}"] {
            check(text, false);
        }
        for text in ["\u{feff}{}", "{\"a\":\"\n\"}", "{\"a\":01}", "{\"a\":1,}", r#"{"a":"\x"}"#] {
            check(text, false);
        }
    }

    #[test]
    fn deep_nesting_is_checked_without_deep_recursion() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        check(&deep, true);
        check(&"[".repeat(1_000_000), false);
        check(&"{\"a\":".repeat(200_000), false);
    }

    #[test]
    fn a_body_past_the_limit_names_the_limit() {
        let error = Body::new("{\"a\":\"吃\"}", 8).unwrap_err();
        assert_eq!(
            error.to_string(),
            "message has 11 bytes, more than the 8 that message_bytes_max allows"
        );
    }
}
