//! The wire format: keys, varints, lengths, and how to step over what is not known.

use super::Malformed;

/// Groups in groups that an unknown field may have, as in the generated code.
const GROUP_DEPTH_MAX: usize = 100;

/// Wire types, the low three bits of a key.
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LENGTH: u32 = 2;
const GROUP_START: u32 = 3;
const GROUP_END: u32 = 4;
const FIXED32: u32 = 5;

/// A place in a message.
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The key of a field: its number and wire type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub number: u32,
    wire: u32,
}

impl Key {
    /// Whether a text or a part of a list follows.
    pub(super) fn is_text(self) -> bool {
        self.wire == LENGTH
    }

    /// Whether an integer follows.
    pub(super) fn is_integer(self) -> bool {
        self.wire == VARINT
    }
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Fields<'a> {
        Fields { bytes, at: 0 }
    }

    /// The next field's key; `None` at the end of the message.
    pub(super) fn key(&mut self) -> Result<Option<Key>, Malformed> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let key = u32::try_from(self.varint()?).map_err(|_| Malformed)?;
        let (number, wire) = (key >> 3, key & 7);
        if number == 0 || wire > FIXED32 {
            return Err(Malformed);
        }
        Ok(Some(Key { number, wire }))
    }

    /// The integer of a field with this key.
    pub(super) fn integer(&mut self, key: Key) -> Result<i64, Malformed> {
        if key.wire != VARINT {
            return Err(Malformed);
        }
        Ok(self.varint()?.cast_signed())
    }

    /// Where the bytes of a field with this key stand, and how many they are.
    pub(super) fn span(&mut self, key: Key) -> Result<(usize, usize), Malformed> {
        if key.wire != LENGTH {
            return Err(Malformed);
        }
        let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
        let start = self.at;
        self.advance(length)?;
        Ok((start, length))
    }

    /// As [`Fields::span`] for the next field, if its key is the single byte `key` and its
    /// length takes one byte: the common case of a list of short names.
    pub(super) fn short_span(&mut self, key: u8) -> Option<(usize, usize)> {
        let [first, length] = *self.bytes.get(self.at..self.at + 2)? else { return None };
        let (start, length) = (self.at + 2, usize::from(length));
        if first != key || length >= 0x80 || start + length > self.bytes.len() {
            return None;
        }
        self.at = start + length;
        Some((start, length))
    }

    /// Steps over an unknown field, whatever groups it has.
    pub(super) fn skip(&mut self, key: Key) -> Result<(), Malformed> {
        let mut open = Vec::new();
        let mut key = key;
        loop {
            if key.wire == GROUP_END {
                if open.pop() != Some(key.number) {
                    return Err(Malformed);
                }
            } else {
                if open.len() >= GROUP_DEPTH_MAX {
                    return Err(Malformed);
                }
                match key.wire {
                    VARINT => drop(self.varint()?),
                    FIXED64 => self.advance(8)?,
                    LENGTH => drop(self.span(key)?),
                    GROUP_START => open.push(key.number),
                    _ => self.advance(4)?,
                }
            }
            if open.is_empty() {
                return Ok(());
            }
            key = self.key()?.ok_or(Malformed)?;
        }
    }

    fn advance(&mut self, count: usize) -> Result<(), Malformed> {
        if count > self.bytes.len() - self.at {
            return Err(Malformed);
        }
        self.at += count;
        Ok(())
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or(Malformed)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                // The tenth byte has room for one bit.
                return if shift == 63 && byte > 1 { Err(Malformed) } else { Ok(value) };
            }
        }
        Err(Malformed)
    }
}
