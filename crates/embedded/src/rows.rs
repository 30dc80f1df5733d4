//! Every key and row of the index. Keys are big-endian, so that byte order is order.
//!
//! `docs/format.md` describes the same bytes for people; a change here is a new format version.
//! The index itself adds a checksum to each row and verifies it.

use seqline_core::clock::UnixMillis;
use seqline_core::fanout::Digest;
use seqline_core::id::MessageId;
use seqline_core::seq::Seq;
use seqline_core::store::Receipt;

use crate::varint;

/// Entries of a full chunk.
pub(crate) const CHUNK_ENTRIES: u64 = 64;
/// Frames of the log stand at multiples of this, so references leave the lowest bits out.
const LSN_STEP: u64 = 8;

/// Timelines: their heads and chunks.
const TIMELINE: u8 = b't';
/// Idempotency keys and the answers they got.
const KEY: u8 = b'k';
/// Idempotency keys by the time they were taken.
const EXPIRY: u8 = b'x';

/// The segment from which the log must be replayed, 8 bytes.
pub(crate) const REPLAY: &[u8] = b"m/replay";

/// Before every key of a timeline's rows.
pub(crate) const TIMELINES_START: &[u8] = &[TIMELINE];
/// Past every key of a timeline's rows.
pub(crate) const TIMELINES_END: &[u8] = &[TIMELINE + 1];
/// Before every idempotency key by time.
pub(crate) const EXPIRIES_START: &[u8] = &[EXPIRY];
/// Past every idempotency key by time.
pub(crate) const EXPIRIES_END: &[u8] = &[EXPIRY + 1];
/// Before every idempotency key.
pub(crate) const KEYS_START: &[u8] = &[KEY];
/// Past every idempotency key.
pub(crate) const KEYS_END: &[u8] = &[KEY + 1];

/// `t`, the length of the timeline's key in two bytes, the key.
pub(crate) fn head_key(timeline: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(timeline.len() + 11);
    put_prefix(&mut key, TIMELINE, timeline);
    key
}

/// The head's key, then the chunk's number: chunk n has the entries from 64 n + 1 on.
pub(crate) fn chunk_key(timeline: &[u8], chunk: u64) -> Vec<u8> {
    let mut key = head_key(timeline);
    key.extend_from_slice(&chunk.to_be_bytes());
    key
}

fn put_prefix(out: &mut Vec<u8>, kind: u8, timeline: &[u8]) {
    let length = u16::try_from(timeline.len()).expect("ids are far shorter than 64 KiB");
    out.push(kind);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(timeline);
}

/// A row of a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimelineRow<'a> {
    /// The head of the timeline with this key.
    Head(&'a [u8]),
    /// A chunk of the timeline with this key.
    Chunk(&'a [u8], u64),
}

/// What the row under `key` is; `None` if no timeline has such a key.
pub(crate) fn decode_timeline_key(key: &[u8]) -> Option<TimelineRow<'_>> {
    let (timeline, rest) = split_prefix(key, TIMELINE)?;
    match rest {
        [] => Some(TimelineRow::Head(timeline)),
        _ => Some(TimelineRow::Chunk(timeline, u64::from_be_bytes(rest.try_into().ok()?))),
    }
}

fn split_prefix(key: &[u8], kind: u8) -> Option<(&[u8], &[u8])> {
    let (length, rest) = key.strip_prefix(&[kind])?.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// The chunk that has the entry at `seq`.
pub(crate) fn chunk_of(seq: u64) -> u64 {
    (seq - 1) / CHUNK_ENTRIES
}

/// The first entry of the chunk that has, or will have, the entry at `seq`.
pub(crate) fn chunk_start(seq: u64) -> u64 {
    chunk_of(seq) * CHUNK_ENTRIES + 1
}

/// Places of frames in the log. Most timelines are conversations of two with few entries, which
/// need no memory of their own.
pub(crate) type Refs = smallvec::SmallVec<[u64; 2]>;

/// What is known of a timeline, and its newest entries, as many as fill no chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// The oldest entry that is left.
    pub(crate) first: u64,
    /// The newest entry.
    pub(crate) latest: u64,
    /// When the newest message came; 0 for an inbox.
    pub(crate) at: u64,
    /// The entries after the last full chunk, oldest first.
    pub(crate) refs: Refs,
}

impl Head {
    /// The position of the first of `refs`; one past `latest` if there are none.
    pub(crate) fn base(&self) -> u64 {
        self.latest - self.refs.len() as u64 + 1
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(8 + self.refs.len() * 4);
        varint::put(&mut row, self.first);
        varint::put(&mut row, self.latest);
        varint::put(&mut row, self.at);
        put_refs(&mut row, &self.refs);
        row
    }

    /// `None` if the row is no head.
    pub(crate) fn decode(mut row: &[u8]) -> Option<Head> {
        let first = varint::take(&mut row)?;
        let latest = varint::take(&mut row)?;
        let at = varint::take(&mut row)?;
        let count = (latest % CHUNK_ENTRIES) as usize;
        let refs = Refs::from_vec(take_refs(row, count)?);
        (1 <= first && first <= latest).then_some(Head { first, latest, at, refs })
    }
}

/// The row of a full chunk: the place of each entry's frame, as steps from the one before.
pub(crate) fn encode_chunk(refs: &[u64]) -> Vec<u8> {
    let mut row = Vec::with_capacity(8 + refs.len() * 4);
    put_refs(&mut row, refs);
    row
}

/// What [`encode_chunk`] wrote; `None` if the row is no full chunk.
pub(crate) fn decode_chunk(row: &[u8]) -> Option<Vec<u64>> {
    take_refs(row, CHUNK_ENTRIES as usize)
}

fn put_refs(out: &mut Vec<u8>, refs: &[u64]) {
    let mut before = 0;
    for lsn in refs {
        debug_assert!(*lsn > before && lsn % LSN_STEP == 0, "references rise, step by step");
        varint::put(out, (lsn - before) / LSN_STEP);
        before = *lsn;
    }
}

/// Exactly `count` references, each above the one before, and nothing after them.
fn take_refs(mut row: &[u8], count: usize) -> Option<Vec<u64>> {
    let mut refs = Vec::with_capacity(count);
    let mut before = 0_u64;
    for _ in 0..count {
        let step = varint::take(&mut row)?.checked_mul(LSN_STEP)?;
        let lsn = before.checked_add(step)?;
        if lsn <= before {
            return None;
        }
        refs.push(lsn);
        before = lsn;
    }
    row.is_empty().then_some(refs)
}

/// `k`, the length of the conversation's key in two bytes, the key, the idempotency key.
pub(crate) fn key_key(conversation: &[u8], key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(3 + conversation.len() + key.len());
    put_prefix(&mut out, KEY, conversation);
    out.extend_from_slice(key);
    out
}

/// Whether [`key_key`] can have made `key`.
pub(crate) fn is_key_key(key: &[u8]) -> bool {
    split_prefix(key, KEY).is_some_and(|(_, key)| !key.is_empty())
}

/// `x`, the message's time in milliseconds, then the rest of the [`key_key`].
pub(crate) fn expiry_key(at: u64, key: &[u8]) -> Vec<u8> {
    [&[EXPIRY], &at.to_be_bytes()[..], &key[1..]].concat()
}

/// The time, and the [`key_key`], in a key that [`expiry_key`] made.
pub(crate) fn decode_expiry_key(key: &[u8]) -> Option<(u64, Vec<u8>)> {
    let (at, rest) = key.strip_prefix(&[EXPIRY])?.split_first_chunk::<8>()?;
    let key = [&[KEY], rest].concat();
    is_key_key(&key).then(|| (u64::from_be_bytes(*at), key))
}

/// The first answer that an idempotency key got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// What was sent.
    pub(crate) digest: Digest,
    /// What was answered.
    pub(crate) receipt: Receipt,
}

impl Answer {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(72);
        row.extend_from_slice(&self.digest.0);
        row.extend_from_slice(&self.receipt.id.0.to_le_bytes());
        varint::put(&mut row, self.receipt.conversation_seq.get());
        varint::put(&mut row, self.receipt.receiver_seq.get());
        varint::put(&mut row, self.receipt.at.0);
        row
    }

    /// `None` if the row is no answer.
    pub(crate) fn decode(row: &[u8]) -> Option<Answer> {
        let (digest, row) = row.split_first_chunk::<32>()?;
        let (id, mut row) = row.split_first_chunk::<16>()?;
        let receipt = Receipt {
            id: MessageId(u128::from_le_bytes(*id)),
            conversation_seq: Seq::new(varint::take(&mut row)?),
            receiver_seq: Seq::new(varint::take(&mut row)?),
            at: UnixMillis(varint::take(&mut row)?),
            repeat: false,
        };
        row.is_empty().then_some(Answer { digest: Digest(*digest), receipt })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_chunks_and_answers_come_back() {
        let refs: Vec<u64> = (1..=CHUNK_ENTRIES).map(|n| n * n * 8).collect();
        assert_eq!(decode_chunk(&encode_chunk(&refs)), Some(refs.clone()));
        assert_eq!(decode_chunk(&encode_chunk(&refs[..63])), None);
        for latest in [1, 63, 64, 65, 200] {
            let count = (latest % 64) as usize;
            let head = Head { first: 1, latest, at: 7, refs: refs[..count].into() };
            assert_eq!(Head::decode(&head.encode()), Some(head.clone()));
            assert_eq!(head.base(), chunk_start(latest + 1).min(latest + 1));
        }
        let receipt = Receipt {
            id: MessageId(5),
            conversation_seq: Seq::new(6),
            receiver_seq: Seq::new(700),
            at: UnixMillis(8),
            repeat: false,
        };
        let answer = Answer { digest: Digest([3; 32]), receipt };
        assert_eq!(Answer::decode(&answer.encode()), Some(answer));
    }

    #[test]
    fn no_timeline_stands_between_the_rows_of_another() {
        let mut keys = Vec::new();
        for timeline in [&b"ia"[..], b"ia\0", b"ia\0\0\0\0\0\0\0\0", b"iaa", b"gab", b"ib"] {
            keys.push((head_key(timeline), timeline));
            keys.push((chunk_key(timeline, 0), timeline));
            keys.push((chunk_key(timeline, u64::MAX), timeline));
        }
        keys.sort();
        for group in keys.chunks(3) {
            assert!(group.iter().all(|(_, timeline)| *timeline == group[0].1));
            assert_eq!(decode_timeline_key(&group[0].0), Some(TimelineRow::Head(group[0].1)));
            assert_eq!(decode_timeline_key(&group[1].0), Some(TimelineRow::Chunk(group[1].1, 0)));
        }
    }

    #[test]
    fn an_expiry_names_its_key() {
        let key = key_key(b"ga", b"k");
        assert!(is_key_key(&key));
        assert_eq!(decode_expiry_key(&expiry_key(9, &key)), Some((9, key)));
    }
}
