//! Frames of HTTP/2 (RFC 9113, section 4): their heads, and the settings of this client.

/// Length of a frame's head.
pub const HEAD_BYTES: usize = 9;
/// What a client says first.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Kinds of frames.
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Flags of frames; `ACK` shares its bit with `END_STREAM`.
pub mod flag {
    pub const ACK: u8 = 1;
    pub const END_STREAM: u8 = 1;
    pub const END_HEADERS: u8 = 4;
    pub const PADDED: u8 = 8;
    pub const PRIORITY: u8 = 0x20;
}

/// Numbers of settings.
pub mod setting {
    pub const HEADER_TABLE_SIZE: u16 = 1;
    pub const ENABLE_PUSH: u16 = 2;
    pub const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub const INITIAL_WINDOW_SIZE: u16 = 4;
    pub const MAX_FRAME_SIZE: u16 = 5;
}

/// Largest window there is.
pub const WINDOW_MAX: u32 = (1 << 31) - 1;
/// Every window before anything was said about it.
pub const WINDOW_DEFAULT: u32 = 65_535;
/// Largest frame before anything was said about it.
pub const FRAME_DEFAULT: usize = 16_384;
/// Largest frame we take: a page of a thousand entries comes in few of them.
pub const FRAME_OURS: usize = 256 * 1024;

/// A frame's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Bytes that follow.
    pub length: usize,
    /// See [`kind`].
    pub kind: u8,
    /// See [`flag`].
    pub flags: u8,
    /// Which request; 0 for the connection.
    pub stream: u32,
}

impl Head {
    /// Reads one.
    pub fn read(bytes: &[u8; HEAD_BYTES]) -> Head {
        let [a, b, c, kind, flags, stream @ ..] = *bytes;
        Head {
            length: u32::from_be_bytes([0, a, b, c]) as usize,
            kind,
            flags,
            stream: u32::from_be_bytes(stream) & WINDOW_MAX,
        }
    }

    /// Whether a server may begin with this frame.
    pub fn is_first(self) -> bool {
        self.kind == kind::SETTINGS && !self.has(flag::ACK) && self.stream == 0
    }

    /// Whether a flag is set.
    pub fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Appends a frame's head.
pub fn put_head(out: &mut Vec<u8>, length: usize, kind: u8, flags: u8, stream: u32) {
    let [_, a, b, c] = (length as u32).to_be_bytes();
    out.extend_from_slice(&[a, b, c, kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
}

/// Appends a window update.
pub fn put_window_update(out: &mut Vec<u8>, stream: u32, more: u32) {
    put_head(out, 4, kind::WINDOW_UPDATE, 0, stream);
    out.extend_from_slice(&more.to_be_bytes());
}

/// Appends what a connection begins with: windows so large that no page ever waits for one.
pub fn put_greeting(out: &mut Vec<u8>) {
    out.extend_from_slice(PREFACE);
    let settings = [
        (setting::ENABLE_PUSH, 0),
        (setting::INITIAL_WINDOW_SIZE, WINDOW_MAX),
        (setting::MAX_FRAME_SIZE, FRAME_OURS as u32),
    ];
    put_head(out, settings.len() * 6, kind::SETTINGS, 0, 0);
    for (number, value) in settings {
        out.extend_from_slice(&number.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
    put_window_update(out, 0, WINDOW_MAX - WINDOW_DEFAULT);
}

/// The settings in a frame: numbers with values. `None` if it is cut.
pub fn settings(payload: &[u8]) -> Option<impl Iterator<Item = (u16, u32)>> {
    let (pairs, rest) = payload.as_chunks::<6>();
    let read = |pair: &[u8; 6]| {
        let [a, b, value @ ..] = *pair;
        (u16::from_be_bytes([a, b]), u32::from_be_bytes(value))
    };
    rest.is_empty().then(|| pairs.iter().map(read))
}

/// The contents of a DATA or HEADERS frame, without padding and priority. `None` if it is cut.
pub fn contents(head: Head, mut payload: &[u8]) -> Option<&[u8]> {
    if head.has(flag::PADDED) {
        let (padding, rest) = payload.split_first()?;
        payload = rest.get(..rest.len().checked_sub(usize::from(*padding))?)?;
    }
    if head.kind == kind::HEADERS && head.has(flag::PRIORITY) {
        payload = payload.get(5..)?;
    }
    Some(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_was_written() {
        let mut out = Vec::new();
        put_head(&mut out, 0x01_02_03, kind::DATA, flag::END_STREAM, 7);
        let head = Head::read(out.first_chunk().unwrap());
        assert_eq!(head, Head { length: 0x01_02_03, kind: 0, flags: 1, stream: 7 });
    }

    #[test]
    fn padding_and_priority_are_taken_off() {
        let head = |kind, flags| Head { length: 0, kind, flags, stream: 1 };
        let padded = flag::PADDED;
        assert_eq!(contents(head(kind::DATA, padded), b"\x02abc\0\0"), Some(&b"abc"[..]));
        assert_eq!(contents(head(kind::DATA, padded), b"\x04abc"), None);
        assert_eq!(contents(head(kind::DATA, 0), b"abc"), Some(&b"abc"[..]));
        let both = head(kind::HEADERS, padded | flag::PRIORITY);
        assert_eq!(contents(both, b"\x01prioxabc\0"), Some(&b"abc"[..]));
        assert_eq!(contents(head(kind::HEADERS, flag::PRIORITY), b"abc"), None);
    }

    #[test]
    fn the_greeting_is_frames_behind_the_preface() {
        let mut out = Vec::new();
        put_greeting(&mut out);
        let rest = out.strip_prefix(PREFACE).unwrap();
        let head = Head::read(rest.first_chunk().unwrap());
        assert_eq!((head.kind, head.length), (kind::SETTINGS, 18));
        let said = settings(&rest[HEAD_BYTES..HEAD_BYTES + 18]).unwrap();
        assert_eq!(said.last(), Some((setting::MAX_FRAME_SIZE, 256 * 1024)));
        assert_eq!(rest.len(), HEAD_BYTES + 18 + HEAD_BYTES + 4);
    }
}
