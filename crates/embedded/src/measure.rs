//! The small parts of the store by themselves, for benches.
//!
//! This is no part of the API: it exists with the feature `fuzzing` and in tests, and may change
//! with any commit. `benches/parts.rs` measures what [`parts`] returns.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use seqline_core::clock::UnixMillis;
use seqline_core::fanout::{Members, Outgoing};
use seqline_core::id::{GroupId, MemberId, MessageId, TimelineId};
use seqline_core::message::Body;
use seqline_core::seq::Seq;

use crate::error::OpenError;
use crate::index::{Batch, Index, IndexOptions};
use crate::log::{self, Lsn, Settings};
use crate::storage::RealDisk;
use crate::{record, rows};

/// Frames of one page.
const PAGE_FRAMES: usize = 100;
const BODY_BYTES: usize = 200;

/// Something to measure: each call does it once.
pub type Part = (String, Box<dyn FnMut()>);

/// All there are. Their log, and their index of so many rows, go into `dir`, which is there and
/// empty.
///
/// # Errors
/// If the system refuses something in `dir`.
pub fn parts(dir: &Path, index_rows: u64) -> Result<Vec<Part>, OpenError> {
    let mut parts = vec![frame(300), frame(3_000)];
    for recipients in [2, 50, 500] {
        parts.extend(records(&send(recipients)));
    }
    parts.extend(row_parts());
    parts.push(page(dir)?);
    parts.extend(index(dir, index_rows)?);
    Ok(parts)
}

fn part(name: impl Into<String>, run: impl FnMut() + 'static) -> Part {
    (name.into(), Box::new(run))
}

fn frame(bytes: usize) -> Part {
    let (head, rest) = (vec![7; bytes - 30], vec![9; 30]);
    let mut out = Vec::new();
    let place = log::Place { lsn: Lsn::from_raw(1 << 26), epoch: 5, group_back: 0 };
    part(format!("frame encode/{bytes} bytes"), move || {
        out.clear();
        log::encode(&mut out, black_box(place), record::SEND, black_box(&head), &rest);
        black_box(&out);
    })
}

fn send(recipients: usize) -> Outgoing {
    let member = |number: usize| MemberId::new("member", format!("member-{number:06}"));
    let body = Body::from_stored(Bytes::from("b".repeat(BODY_BYTES))).expect("it is text");
    let known = "the names made here are valid";
    if recipients == 2 {
        let (from, to) = (member(1).expect(known), member(2).expect(known));
        return Outgoing::direct(MessageId(1), from, to, body, None);
    }
    let names = (0..recipients).map(|number| format!("member-{number:06}"));
    let members = Members::new("members", names, recipients).expect(known);
    let group = GroupId::new("group", "group-000001").expect(known);
    Outgoing::group(MessageId(1), group, members, body, None)
}

/// A send whose recipients all have their numbers already, as most have.
fn encode(head: &mut Vec<u8>, rest: &mut Vec<u8>, send: &Outgoing, conversation: &[u8]) {
    head.clear();
    rest.clear();
    let at = UnixMillis(1_700_000_000_000);
    record::put_head(head, send, conversation, Seq::new(70_000), at);
    record::put_rest(rest, None, send.recipients.len());
    for (number, _) in send.recipients.iter().enumerate() {
        record::put_numbered(rest, number as u32 * 100, Seq::new(9_000 + number as u64));
    }
}

fn records(send: &Outgoing) -> [Part; 3] {
    let name = match send.recipients.len() {
        2 => "direct".to_owned(),
        recipients => format!("group {recipients}"),
    };
    let conversation = TimelineId::from(send.conversation.clone()).key();
    let (mut head, mut rest) = (Vec::new(), Vec::new());
    encode(&mut head, &mut rest, send, &conversation);
    let (head_bytes, rest_bytes) = (Bytes::from(head.clone()), rest.clone());
    let send = send.clone();
    [
        part(format!("record encode/{name}"), move || {
            encode(&mut head, &mut rest, black_box(&send), &conversation);
            black_box((&head, &rest));
        }),
        part(format!("record message/{name}"), move || {
            black_box(record::message(black_box(&head_bytes)));
        }),
        part(format!("record recipients/{name}"), move || {
            let decoded = record::Rest::decode(black_box(&rest_bytes));
            decoded.iter().flat_map(record::Rest::recipients).for_each(|one| {
                black_box(one);
            });
        }),
    ]
}

fn row_parts() -> [Part; 4] {
    let refs: Vec<u64> = (1..=rows::CHUNK_ENTRIES).map(|n| n * 40_000).collect();
    let head = rows::Head { first: 1, latest: 96, at: 1 << 40, refs: refs[..32].into() };
    let (head_row, chunk_row) = (head.encode(), rows::encode_chunk(&refs));
    [
        part("chunk encode", move || drop(black_box(rows::encode_chunk(black_box(&refs))))),
        part("chunk decode", move || drop(black_box(rows::decode_chunk(black_box(&chunk_row))))),
        part("head encode", move || drop(black_box(black_box(&head).encode()))),
        part("head decode", move || drop(black_box(rows::Head::decode(black_box(&head_row))))),
    ]
}

/// Messages that the operating system has in memory, among twenty times as many others.
fn page(dir: &Path) -> Result<Part, OpenError> {
    let settings = Settings {
        disk: Arc::new(RealDisk),
        dir: dir.join("log"),
        segment_bytes: log::SEGMENT_BYTES,
        entropy: Arc::new(|| 77),
        background: false,
    };
    let (mut writer, segments) = log::create(&settings, 1)?;
    let send = send(2);
    let conversation = TimelineId::from(send.conversation.clone()).key();
    let (mut head, mut rest) = (Vec::new(), Vec::new());
    encode(&mut head, &mut rest, &send, &conversation);
    let mut lsns: Vec<Lsn> = Vec::new();
    for number in 0..PAGE_FRAMES * 20 {
        let lsn = writer.push(record::SEND, &head, &rest);
        if number % 20 == 0 {
            lsns.push(lsn);
        }
    }
    writer.commit(false).map_err(OpenError::io("write to", dir))?;
    // Opens the segment, which nobody does who may not wait.
    segments.read_many(&lsns[..1]);
    Ok(part(format!("log page/{PAGE_FRAMES} of 200 bytes"), move || {
        let at_once = segments.try_read_many(black_box(&lsns));
        let heads = at_once.unwrap_or_else(|| segments.read_many(&lsns));
        let messages: Vec<_> =
            heads.iter().flatten().filter_map(|head| record::message(&head.head)).collect();
        assert_eq!(messages.len(), PAGE_FRAMES, "every message was written just now");
        black_box(messages);
    }))
}

fn index(dir: &Path, index_rows: u64) -> Result<[Part; 3], OpenError> {
    let dir = dir.join("index");
    let index = Arc::new(Index::open(&dir, &IndexOptions::default())?);
    let key = |number: u64| {
        let member = format!("imember-{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        rows::head_key(member.as_bytes())
    };
    let refs = vec![8 << 20, 9 << 20, 10 << 20];
    let row = rows::Head { first: 1, latest: 67, at: 0, refs: refs.into() }.encode();
    let mut batch = Batch::default();
    (0..index_rows).for_each(|number| batch.put(&key(number), &row));
    index.write(&batch);
    index.flush().map_err(OpenError::index(&dir))?;
    let mut batch = Batch::default();
    batch.put(&key(index_rows), &row);
    index.write(&batch);
    let get = |name: &str, keys: Vec<Vec<u8>>, present: bool| {
        let (index, mut at) = (Arc::clone(&index), 0);
        part(format!("index get/{name}"), move || {
            at = (at + 1) % keys.len();
            let row = index.get(black_box(&keys[at]));
            assert_eq!(row.is_ok_and(|row| row.is_some()), present);
        })
    };
    let tabled = (0..index_rows).step_by(7).map(key).collect();
    let absent = (index_rows + 1..index_rows * 2 + 2).step_by(7).map(key).collect();
    Ok([
        get("in a table", tabled, true),
        get("in memory", vec![key(index_rows)], true),
        get("absent", absent, false),
    ])
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_part_runs() {
        let dir = tempfile::tempdir().unwrap();
        for (_, mut run) in super::parts(dir.path(), 100).unwrap() {
            run();
            run();
        }
    }
}
