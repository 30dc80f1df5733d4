//! Every key in the store, and the fixed-size values. Big-endian, so that byte order is order.
//!
//! `docs/format.md` describes the same bytes for people; a change here is a new format version.

use seqline_core::seq::Seq;

/// A timeline's number in this store: 8 bytes instead of an id of up to 2 KiB in every key.
pub(crate) type TimelineNumber = u64;

/// In `names`: from a timeline's key to its number.
const NAME: u8 = b'k';
/// In `names`: from a timeline's number to its key.
const NUMBER: u8 = b'n';
/// In `meta`: the oldest entry that is left of a trimmed timeline.
const FLOOR: u8 = b'f';
/// In `meta`: a trimmed inbox whose entries are still to be deleted.
const PURGE: u8 = b'p';
/// In `dedupe`: an idempotency key and the answer it got.
const KEY: u8 = b'k';
/// In `dedupe`: idempotency keys by the time they were taken.
const TIME: u8 = b't';

/// In `meta`: the epoch, 8 bytes.
pub(crate) const EPOCH: &[u8] = b"epoch";

/// Length of the key of a message or an inbox entry.
pub(crate) const ENTRY_BYTES: usize = 16;

/// `names`: `k`, then [`seqline_core::id::TimelineId::key`].
pub(crate) fn name(timeline: &[u8]) -> Vec<u8> {
    [&[NAME], timeline].concat()
}

/// The timeline's key in a `names` row that [`name`] made.
pub(crate) fn decode_name(key: &[u8]) -> Option<&[u8]> {
    key.strip_prefix(&[NAME])
}

/// `names`: `n`, then the number.
pub(crate) fn number(number: TimelineNumber) -> [u8; 9] {
    tagged(NUMBER, number)
}

/// The number in a `names` row that [`number`] made.
pub(crate) fn decode_number(key: &[u8]) -> Option<TimelineNumber> {
    decode_u64(key.strip_prefix(&[NUMBER])?)
}

/// `meta`: `f`, then the number; the value is the first entry's seq.
pub(crate) fn floor(number: TimelineNumber) -> [u8; 9] {
    tagged(FLOOR, number)
}

/// The number in a `meta` row that [`floor`] made.
pub(crate) fn decode_floor(key: &[u8]) -> Option<TimelineNumber> {
    decode_u64(key.strip_prefix(&[FLOOR])?)
}

/// `meta`: `p`, then the number; the value is the oldest seq not deleted yet.
pub(crate) fn purge(number: TimelineNumber) -> [u8; 9] {
    tagged(PURGE, number)
}

/// The number in a `meta` row that [`purge`] made.
pub(crate) fn decode_purge(key: &[u8]) -> Option<TimelineNumber> {
    decode_u64(key.strip_prefix(&[PURGE])?)
}

/// `messages` and `inbox`: the timeline's number, then the seq.
pub(crate) fn entry(number: TimelineNumber, seq: Seq) -> [u8; ENTRY_BYTES] {
    pair(number, seq.get())
}

/// What [`entry`] and [`reference`] encoded.
pub(crate) fn decode_entry(bytes: &[u8]) -> Option<(TimelineNumber, Seq)> {
    let (number, seq) = bytes.split_at_checked(8)?;
    Some((decode_u64(number)?, Seq::new(decode_u64(seq)?)))
}

/// The value of an inbox entry: the conversation's number, then the seq there.
pub(crate) fn reference(conversation: TimelineNumber, seq: Seq) -> [u8; ENTRY_BYTES] {
    pair(conversation, seq.get())
}

/// `dedupe`: `k`, the conversation's number, the idempotency key.
pub(crate) fn dedupe(conversation: TimelineNumber, key: &[u8]) -> Vec<u8> {
    [&[KEY], &conversation.to_be_bytes()[..], key].concat()
}

/// `dedupe`: `t`, the message's time in milliseconds, then the rest of the [`dedupe`] key.
pub(crate) fn expiry(at: u64, dedupe: &[u8]) -> Vec<u8> {
    [&[TIME], &at.to_be_bytes()[..], &dedupe[1..]].concat()
}

/// The time, and the [`dedupe`] key, in a row that [`expiry`] made.
pub(crate) fn decode_expiry(key: &[u8]) -> Option<(u64, Vec<u8>)> {
    let (at, rest) = key.strip_prefix(&[TIME])?.split_at_checked(8)?;
    (rest.len() > 8).then(|| Some((decode_u64(at)?, [&[KEY], rest].concat())))?
}

/// The conversation's number in a [`dedupe`] key.
pub(crate) fn decode_dedupe(key: &[u8]) -> Option<TimelineNumber> {
    decode_u64(key.strip_prefix(&[KEY])?.get(..8)?)
}

/// Keys below `below` and from `from` on: all that [`expiry`] made before some time.
pub(crate) const EXPIRY_START: &[u8] = &[TIME];
/// Past every key that [`expiry`] made.
pub(crate) const EXPIRY_END: &[u8] = &[TIME + 1];
/// Before every key that [`purge`] made.
pub(crate) const PURGE_START: &[u8] = &[PURGE];
/// Past every key that [`purge`] made.
pub(crate) const PURGE_END: &[u8] = &[PURGE + 1];
/// Before every key that [`number`] made.
pub(crate) const NUMBER_START: &[u8] = &[NUMBER];
/// Past every key that [`number`] made.
pub(crate) const NUMBER_END: &[u8] = &[NUMBER + 1];

/// The 8 bytes of a number.
pub(crate) fn decode_u64(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

fn tagged(tag: u8, number: u64) -> [u8; 9] {
    let mut key = [tag; 9];
    key[1..].copy_from_slice(&number.to_be_bytes());
    key
}

fn pair(high: u64, low: u64) -> [u8; ENTRY_BYTES] {
    ((u128::from(high) << 64) | u128::from(low)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn entry_keys_sort_like_timeline_and_seq(a: (u64, i64), b: (u64, i64)) {
            let seq = |n: i64| Seq::from_cursor(n);
            let (left, right) = ((a.0, seq(a.1)), (b.0, seq(b.1)));
            let (left_key, right_key) = (entry(left.0, left.1), entry(right.0, right.1));
            prop_assert_eq!(left.cmp(&right), left_key.cmp(&right_key));
            prop_assert_eq!(decode_entry(&left_key), Some(left));
            prop_assert_eq!(decode_entry(&reference(left.0, left.1)), Some(left));
        }

        #[test]
        fn every_key_decodes_to_what_made_it(
            n: u64,
            t: u64,
            key in prop::collection::vec(0u8.., 1..300),
        ) {
            prop_assert_eq!(decode_number(&number(n)), Some(n));
            prop_assert_eq!(decode_floor(&floor(n)), Some(n));
            prop_assert_eq!(decode_purge(&purge(n)), Some(n));
            let named = name(&key);
            prop_assert_eq!(decode_name(&named), Some(&key[..]));
            let row = dedupe(n, &key);
            prop_assert_eq!(decode_dedupe(&row), Some(n));
            prop_assert_eq!(decode_expiry(&expiry(t, &row)), Some((t, row)));
        }

        #[test]
        fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(0u8.., 0..40)) {
            let _ = (decode_entry(&bytes), decode_expiry(&bytes), decode_dedupe(&bytes));
            let _ = (decode_number(&bytes), decode_floor(&bytes), decode_purge(&bytes));
        }

        #[test]
        fn expiry_keys_sort_by_time(a: (u64, u64), b: (u64, u64)) {
            prop_assume!(a.0 != b.0);
            let key = |(t, n)| expiry(t, &dedupe(n, b"x"));
            prop_assert_eq!(a.0.cmp(&b.0), key(a).cmp(&key(b)));
            prop_assert!(key(a).as_slice() > EXPIRY_START && key(a).as_slice() < EXPIRY_END);
        }
    }

    #[test]
    fn rows_of_one_keyspace_never_share_a_key() {
        assert!(!number(7).starts_with(&[NAME]) && !name(b"x").starts_with(&[NUMBER]));
        assert!(floor(1) != purge(1) && floor(1) != EPOCH && purge(1) != EPOCH);
    }
}
