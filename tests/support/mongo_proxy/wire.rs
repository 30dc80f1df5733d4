//! Frames of MongoDB's wire protocol: reading them whole, and taking OP_MSG apart and together.
//!
//! Only what a proxy needs. Frames that are no OP_MSG, such as a driver's first greeting, are
//! passed on as they are.

use std::io;

use mongodb::bson::{Document, RawDocument, RawDocumentBuf};
use tokio::io::{AsyncRead, AsyncReadExt as _};

const HEADER_BYTES: usize = 16;
/// MongoDB's own limit of a message.
const FRAME_BYTES_MAX: usize = 48_000_000;
const OP_MSG: i32 = 2013;
const CHECKSUM_PRESENT: u32 = 1;
/// More follows without being asked for: of a request, that no reply is wanted.
const MORE_TO_COME: u32 = 1 << 1;

/// Reads one whole frame, its header included. `None` at the end of the connection.
pub async fn read_frame(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut frame = vec![0; HEADER_BYTES];
    match from.read_exact(&mut frame).await {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    };
    let length = int(&frame, 0) as usize;
    if !(HEADER_BYTES..=FRAME_BYTES_MAX).contains(&length) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{length} bytes")));
    }
    frame.resize(length, 0);
    from.read_exact(&mut frame[HEADER_BYTES..]).await?;
    Ok(Some(frame))
}

/// Whether another frame follows this one without being asked for.
pub fn more_to_come(frame: &[u8]) -> bool {
    int(frame, 12) == OP_MSG && frame.len() >= 20 && flags(frame) & MORE_TO_COME != 0
}

/// A command or a reply: what is in an OP_MSG.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub request_id: i32,
    pub response_to: i32,
    pub(super) flags: u32,
    /// The document of kind 0.
    pub body: RawDocumentBuf,
    /// The sequences of kind 1, by the field of the body that they stand for.
    pub sequences: Vec<(String, Vec<RawDocumentBuf>)>,
}

impl Message {
    /// Takes a frame apart. `None` if it is another kind of message, or damaged.
    pub fn parse(frame: &[u8]) -> Option<Message> {
        if frame.len() < HEADER_BYTES + 4 || int(frame, 12) != OP_MSG {
            return None;
        }
        let flags = flags(frame);
        let end = frame.len() - if flags & CHECKSUM_PRESENT != 0 { 4 } else { 0 };
        let mut rest = frame.get(HEADER_BYTES + 4..end)?;
        let mut body = None;
        let mut sequences = Vec::new();
        while let Some((&kind, after)) = rest.split_first() {
            if kind == 0 {
                let (document, after) = split_document(after)?;
                body = Some(document);
                rest = after;
            } else {
                let size = usize::try_from(length(after)?).ok()?;
                let section = after.get(4..size)?;
                rest = &after[size..];
                sequences.push(parse_sequence(section)?);
            }
        }
        let (request_id, response_to) = (int(frame, 4), int(frame, 8));
        Some(Message { request_id, response_to, flags, body: body?, sequences })
    }

    /// The reply `body` to the message with this id.
    pub fn reply(response_to: i32, body: &Document) -> Message {
        let body = RawDocumentBuf::try_from(body).unwrap();
        Message { request_id: 0, response_to, flags: 0, body, sequences: Vec::new() }
    }

    /// The frame. Without a checksum, which both sides may leave out.
    pub fn encode(&self) -> Vec<u8> {
        let mut frame = Vec::new();
        for header in [0, self.request_id, self.response_to, OP_MSG] {
            frame.extend(header.to_le_bytes());
        }
        frame.extend((self.flags & !CHECKSUM_PRESENT).to_le_bytes());
        frame.push(0);
        frame.extend(self.body.as_bytes());
        for (field, documents) in &self.sequences {
            let bytes: usize = documents.iter().map(|d| d.as_bytes().len()).sum();
            let size = i32::try_from(4 + field.len() + 1 + bytes).unwrap();
            frame.push(1);
            frame.extend(size.to_le_bytes());
            frame.extend(field.as_bytes());
            frame.push(0);
            documents.iter().for_each(|document| frame.extend(document.as_bytes()));
        }
        let length = i32::try_from(frame.len()).unwrap();
        frame[..4].copy_from_slice(&length.to_le_bytes());
        frame
    }

    /// The command's name: the body's first key.
    pub fn name(&self) -> &str {
        self.first().map_or("", |(key, _)| key)
    }

    /// The collection that the command is about, or nothing.
    pub fn collection(&self) -> &str {
        if self.name() == "getMore" {
            return self.body.get_str("collection").unwrap_or_default();
        }
        self.first().and_then(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// The documents under `field`, from wherever they are: a sequence, or an array of the body.
    pub fn documents(&self, field: &str) -> Vec<RawDocumentBuf> {
        if let Some((_, documents)) = self.sequences.iter().find(|(name, _)| name == field) {
            return documents.clone();
        }
        let Ok(array) = self.body.get_array(field) else { return Vec::new() };
        array.into_iter().map(|v| v.unwrap().as_document().unwrap().to_owned()).collect()
    }

    /// The body as a document to be changed.
    pub fn document(&self) -> Document {
        Document::try_from(&self.body).unwrap()
    }

    fn first(&self) -> Option<(&str, mongodb::bson::RawBsonRef<'_>)> {
        let (key, value) = self.body.iter().next()?.ok()?;
        Some((key.as_str(), value))
    }
}

/// A field's name, and documents to the end.
fn parse_sequence(section: &[u8]) -> Option<(String, Vec<RawDocumentBuf>)> {
    let zero = section.iter().position(|b| *b == 0)?;
    let field = std::str::from_utf8(&section[..zero]).ok()?.to_owned();
    let mut rest = &section[zero + 1..];
    let mut documents = Vec::new();
    while !rest.is_empty() {
        let (document, after) = split_document(rest)?;
        documents.push(document);
        rest = after;
    }
    Some((field, documents))
}

/// The document at the start of `bytes`, and what follows it.
fn split_document(bytes: &[u8]) -> Option<(RawDocumentBuf, &[u8])> {
    let size = usize::try_from(length(bytes)?).ok()?;
    let document = RawDocument::from_bytes(bytes.get(..size)?).ok()?;
    Some((document.to_owned(), &bytes[size..]))
}

fn length(bytes: &[u8]) -> Option<i32> {
    bytes.first_chunk().map(|four| i32::from_le_bytes(*four))
}

/// The number at a place of a header, which is there.
fn int(frame: &[u8], at: usize) -> i32 {
    i32::from_le_bytes(frame[at..at + 4].try_into().unwrap())
}

fn flags(frame: &[u8]) -> u32 {
    int(frame, HEADER_BYTES).cast_unsigned()
}
