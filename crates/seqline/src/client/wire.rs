//! The few protobuf pieces that are written and read by hand, so that a page of a thousand
//! entries is read where it lies.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use prost::encoding::{decode_varint, encode_varint, encoded_len_varint};

use super::reply::Page;
use super::{Entry, Failure};

/// Bytes before a gRPC message: a flag and the length.
pub const FRAME_HEAD_BYTES: usize = 5;

/// Appends a string field.
pub fn put_text(buffer: &mut BytesMut, field: u32, text: &[u8]) {
    encode_varint(u64::from(field << 3 | 2), buffer);
    encode_varint(text.len() as u64, buffer);
    buffer.put_slice(text);
}

/// Appends an integer field.
pub fn put_number(buffer: &mut BytesMut, field: u32, number: u64) {
    if number != 0 {
        encode_varint(u64::from(field << 3), buffer);
        encode_varint(number, buffer);
    }
}

/// How many bytes [`put_text`] adds.
pub fn text_bytes(field: u32, length: usize) -> usize {
    encoded_len_varint(u64::from(field << 3)) + encoded_len_varint(length as u64) + length
}

/// A gRPC message frame, uncompressed, around what `fill` writes.
pub fn frame(capacity: usize, fill: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut buffer = BytesMut::with_capacity(FRAME_HEAD_BYTES + capacity);
    buffer.put_bytes(0, FRAME_HEAD_BYTES);
    fill(&mut buffer);
    let length = u32::try_from(buffer.len() - FRAME_HEAD_BYTES).unwrap_or(u32::MAX);
    buffer[1..FRAME_HEAD_BYTES].copy_from_slice(&length.to_be_bytes());
    buffer.freeze()
}

/// One field: its number and what it holds.
enum Value<'a> {
    Number(u64),
    Text(&'a [u8]),
    Other,
}

/// Takes the next field off `rest`.
fn field<'a>(rest: &mut &'a [u8]) -> Result<(u64, Value<'a>), Failure> {
    let broken = |_| Failure::Strange("a broken protobuf number".to_owned());
    let key = decode_varint(rest).map_err(broken)?;
    let value = match key & 7 {
        0 => Value::Number(decode_varint(rest).map_err(broken)?),
        2 => {
            let length = decode_varint(rest).map_err(broken)?;
            Value::Text(take(rest, length)?)
        }
        1 => take(rest, 8).map(|_| Value::Other)?,
        5 => take(rest, 4).map(|_| Value::Other)?,
        kind => return Err(Failure::Strange(format!("a protobuf field of kind {kind}"))),
    };
    Ok((key >> 3, value))
}

fn take<'a>(rest: &mut &'a [u8], length: u64) -> Result<&'a [u8], Failure> {
    let length = usize::try_from(length).ok().filter(|length| *length <= rest.len());
    let Some(length) = length else {
        return Err(Failure::Strange("a protobuf field longer than the reply".to_owned()));
    };
    let (taken, _) = rest.split_at(length);
    rest.advance(length);
    Ok(taken)
}

/// The fields of a reply that are numbers or texts.
fn fields<'a>(
    mut rest: &'a [u8],
    mut each: impl FnMut(u64, Value<'a>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    while !rest.is_empty() {
        let (number, value) = field(&mut rest)?;
        each(number, value)?;
    }
    Ok(())
}

/// A page of entries. `entries` is the number of the field that holds them; a history reply has
/// them in field 1, where a sync reply has its position.
pub fn page(message: &[u8], entries: u64) -> Result<Page<'_>, Failure> {
    let mut page = Page::default();
    fields(message, |number, value| {
        match (number, value) {
            (n, Value::Text(bytes)) if n == entries => page.entries.push(entry(bytes)?),
            (1, Value::Number(seq)) => page.latest = Some(seq.cast_signed()),
            (2, Value::Number(seq)) => page.last = Some(seq.cast_signed()),
            _ => {}
        }
        Ok(())
    })?;
    // Proto3 leaves a zero out; only a sync reply has the two at all.
    if entries != 1 {
        page.latest.get_or_insert(0);
        page.last.get_or_insert(0);
    }
    Ok(page)
}

fn entry(message: &[u8]) -> Result<Entry<'_>, Failure> {
    let mut entry = Entry { seq: 0, message: "".into() };
    fields(message, |number, value| {
        match (number, value) {
            (1, Value::Number(seq)) => entry.seq = seq.cast_signed(),
            (2, Value::Text(bytes)) => entry.message = text(bytes)?.into(),
            _ => {}
        }
        Ok(())
    })?;
    Ok(entry)
}

/// The first number field `wanted` of a reply; 0 if it has none.
pub fn number(message: &[u8], wanted: u64) -> Result<i64, Failure> {
    let mut found = 0;
    fields(message, |number, value| {
        if let (true, Value::Number(value)) = (number == wanted, value) {
            found = value.cast_signed();
        }
        Ok(())
    })?;
    Ok(found)
}

/// How many text or message fields `wanted` there are.
pub fn count(message: &[u8], wanted: u64) -> Result<u64, Failure> {
    let mut found = 0;
    fields(message, |number, value| {
        found += u64::from(number == wanted && matches!(value, Value::Text(_)));
        Ok(())
    })?;
    Ok(found)
}

/// The contents of all text or message fields `wanted`.
pub fn slices(message: &[u8], wanted: u64) -> Result<Vec<&[u8]>, Failure> {
    let mut found = Vec::new();
    fields(message, |number, value| {
        if let (true, Value::Text(bytes)) = (number == wanted, value) {
            found.push(bytes);
        }
        Ok(())
    })?;
    Ok(found)
}

/// All text fields `wanted` of a reply.
pub fn texts(message: &[u8], wanted: u64) -> Result<Vec<String>, Failure> {
    slices(message, wanted)?.into_iter().map(|bytes| text(bytes).map(str::to_owned)).collect()
}

fn text(bytes: &[u8]) -> Result<&str, Failure> {
    std::str::from_utf8(bytes).map_err(|_| Failure::Strange("a text that is not UTF-8".to_owned()))
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use seqline_api::timeline::v1::{SendGroupReply, SyncMessageReply, TimelineEntry};

    use super::*;

    #[test]
    fn a_page_is_read_as_the_generated_code_wrote_it() {
        let entry = |sequence, message: &str| TimelineEntry { sequence, message: message.into() };
        let reply = SyncMessageReply {
            latest_seq: 900,
            entry_set_last_seq: 2,
            entry_set: vec![entry(1, "{\"a\":\"吃\"}"), entry(2, "{}")],
        };
        let bytes = reply.encode_to_vec();
        let page = page(&bytes, 3).unwrap();
        assert_eq!((page.latest, page.last), (Some(900), Some(2)));
        let read: Vec<_> = page.entries.iter().map(|e| entry(e.seq, &e.message)).collect();
        assert_eq!(read, reply.entry_set);
    }

    #[test]
    fn an_empty_reply_is_an_empty_page() {
        let page = page(b"", 3).unwrap();
        assert_eq!((page.latest, page.last, page.entries.len()), (Some(0), Some(0), 0));
    }

    #[test]
    fn a_cut_reply_is_an_error_and_never_a_panic() {
        let reply = SendGroupReply { failed_members: vec!["a".into(), "b".into()] };
        let bytes = reply.encode_to_vec();
        assert_eq!(texts(&bytes, 1).unwrap(), ["a", "b"]);
        for length in [1, 2, 4, 5] {
            assert!(texts(&bytes[..length], 1).is_err(), "{length}");
        }
        assert!(page(b"\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 3).is_err());
        assert!(page(b"\xff", 3).is_err());
    }
}
