//! Compressed headers of HTTP/2 (RFC 7541), as far as a client needs them that looks at the
//! outcome of a call: everything is decoded, only three names are told.
//!
//! Texts that no one asks for are stepped over instead of being decoded, so that an answer costs
//! nanoseconds; that is why no library does this here.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::huffman;

/// What a table's entry takes beside its name and value.
const ENTRY_BYTES: usize = 32;
/// Size of the table that we allow, the default of the protocol.
const TABLE_BYTES_MAX: usize = 4_096;
/// The names of the table that both sides know beforehand; its values matter only for `:status`.
const STATIC_NAMES: [&str; 61] = [
    ":authority",
    ":method",
    ":method",
    ":path",
    ":path",
    ":scheme",
    ":scheme",
    ":status",
    ":status",
    ":status",
    ":status",
    ":status",
    ":status",
    ":status",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "accept",
    "access-control-allow-origin",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "link",
    "location",
    "max-forwards",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "refresh",
    "retry-after",
    "server",
    "set-cookie",
    "strict-transport-security",
    "transfer-encoding",
    "user-agent",
    "vary",
    "via",
    "www-authenticate",
];
/// Where `:status` stands in it first, and its values there.
const STATUS_INDEX: usize = 8;
const STATUS_VALUES: [&str; 7] = ["200", "204", "206", "304", "400", "404", "500"];

/// A header's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// `:status`.
    HttpStatus,
    /// `grpc-status`.
    GrpcStatus,
    /// `grpc-message`.
    GrpcMessage,
    /// Any other.
    Other,
}

impl Name {
    fn of(text: &[u8]) -> Name {
        match text {
            b":status" => Name::HttpStatus,
            b"grpc-status" => Name::GrpcStatus,
            b"grpc-message" => Name::GrpcMessage,
            _ => Name::Other,
        }
    }
}

/// A block of headers that cannot be read. The connection is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("headers that break the rules of HPACK")]
pub struct Malformed;

/// What the other side's blocks of headers refer to.
#[derive(Debug)]
pub struct Decoder {
    /// The newest entry first.
    table: VecDeque<Entry>,
    bytes: usize,
    bytes_max: usize,
}

#[derive(Debug)]
struct Entry {
    name: Name,
    name_bytes: usize,
    value: Box<[u8]>,
}

impl Entry {
    fn bytes(&self) -> usize {
        self.name_bytes + self.value.len() + ENTRY_BYTES
    }
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder { table: VecDeque::new(), bytes: 0, bytes_max: TABLE_BYTES_MAX }
    }
}

impl Decoder {
    /// Reads one block and tells the headers in it that have a [`Name`] of their own.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn decode(
        &mut self,
        block: &[u8],
        mut each: impl FnMut(Name, &[u8]),
    ) -> Result<(), Malformed> {
        let mut rest = block;
        while let Some(first) = rest.first() {
            match first {
                0x80.. => {
                    let index = integer(&mut rest, 7)?;
                    let (name, _, value) = self.entry(index)?;
                    if name != Name::Other {
                        each(name, value.ok_or(Malformed)?);
                    }
                }
                0x40.. => {
                    let (name, name_bytes) = self.name(&mut rest, 6)?;
                    let value = text(&mut rest)?.decoded()?;
                    if name != Name::Other {
                        each(name, &value);
                    }
                    self.insert(Entry { name, name_bytes, value: value.into() });
                }
                0x20.. => {
                    let wanted = integer(&mut rest, 5)?;
                    if wanted > TABLE_BYTES_MAX {
                        return Err(Malformed);
                    }
                    self.bytes_max = wanted;
                    self.shrink(0);
                }
                _ => {
                    let (name, _) = self.name(&mut rest, 4)?;
                    let value = text(&mut rest)?;
                    if name != Name::Other {
                        each(name, &value.decoded()?);
                    }
                }
            }
        }
        Ok(())
    }

    /// The name of a literal header, and its length.
    fn name(&self, rest: &mut &[u8], prefix_bits: u32) -> Result<(Name, usize), Malformed> {
        match integer(rest, prefix_bits)? {
            0 => {
                let text = text(rest)?.decoded()?;
                Ok((Name::of(&text), text.len()))
            }
            index => self.entry(index).map(|(name, length, _)| (name, length)),
        }
    }

    /// Name, its length, and the value as far as it matters.
    fn entry(&self, index: usize) -> Result<(Name, usize, Option<&[u8]>), Malformed> {
        let index = index.checked_sub(1).ok_or(Malformed)?;
        if let Some(text) = STATIC_NAMES.get(index) {
            let status = (index + 1).checked_sub(STATUS_INDEX);
            let value = status.and_then(|at| STATUS_VALUES.get(at)).map(|text| text.as_bytes());
            return Ok((Name::of(text.as_bytes()), text.len(), value));
        }
        let entry = self.table.get(index - STATIC_NAMES.len()).ok_or(Malformed)?;
        Ok((entry.name, entry.name_bytes, Some(&entry.value)))
    }

    fn insert(&mut self, entry: Entry) {
        let bytes = entry.bytes();
        self.shrink(bytes);
        if bytes <= self.bytes_max {
            self.bytes += bytes;
            self.table.push_front(entry);
        }
    }

    /// Drops the oldest entries until there is room.
    fn shrink(&mut self, room: usize) {
        while self.bytes + room > self.bytes_max {
            let Some(oldest) = self.table.pop_back() else { break };
            self.bytes -= oldest.bytes();
        }
    }
}

/// A text on the wire.
struct Text<'a> {
    bytes: &'a [u8],
    is_huffman: bool,
}

impl<'a> Text<'a> {
    fn decoded(&self) -> Result<Cow<'a, [u8]>, Malformed> {
        if self.is_huffman {
            huffman::decode(self.bytes).map(Cow::Owned).ok_or(Malformed)
        } else {
            Ok(Cow::Borrowed(self.bytes))
        }
    }
}

fn text<'a>(rest: &mut &'a [u8]) -> Result<Text<'a>, Malformed> {
    let is_huffman = *rest.first().ok_or(Malformed)? >= 0x80;
    let length = integer(rest, 7)?;
    let (bytes, after) = rest.split_at_checked(length).ok_or(Malformed)?;
    *rest = after;
    Ok(Text { bytes, is_huffman })
}

/// The number in the low `prefix_bits` of the next byte and the bytes after it.
fn integer(rest: &mut &[u8], prefix_bits: u32) -> Result<usize, Malformed> {
    let mut next = || {
        let (first, after) = rest.split_first().ok_or(Malformed)?;
        *rest = after;
        Ok(usize::from(*first))
    };
    let mask = (1 << prefix_bits) - 1;
    let mut value = next()? & mask;
    if value < mask {
        return Ok(value);
    }
    for shift in [0, 7, 14, 21] {
        let byte = next()?;
        value += (byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Malformed)
}

/// Appends a literal header that the other side puts into its table; `index` is that of its name
/// in the static table, or 0.
pub fn put_indexed(out: &mut Vec<u8>, index: u8, name: &str, value: &str) {
    put_literal(out, 0x40 | index, index, name, value);
}

/// Appends a literal header that goes into no table; otherwise as [`put_indexed`].
pub fn put_plain(out: &mut Vec<u8>, index: u8, name: &str, value: &str) {
    if index < 15 {
        put_literal(out, index, index, name, value);
    } else {
        out.push(15);
        put_literal(out, index - 15, index, name, value);
    }
}

fn put_literal(out: &mut Vec<u8>, head: u8, index: u8, name: &str, value: &str) {
    out.push(head);
    if index == 0 {
        put_text(out, name);
    }
    put_text(out, value);
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    if text.len() < 0x7f {
        out.push(text.len() as u8);
    } else {
        out.push(0x7f);
        let mut left = text.len() - 0x7f;
        while left >= 0x80 {
            out.push(left as u8 | 0x80);
            left >>= 7;
        }
        out.push(left as u8);
    }
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(decoder: &mut Decoder, block: &[u8]) -> Vec<(Name, String)> {
        let mut told = Vec::new();
        decoder
            .decode(block, |name, value| {
                told.push((name, String::from_utf8(value.into()).unwrap()));
            })
            .unwrap();
        told
    }

    #[test]
    fn the_responses_of_the_standard_are_read_with_a_table_of_256_bytes() {
        let mut decoder = Decoder { bytes_max: 256, ..Decoder::default() };
        // RFC 7541, C.6: with Huffman codes, each block refers to the ones before.
        let first = b"\x48\x82\x64\x02\x58\x85\xae\xc3\x77\x1a\x4b\x61\x96\xd0\x7a\xbe\x94\x10\x54\
            \xd4\x44\xa8\x20\x05\x95\x04\x0b\x81\x66\xe0\x82\xa6\x2d\x1b\xff\x6e\x91\x9d\x29\xad\
            \x17\x18\x63\xc7\x8f\x0b\x97\xc8\xe9\xae\x82\xae\x43\xd3";
        assert_eq!(told(&mut decoder, first), [(Name::HttpStatus, "302".to_owned())]);
        assert_eq!((decoder.table.len(), decoder.bytes), (4, 222));
        let second = told(&mut decoder, b"\x48\x83\x64\x0e\xff\xc1\xc0\xbf");
        assert_eq!(second, [(Name::HttpStatus, "307".to_owned())]);
        assert_eq!((decoder.table.len(), decoder.bytes), (4, 222));
        let third = b"\x88\xc1\x61\x96\xd0\x7a\xbe\x94\x10\x54\xd4\x44\xa8\x20\x05\x95\x04\x0b\x81\
            \x66\xe0\x84\xa6\x2d\x1b\xff\xc0\x5a\x83\x9b\xd9\xab\x77\xad\x94\xe7\x82\x1d\xd7\xf2\
            \xe6\xc7\xb3\x35\xdf\xdf\xcd\x5b\x39\x60\xd5\xaf\x27\x08\x7f\x36\x72\xc1\xab\x27\x0f\
            \xb5\x29\x1f\x95\x87\x31\x60\x65\xc0\x03\xed\x4e\xe5\xb1\x06\x3d\x50\x07";
        assert_eq!(told(&mut decoder, third), [(Name::HttpStatus, "200".to_owned())]);
        assert_eq!((decoder.table.len(), decoder.bytes), (3, 215));
    }

    #[test]
    fn the_outcome_of_a_call_is_told_again_from_the_table() {
        let mut decoder = Decoder::default();
        let mut block = Vec::new();
        put_indexed(&mut block, 0, "grpc-status", "14");
        put_plain(&mut block, 0, "grpc-message", "later");
        put_plain(&mut block, 31, "content-type", &"x".repeat(300));
        let outcome = (Name::GrpcStatus, "14".to_owned());
        let message = (Name::GrpcMessage, "later".to_owned());
        assert_eq!(told(&mut decoder, &block), [outcome.clone(), message]);
        assert_eq!(told(&mut decoder, b"\xbe"), [outcome]);
        assert_eq!(told(&mut decoder, b"\x20"), []);
        assert_eq!(decoder.decode(b"\xbe", |_, _| ()), Err(Malformed), "the table is empty now");
    }

    #[test]
    fn cut_and_wrong_blocks_are_errors_and_never_panics() {
        for block in [&b"\x80"[..], b"\xff", b"\x48", b"\x48\x82\x64", b"\x48\x05abc", b"\x7f"] {
            assert_eq!(Decoder::default().decode(block, |_, _| ()), Err(Malformed), "{block:?}");
        }
        let endless = [b"\xff".repeat(9), vec![0]].concat();
        assert_eq!(Decoder::default().decode(&endless, |_, _| ()), Err(Malformed));
        assert_eq!(Decoder::default().decode(b"\x3f\xe2\x1f", |_, _| ()), Err(Malformed));
    }
}
