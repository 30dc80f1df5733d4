//! The row of a message: a checksum over key and value, then id, time, sender and body.

use bytes::Bytes;
use seqline_core::clock::UnixMillis;
use seqline_core::id::{MemberId, MessageId, Text};
use seqline_core::message::Body;

use crate::keys::ENTRY_BYTES;

const CHECKSUM: usize = 4;
/// Checksum, message id, time, length of the sender's id.
const HEAD_BYTES: usize = CHECKSUM + 16 + 8 + 2;

/// A message without its place, which its key has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) id: MessageId,
    pub(crate) at: UnixMillis,
    pub(crate) sender: Option<MemberId>,
    pub(crate) body: Body,
}

/// The value under `key`.
pub(crate) fn encode(key: &[u8; ENTRY_BYTES], record: &Record) -> Vec<u8> {
    let sender = record.sender.as_ref().map_or(&[][..], MemberId::as_bytes);
    let length = u16::try_from(sender.len()).expect("an id is far shorter than 64 KiB");
    let mut value = Vec::with_capacity(HEAD_BYTES + sender.len() + record.body.len());
    value.extend_from_slice(&[0; CHECKSUM]);
    value.extend_from_slice(&record.id.0.to_be_bytes());
    value.extend_from_slice(&record.at.0.to_be_bytes());
    value.extend_from_slice(&length.to_be_bytes());
    value.extend_from_slice(sender);
    value.extend_from_slice(record.body.as_str().as_bytes());
    let checksum = checksum(key, &value[CHECKSUM..]);
    value[..CHECKSUM].copy_from_slice(&checksum.to_be_bytes());
    value
}

/// The message in the row `key`, `value`.
///
/// # Errors
/// What does not hold, printable.
pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<Record, &'static str> {
    let (head, rest) = value.split_at_checked(HEAD_BYTES).ok_or("the row is too short")?;
    let stored = u32::from_be_bytes(head[..CHECKSUM].try_into().map_err(|_| "no checksum")?);
    if stored != checksum(key, &value[CHECKSUM..]) {
        return Err("the checksum does not match");
    }
    let id = u128::from_be_bytes(head[4..20].try_into().map_err(|_| "no id")?);
    let at = u64::from_be_bytes(head[20..28].try_into().map_err(|_| "no time")?);
    let length = usize::from(u16::from_be_bytes([head[28], head[29]]));
    let (sender, body) = rest.split_at_checked(length).ok_or("the sender is cut off")?;
    let sender = match sender {
        [] => None,
        id => Some(member(id).ok_or("the sender is no id")?),
    };
    // A copy: a slice would keep a whole block of the storage engine in memory.
    let body = Body::from_stored(Bytes::copy_from_slice(body)).ok_or("the body is not UTF-8")?;
    Ok(Record { id: MessageId(id), at: UnixMillis(at), sender, body })
}

fn member(id: &[u8]) -> Option<MemberId> {
    MemberId::new("sender", Text::new(Bytes::copy_from_slice(id))?).ok()
}

fn checksum(key: &[u8], rest: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), rest)
}

#[cfg(test)]
mod tests {
    use seqline_core::seq::Seq;

    use super::*;
    use crate::keys;

    fn record(sender: Option<&str>) -> Record {
        Record {
            id: MessageId(7 << 80),
            at: UnixMillis(1_700_000_000_000),
            sender: sender.map(|id| MemberId::new("from", id).unwrap()),
            body: Body::new("{\"a\":  \"吃\"}", 100).unwrap(),
        }
    }

    #[test]
    fn a_message_comes_back_as_it_was() {
        let key = keys::entry(3, Seq::new(9));
        for sender in [None, Some("a"), Some("吃")] {
            let value = encode(&key, &record(sender));
            assert_eq!(decode(&key, &value).unwrap(), record(sender));
        }
    }

    #[test]
    fn any_flipped_bit_and_any_other_place_are_noticed() {
        let key = keys::entry(3, Seq::new(9));
        let value = encode(&key, &record(Some("a")));
        for bit in 0..value.len() * 8 {
            let mut broken = value.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&key, &broken).is_err(), "bit {bit}");
        }
        assert!(decode(&keys::entry(3, Seq::new(8)), &value).is_err());
        for length in 0..value.len() {
            assert!(decode(&key, &value[..length]).is_err(), "{length} bytes");
        }
    }
}
