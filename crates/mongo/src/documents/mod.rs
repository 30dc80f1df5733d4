//! The documents: what stands in which field, and how it is read back.
//!
//! Beside go-timeline's `id`, `seq` and `message` stand the fields below. A document without them
//! is one of go-timeline's: its `message` is all there is of it, and it was whole ever since.
//!
//! | field | in | what |
//! |---|---|---|
//! | `_id` | both | binary: the [`Stem`]; in an inbox the message's id and the member |
//! | `raw` | both | the exact text, where `message` does not give it back |
//! | `mid` | history | the message's id, 16 bytes, where it is not the `_id` |
//! | `key` | inbox | the [`Stem`], where it is not the message's id |
//! | `at` | both | when the message was taken in |
//! | `from` | both | who sent it, if the caller said |
//! | `conv`, `cseq` | inbox | its conversation's `id`, and its position there |
//! | `rcpt` | history | whom it is still to be delivered to; gone once it is whole |
//! | `pend` | history | since when it is to be delivered; gone once it is whole |
//! | `whole` | history | since when it is known that everybody has it |
//! | `digest` | history | of the payload, if it has an idempotency key |
//! | `to` | history | the last recipient, likewise: a repeat's answer names its position |
//! | `again` | history | the key's window was over and it was, or will be, used again |

mod history;
mod inbox;

pub(crate) use history::{Draft, Head, Sent, entry as history_entry};
pub(crate) use inbox::{document as inbox_document, entry as inbox_entry};

use mongodb::bson::raw::{CStr, RawDocument, cstr};
use mongodb::bson::{Binary, Bson, DateTime, RawBsonRef};
use seqline_core::clock::UnixMillis;
use sha2::{Digest as _, Sha256};

use crate::stem::{Stem, first_bits};

pub(crate) const ID: &CStr = cstr!("_id");
pub(crate) const TIMELINE: &CStr = cstr!("id");
pub(crate) const SEQ: &CStr = cstr!("seq");
pub(crate) const MESSAGE: &CStr = cstr!("message");
pub(crate) const RAW: &CStr = cstr!("raw");
pub(crate) const MESSAGE_ID: &CStr = cstr!("mid");
pub(crate) const KEY: &CStr = cstr!("key");
pub(crate) const AT: &CStr = cstr!("at");
pub(crate) const FROM: &CStr = cstr!("from");
pub(crate) const CONVERSATION: &CStr = cstr!("conv");
pub(crate) const CONVERSATION_SEQ: &CStr = cstr!("cseq");
pub(crate) const RECIPIENTS: &CStr = cstr!("rcpt");
pub(crate) const PENDING: &CStr = cstr!("pend");
pub(crate) const WHOLE: &CStr = cstr!("whole");
pub(crate) const DIGEST: &CStr = cstr!("digest");
pub(crate) const LAST: &CStr = cstr!("to");
pub(crate) const AGAIN: &CStr = cstr!("again");

/// A time as MongoDB keeps it.
pub(crate) fn time(at: UnixMillis) -> DateTime {
    DateTime::from_millis(i64::try_from(at.0).unwrap_or(i64::MAX))
}

/// The time that [`time`] made.
pub(crate) fn millis(time: DateTime) -> UnixMillis {
    UnixMillis(u64::try_from(time.timestamp_millis()).unwrap_or(0))
}

/// A number of 64 bits as MongoDB keeps it.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The field `name` if it is there and not null.
pub(crate) fn field<'a>(document: &'a RawDocument, name: &CStr) -> Option<RawBsonRef<'a>> {
    document.get(name.as_str()).ok().flatten().filter(|value| !matches!(value, RawBsonRef::Null))
}

/// The highest position of an entry. Far below the largest number that MongoDB keeps, so that
/// counting on from it ends in an error and not in a number that nobody finds.
pub(crate) const SEQ_MAX: u64 = 1 << 62;

/// The position of an entry; `None` if its `seq` is no whole number from 1 to [`SEQ_MAX`].
pub(crate) fn position(document: &RawDocument) -> Option<u64> {
    number(document, SEQ).filter(|seq| (1..=SEQ_MAX).contains(seq))
}

/// A whole number, however it is kept: shells and other programs write doubles.
pub(crate) fn number(document: &RawDocument, name: &CStr) -> Option<u64> {
    match field(document, name)? {
        RawBsonRef::Int64(number) => u64::try_from(number).ok(),
        RawBsonRef::Int32(number) => u64::try_from(number).ok(),
        RawBsonRef::Double(number) if number >= 0.0 && number.fract() == 0.0 => Some(number as u64),
        _ => None,
    }
}

pub(crate) fn string<'a>(document: &'a RawDocument, name: &CStr) -> Option<&'a str> {
    field(document, name)?.as_str()
}

pub(crate) fn when(document: &RawDocument, name: &CStr) -> Option<UnixMillis> {
    field(document, name)?.as_datetime().map(millis)
}

fn bytes<'a>(document: &'a RawDocument, name: &CStr) -> Option<&'a [u8]> {
    match field(document, name)? {
        RawBsonRef::Binary(binary) => Some(binary.bytes),
        _ => None,
    }
}

/// The `_id` of the message in its conversation; `None` for a document of go-timeline's.
pub(crate) fn stem(document: &RawDocument) -> Option<Stem> {
    if let Some(stem) = bytes(document, KEY) {
        return stem.try_into().ok().map(Stem);
    }
    first_bits(field(document, ID)?).map(Stem)
}

/// When a document was made: by its own word, or by its `ObjectId`.
pub(crate) fn made_at(document: &RawDocument) -> UnixMillis {
    made_at_by(when(document, AT), field(document, ID))
}

/// The same of a document of which no more is known than its `at` and its `_id`.
pub(crate) fn made_at_by(at: Option<UnixMillis>, id: Option<RawBsonRef<'_>>) -> UnixMillis {
    at.unwrap_or_else(|| match id {
        Some(RawBsonRef::ObjectId(id)) => millis(id.timestamp()),
        _ => UnixMillis(0),
    })
}

/// A message's id, or one that says when and which for a document of go-timeline's: its
/// `ObjectId`'s seconds and its last eight bytes; a hash of an `_id` of any other type, which
/// other programs gave it.
pub(crate) fn message_id(document: &RawDocument) -> Option<u128> {
    if let Some(id) = bytes(document, MESSAGE_ID) {
        return Some(u128::from_be_bytes(id.try_into().ok()?));
    }
    let id = field(document, ID)?;
    if let Some(bits) = first_bits(id) {
        return Some(u128::from_be_bytes(bits));
    }
    let RawBsonRef::ObjectId(id) = id else {
        let text = Bson::try_from(id).ok()?.to_string();
        let hash: [u8; 32] = Sha256::digest(text).into();
        return Some(u128::from_be_bytes(*hash.first_chunk()?));
    };
    let last: [u8; 8] = id.bytes()[4..].try_into().ok()?;
    Some(u128::from(millis(id.timestamp()).0) << 80 | u128::from(u64::from_be_bytes(last)))
}

/// The text of the message. go-timeline leaves `message` out where it was `{}` or `null`.
pub(crate) fn exact_text(document: &RawDocument) -> Result<String, String> {
    if let Some(raw) = string(document, RAW) {
        return Ok(raw.to_owned());
    }
    match field(document, MESSAGE) {
        None => Ok("{}".to_owned()),
        Some(RawBsonRef::Document(message)) if stem(document).is_some() => {
            crate::exact::text(message)
        }
        Some(message) => {
            let message = Bson::try_from(message).map_err(|e| e.to_string())?;
            Ok(crate::legacy::text(&message))
        }
    }
}

fn binary(bytes: &[u8]) -> Binary {
    Binary { subtype: mongodb::bson::spec::BinarySubtype::Generic, bytes: bytes.to_vec() }
}
