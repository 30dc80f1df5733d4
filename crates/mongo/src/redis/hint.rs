//! The bytes of a hint in Redis, its key and its value, and the key of a claim. Pure.
//!
//! Key: `seqline:DATABASE:EPOCH:MEMBER`, the epoch in 16 hexadecimal digits, the database's name
//! with `%` and `:` escaped so that no two lots of keys can meet. Value: `SEQ MILLIS CHECK`. The
//! key of a claim of the same inbox has `!` before the member, and any value.
//!
//! Nothing is decided by a hint. One that lies too high makes instances read on every send, so the
//! value carries a check over its key and its numbers: a value that was cut, changed, counted up or
//! copied from another key is none at all. The check is against accidents; whoever means harm and
//! may write to Redis can compute it.

use std::fmt::Write as _;
use std::time::Duration;

use seqline_core::clock::UnixMillis;
use seqline_core::id::Epoch;
use seqline_core::seq::Seq;
use sha2::{Digest as _, Sha256};

use crate::hints::Hint;

/// How far the clock of another instance may be ahead. A hint from further on is refused, since
/// nobody knows how old it is.
const CLOCK_AHEAD_MAX: Duration = Duration::from_secs(30);

/// Nothing that was written here is longer: two numbers of 20 digits and the check.
const VALUE_BYTES_MAX: usize = 2 * 21 + CHECK_DIGITS;

const CHECK_DIGITS: usize = 16;

/// What the keys of one database begin with, the epoch left out.
pub(super) fn prefix(database: &str) -> String {
    format!("seqline:{}:", database.replace('%', "%25").replace(':', "%3A"))
}

/// The key of a member's inbox. `prefix` comes from [`prefix`].
pub(super) fn key(prefix: &str, epoch: Epoch, member: &[u8]) -> Vec<u8> {
    named(prefix, epoch, b':', member)
}

/// The key that is there while an instance claims a member's inbox.
pub(super) fn claim_key(prefix: &str, epoch: Epoch, member: &[u8]) -> Vec<u8> {
    named(prefix, epoch, b'!', member)
}

fn named(prefix: &str, epoch: Epoch, kind: u8, member: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(prefix.len() + 17 + member.len());
    key.extend_from_slice(prefix.as_bytes());
    key.extend_from_slice(epoch.to_string().as_bytes());
    key.push(kind);
    key.extend_from_slice(member);
    key
}

/// The value of a hint under this key.
pub(super) fn value(key: &[u8], hint: Hint) -> String {
    let mut value = format!("{} {}", hint.seq.get(), hint.at.0);
    let check = check(key, &value);
    // Writing to a string cannot fail.
    let _ = write!(value, " {check:016x}");
    value
}

/// The hint in a value that was found under this key, if it is one and not older than `age_max`.
pub(super) fn parse(key: &[u8], value: &[u8], now: UnixMillis, age_max: Duration) -> Option<Hint> {
    if value.len() > VALUE_BYTES_MAX {
        return None;
    }
    let (numbers, found) = std::str::from_utf8(value).ok()?.rsplit_once(' ')?;
    // Compared as text, so that there is one way only to write it.
    if format!("{:016x}", check(key, numbers)) != found {
        return None;
    }
    let (seq, at) = numbers.split_once(' ')?;
    let hint = Hint { seq: Seq::new(seq.parse().ok()?), at: UnixMillis(at.parse().ok()?) };
    let ahead = hint.at.0.saturating_sub(now.0);
    let fresh = u128::from(ahead) <= CLOCK_AHEAD_MAX.as_millis();
    (fresh && remaining(hint.at, now, age_max).is_some()).then_some(hint)
}

/// How long a hint of that time may still be used; `None` if no longer.
pub(super) fn remaining(at: UnixMillis, now: UnixMillis, age_max: Duration) -> Option<Duration> {
    let age = Duration::from_millis(now.0.saturating_sub(at.0));
    age_max.checked_sub(age).filter(|left| left.as_millis() > 0)
}

fn check(key: &[u8], numbers: &str) -> u64 {
    let digest = Sha256::new().chain_update(key).chain_update([0]).chain_update(numbers).finalize();
    let (first, _) = digest.split_first_chunk().expect("a SHA-256 has 32 bytes");
    u64::from_be_bytes(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
    const AGE_MAX: Duration = Duration::from_secs(600);

    fn hint(seq: u64, at: u64) -> Hint {
        Hint { seq: Seq::new(seq), at: UnixMillis(at) }
    }

    fn read(key: &[u8], value: &[u8]) -> Option<Hint> {
        parse(key, value, NOW, AGE_MAX)
    }

    #[test]
    fn what_was_written_is_read_under_its_own_key_only() {
        let prefix = prefix("chat");
        let own = key(&prefix, Epoch(7), b"ann");
        assert_eq!(own, b"seqline:chat:0000000000000007:ann");
        let others = [
            key(&prefix, Epoch(8), b"ann"),
            key(&prefix, Epoch(7), b"bob"),
            key("seqline:chat2:", Epoch(7), b"ann"),
            claim_key(&prefix, Epoch(7), b"ann"),
        ];
        for tail in [0, 1, 4_711, Seq::MAX.get()] {
            let hint = hint(tail, NOW.0 - 5);
            let value = value(&own, hint);
            assert_eq!(read(&own, value.as_bytes()), Some(hint));
            for other in &others {
                assert_eq!(read(other, value.as_bytes()), None);
            }
        }
    }

    #[test]
    fn the_keys_of_two_databases_never_meet() {
        let nested = prefix("a:0000000000000001");
        let strange = key(&nested, Epoch(2), b"m");
        assert_ne!(strange, key(&prefix("a"), Epoch(1), b"0000000000000002:m"));
        assert_ne!(prefix("a:b"), prefix("a%3Ab"));
    }

    #[test]
    fn garbage_and_every_changed_byte_are_no_hint() {
        let key = key(&prefix("chat"), Epoch(7), b"ann");
        let good = value(&key, hint(12, NOW.0));
        for at in 0..good.len() {
            for changed in (0..=255).filter(|b| *b != good.as_bytes()[at]) {
                let mut bad = good.clone().into_bytes();
                bad[at] = changed;
                assert_eq!(read(&key, &bad), None, "{:?}", String::from_utf8_lossy(&bad));
            }
            assert_eq!(read(&key, &good.as_bytes()[..at]), None);
        }
        let long = [b'1'; 1_000];
        for garbage in [&b""[..], b" ", b"12", b"12 13", b"12 13 14", b"\xff\xff", b"null", &long] {
            assert_eq!(read(&key, garbage), None);
        }
        // A tail that somebody has raised, as a counter would be.
        let raised = good.replacen("12", "13", 1);
        assert_eq!(read(&key, raised.as_bytes()), None);
    }

    #[test]
    fn an_old_hint_is_refused_and_one_from_the_future_too() {
        let key = key(&prefix("chat"), Epoch(7), b"ann");
        let age_max = u64::try_from(AGE_MAX.as_millis()).unwrap();
        let ahead = u64::try_from(CLOCK_AHEAD_MAX.as_millis()).unwrap();
        let cases = [
            (NOW.0 - age_max + 1, true),
            (NOW.0 - age_max, false),
            (NOW.0 + ahead, true),
            (NOW.0 + ahead + 1, false),
            (0, false),
            (u64::MAX, false),
        ];
        for (at, usable) in cases {
            let value = value(&key, hint(3, at));
            assert_eq!(read(&key, value.as_bytes()).is_some(), usable, "{at}");
        }
    }
}
