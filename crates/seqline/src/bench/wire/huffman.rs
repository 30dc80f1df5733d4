//! Huffman-coded texts of HTTP/2 headers (RFC 7541, appendix B).
//!
//! The code is canonical: the length of each symbol's code decides all codes. Texts are decoded
//! bit by bit, which is enough for the few that come literally.

use std::sync::OnceLock;

/// Length in bits of the code of each byte, then of the end mark.
#[rustfmt::skip]
const BITS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28,
    30, 28, 28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11,
    8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6,
    6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20,
    22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21,
    22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23,
    22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26,
    28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27,
    26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];
/// The end mark, which is never sent whole.
const END: usize = 256;
const BITS_MAX: usize = 30;

/// Codes in order of their length.
struct Codes {
    /// Symbols, by the length of their code, then by value.
    symbols: Vec<usize>,
    /// For each length: the first code, the place of its symbol, how many there are.
    lengths: [(u32, usize, u32); BITS_MAX + 1],
}

impl Codes {
    fn new() -> Codes {
        let mut symbols: Vec<usize> = (0..BITS.len()).collect();
        symbols.sort_by_key(|symbol| BITS[*symbol]);
        let mut lengths = [(0, 0, 0); BITS_MAX + 1];
        let (mut code, mut place) = (0_u32, 0);
        for (length, found) in lengths.iter_mut().enumerate() {
            code <<= 1;
            let count = BITS.iter().filter(|bits| usize::from(**bits) == length).count();
            *found = (code, place, count as u32);
            place += count;
            code += count as u32;
        }
        Codes { symbols, lengths }
    }
}

/// The text; `None` if the bytes are no code of one.
pub fn decode(bytes: &[u8]) -> Option<Vec<u8>> {
    static CODES: OnceLock<Codes> = OnceLock::new();
    let codes = CODES.get_or_init(Codes::new);
    let mut text = Vec::with_capacity(bytes.len() * 2);
    let (mut code, mut length) = (0_u32, 0);
    let bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1));
    for bit in bits {
        code = code << 1 | u32::from(bit);
        length += 1;
        let (first, place, count) = *codes.lengths.get(length)?;
        if code >= first && code - first < count {
            let symbol = codes.symbols[place + (code - first) as usize];
            if symbol == END {
                return None;
            }
            text.push(symbol as u8);
            (code, length) = (0, 0);
        }
    }
    // What is left is the start of the end mark, all ones, and less than a byte.
    (length < 8 && code.trailing_ones() as usize == length).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_standard_are_read() {
        let check = |bytes: &[u8], text: &str| {
            assert_eq!(decode(bytes).as_deref(), Some(text.as_bytes()));
        };
        check(b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff", "www.example.com");
        check(b"\x64\x02", "302");
        check(b"\xae\xc3\x77\x1a\x4b", "private");
        let date = b"\xd0\x7a\xbe\x94\x10\x54\xd4\x44\xa8\x20\x05\x95\x04\x0b\x81\x66\xe0\x82\
            \xa6\x2d\x1b\xff";
        check(date, "Mon, 21 Oct 2013 20:13:21 GMT");
        check(b"", "");
    }

    #[test]
    fn wrong_padding_and_the_end_mark_are_refused() {
        assert_eq!(decode(b"\x00\x00"), None, "padded with zeros");
        assert_eq!(decode(b"\x64\x02\xff"), None, "a whole byte of padding");
        assert_eq!(decode(b"\xff\xff\xff\xff"), None, "the end mark");
    }
}
