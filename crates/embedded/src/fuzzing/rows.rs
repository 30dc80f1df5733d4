//! Rows and keys of the index.

use std::cmp::Ordering;

use seqline_core::clock::UnixMillis;
use seqline_core::fanout::Digest;
use seqline_core::id::MessageId;
use seqline_core::seq::Seq;
use seqline_core::store::Receipt;

use super::Input;
use crate::rows::{self, Answer, CHUNK_ENTRIES, Head, TimelineRow};

/// Takes `data` for every kind of row and key, and as a recipe for each.
pub fn rows(data: &[u8]) {
    if let Some(head) = Head::decode(data) {
        assert!(head.encode().len() <= data.len());
        check_head(&head);
    }
    if let Some(refs) = rows::decode_chunk(data) {
        assert!(rows::encode_chunk(&refs).len() <= data.len());
        check_chunk(&refs);
    }
    if let Some(answer) = Answer::decode(data) {
        assert!(answer.encode().len() <= data.len());
        assert_eq!(Answer::decode(&answer.encode()), Some(answer));
    }
    keys(data);
    let mut input = Input::new(data);
    made_rows(&mut input);
    made_keys(&mut input);
}

fn check_head(head: &Head) {
    assert!(1 <= head.first && head.first <= head.latest);
    assert_eq!(head.refs.len() as u64, head.latest % CHUNK_ENTRIES);
    // Beyond the last chunk there would be positions past the largest number.
    assert_eq!(head.base(), head.latest / CHUNK_ENTRIES * CHUNK_ENTRIES + 1);
    assert_eq!(rows::chunk_start(head.base()), head.base());
    assert!(rising(&head.refs));
    assert_eq!(Head::decode(&head.encode()).as_ref(), Some(head));
}

fn check_chunk(refs: &[u64]) {
    assert!(refs.len() as u64 == CHUNK_ENTRIES && rising(refs));
    assert_eq!(rows::decode_chunk(&rows::encode_chunk(refs)).as_deref(), Some(refs));
}

fn rising(refs: &[u64]) -> bool {
    refs.iter().all(|lsn| *lsn > 0 && lsn % 8 == 0) && refs.is_sorted_by(|one, next| one < next)
}

/// A key decodes only to what makes it.
fn keys(data: &[u8]) {
    match rows::decode_timeline_key(data) {
        None => {}
        Some(TimelineRow::Head(timeline)) => assert_eq!(rows::head_key(timeline), data),
        Some(TimelineRow::Chunk(timeline, chunk)) => {
            assert_eq!(rows::chunk_key(timeline, chunk), data);
        }
    }
    if let Some((at, key)) = rows::decode_expiry_key(data) {
        assert_eq!(rows::expiry_key(at, &key), data);
        assert!(rows::is_key_key(&key));
    }
    if rows::is_key_key(data) {
        let expiry = rows::expiry_key(7, data);
        assert_eq!(rows::decode_expiry_key(&expiry), Some((7, data.to_vec())));
    }
}

fn made_rows(input: &mut Input<'_>) {
    let steps = std::iter::from_fn(|| Some(u64::from(input.word()) * 8 + 8));
    let sum = |before: &mut u64, step: u64| {
        *before += step;
        Some(*before)
    };
    let refs: Vec<u64> = steps.scan(0, sum).take(CHUNK_ENTRIES as usize).collect();
    check_chunk(&refs);
    assert_eq!(rows::decode_chunk(&rows::encode_chunk(&refs[1..])), None);
    let latest = input.number().max(1);
    let first = input.number().clamp(1, latest);
    let refs = refs[..(latest % CHUNK_ENTRIES) as usize].to_vec();
    check_head(&Head { first, latest, at: input.number(), refs: refs.into() });
    let receipt = Receipt {
        id: MessageId(u128::from(input.long())),
        conversation_seq: Seq::new(input.number()),
        receiver_seq: Seq::new(input.number()),
        at: UnixMillis(input.number()),
        repeat: false,
    };
    let answer = Answer { digest: Digest([input.byte(); 32]), receipt };
    assert_eq!(Answer::decode(&answer.encode()), Some(answer));
}

/// The keys of two timelines never mix, and are ordered as their chunks are.
fn made_keys(input: &mut Input<'_>) {
    let (one, other) = (input.piece(), input.piece());
    let (chunk, far) = (input.number(), input.number());
    let heads = rows::head_key(one).cmp(&rows::head_key(other));
    for chunk in [chunk, far] {
        let key = rows::chunk_key(one, chunk);
        assert_eq!(rows::decode_timeline_key(&key), Some(TimelineRow::Chunk(one, chunk)));
        if heads != Ordering::Equal {
            assert_eq!(key.cmp(&rows::head_key(other)), heads);
            assert_eq!(key.cmp(&rows::chunk_key(other, far)), heads);
        }
    }
    assert_eq!(rows::chunk_key(one, chunk).cmp(&rows::chunk_key(one, far)), chunk.cmp(&far));
    assert!(rows::head_key(one) < rows::chunk_key(one, 0));
    let key = rows::key_key(one, other);
    assert_eq!(rows::is_key_key(&key), !other.is_empty());
    if !other.is_empty() {
        assert_eq!(rows::decode_expiry_key(&rows::expiry_key(far, &key)), Some((far, key)));
    }
}
