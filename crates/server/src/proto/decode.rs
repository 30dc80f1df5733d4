//! Requests from their bytes. Texts and lists share those bytes instead of copying them.
//!
//! As proto3 wants it: fields in any order, the last of a repeated scalar counts, unknown fields
//! are skipped, every string is UTF-8. A known number with another wire type is an unknown field,
//! as in Go's protobuf; the generated code refuses it.

use bytes::Bytes;
use seqline_core::id::Text;

use super::Malformed;
use super::fields::{Fields, Key};
use crate::convert::{
    GroupHistoryRequest, MemberList, SendGroupRequest, SendRequest, SingleHistoryRequest,
    SyncRequest,
};

/// The key of `SendGroupRequest.group_members`: field 2, with a length.
const MEMBER_KEY: u8 = 0x12;

/// `SendMessageRequest`.
///
/// # Errors
/// If `bytes` are none.
pub fn send(bytes: &Bytes) -> Result<SendRequest, Malformed> {
    let mut request = SendRequest::default();
    let mut fields = Fields::new(bytes);
    while let Some(key) = fields.key()? {
        match key.number {
            1 if key.is_text() => request.from = text(&mut fields, key, bytes)?,
            2 if key.is_text() => request.to = text(&mut fields, key, bytes)?,
            3 if key.is_text() => request.message = text(&mut fields, key, bytes)?,
            _ => fields.skip(key)?,
        }
    }
    Ok(request)
}

/// `SendGroupRequest`.
///
/// # Errors
/// If `bytes` are none.
pub fn send_group(bytes: &Bytes) -> Result<SendGroupRequest, Malformed> {
    let mut request = SendGroupRequest::default();
    let mut spans = Vec::new();
    let mut fields = Fields::new(bytes);
    while let Some(key) = fields.key()? {
        match key.number {
            1 if key.is_text() => request.group_name = text(&mut fields, key, bytes)?,
            2 if key.is_text() => {
                let first = spans.len();
                let start = member(fields.span(key)?, &mut spans)?;
                let mut end = start;
                while let Some(span) = fields.short_span(MEMBER_KEY) {
                    end = member(span, &mut spans)?;
                }
                // One check over the whole run, keys and lengths included, is many times faster
                // than one for each name; it fails only if a name is not ASCII.
                let run = spans[first].0 as usize..end;
                if !bytes[run].is_ascii() {
                    check_utf8(&spans[first..], bytes)?;
                }
            }
            3 if key.is_text() => request.message = text(&mut fields, key, bytes)?,
            _ => fields.skip(key)?,
        }
    }
    if !spans.is_empty() {
        request.group_members = MemberList { text: bytes.clone(), spans };
    }
    Ok(request)
}

/// Notes one member; returns where its id ends.
fn member(
    (start, length): (usize, usize),
    spans: &mut Vec<(u32, u32)>,
) -> Result<usize, Malformed> {
    let narrow = |number| u32::try_from(number).map_err(|_| Malformed);
    spans.push((narrow(start)?, narrow(length)?));
    Ok(start + length)
}

fn check_utf8(spans: &[(u32, u32)], bytes: &Bytes) -> Result<(), Malformed> {
    for &(start, length) in spans {
        let id = &bytes[start as usize..start as usize + length as usize];
        std::str::from_utf8(id).map_err(|_| Malformed)?;
    }
    Ok(())
}

/// `SyncMessageRequest`.
///
/// # Errors
/// If `bytes` are none.
pub fn sync(bytes: &Bytes) -> Result<SyncRequest, Malformed> {
    let mut request = SyncRequest::default();
    let mut fields = Fields::new(bytes);
    while let Some(key) = fields.key()? {
        match key.number {
            1 if key.is_text() => request.member = text(&mut fields, key, bytes)?,
            2 if key.is_integer() => request.last_read = fields.integer(key)?,
            3 if key.is_integer() => request.count = count(&mut fields, key)?,
            _ => fields.skip(key)?,
        }
    }
    Ok(request)
}

/// `GetSingleHistoryMessageRequest`.
///
/// # Errors
/// If `bytes` are none.
pub fn single_history(bytes: &Bytes) -> Result<SingleHistoryRequest, Malformed> {
    let mut request = SingleHistoryRequest::default();
    let mut fields = Fields::new(bytes);
    while let Some(key) = fields.key()? {
        match key.number {
            1 if key.is_text() => request.from = text(&mut fields, key, bytes)?,
            2 if key.is_text() => request.to = text(&mut fields, key, bytes)?,
            3 if key.is_integer() => request.last_read = fields.integer(key)?,
            4 if key.is_integer() => request.count = count(&mut fields, key)?,
            _ => fields.skip(key)?,
        }
    }
    Ok(request)
}

/// `GetGroupHistoryMessageRequest`.
///
/// # Errors
/// If `bytes` are none.
pub fn group_history(bytes: &Bytes) -> Result<GroupHistoryRequest, Malformed> {
    let mut request = GroupHistoryRequest::default();
    let mut fields = Fields::new(bytes);
    while let Some(key) = fields.key()? {
        match key.number {
            1 if key.is_text() => request.group = text(&mut fields, key, bytes)?,
            3 if key.is_integer() => request.last_read = fields.integer(key)?,
            4 if key.is_integer() => request.count = count(&mut fields, key)?,
            _ => fields.skip(key)?,
        }
    }
    Ok(request)
}

fn text(fields: &mut Fields<'_>, key: Key, bytes: &Bytes) -> Result<Text, Malformed> {
    let (start, length) = fields.span(key)?;
    Text::new(bytes.slice(start..start + length)).ok_or(Malformed)
}

/// An `int32`: of a larger number the low 32 bits count, as everywhere in protobuf.
fn count(fields: &mut Fields<'_>, key: Key) -> Result<i32, Malformed> {
    Ok(fields.integer(key)? as i32)
}
