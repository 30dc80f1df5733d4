//! Idempotency keys: what each got as its answer, for as long as the window lasts.

use std::time::Duration;

use fjall::{OwnedWriteBatch, Readable as _};
use seqline_core::clock::UnixMillis;
use seqline_core::fanout::Digest;
use seqline_core::id::MessageId;
use seqline_core::seq::Seq;
use seqline_core::store::Receipt;
use seqline_core::{Error, Result};

use crate::engine::Engine;
use crate::error;
use crate::keys;

/// Most keys forgotten in one step, so that no send waits long for it.
const EXPIRED_PER_STEP: usize = 2_048;
/// Keys are forgotten at most this much too late.
const STEP_MILLIS: u64 = 1_000;
const ROW_BYTES: usize = 76;

/// The first answer that a key got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) digest: Digest,
    pub(crate) receipt: Receipt,
}

impl Answer {
    /// What a send with the same key gets.
    pub(crate) fn again(&self, digest: Option<Digest>) -> Result<Receipt> {
        if digest == Some(self.digest) {
            Ok(Receipt { repeat: true, ..self.receipt })
        } else {
            Err(Error::Conflict)
        }
    }

    /// The row under `key`: a checksum over key and row, then the fields.
    pub(crate) fn encode(&self, key: &[u8]) -> [u8; ROW_BYTES] {
        let mut row = [0; ROW_BYTES];
        row[4..36].copy_from_slice(&self.digest.0);
        row[36..52].copy_from_slice(&self.receipt.id.0.to_be_bytes());
        row[52..60].copy_from_slice(&self.receipt.conversation_seq.get().to_be_bytes());
        row[60..68].copy_from_slice(&self.receipt.receiver_seq.get().to_be_bytes());
        row[68..76].copy_from_slice(&self.receipt.at.0.to_be_bytes());
        let checksum = crc32c::crc32c_append(crc32c::crc32c(key), &row[4..]);
        row[..4].copy_from_slice(&checksum.to_be_bytes());
        row
    }

    /// The answer in the row `key`, `row`; `None` if it is damaged.
    pub(crate) fn decode(key: &[u8], row: &[u8]) -> Option<Answer> {
        let row: &[u8; ROW_BYTES] = row.try_into().ok()?;
        let checksum = crc32c::crc32c_append(crc32c::crc32c(key), &row[4..]);
        if row[..4] != checksum.to_be_bytes() {
            return None;
        }
        let number = |at: usize| keys::decode_u64(&row[at..at + 8]);
        Some(Answer {
            digest: Digest(row[4..36].try_into().ok()?),
            receipt: Receipt {
                id: MessageId(u128::from_be_bytes(row[36..52].try_into().ok()?)),
                conversation_seq: Seq::new(number(52)?),
                receiver_seq: Seq::new(number(60)?),
                at: UnixMillis(number(68)?),
                repeat: false,
            },
        })
    }
}

/// The window, and how far the forgetting has come.
pub(crate) struct Dedupe {
    window_millis: u64,
    /// Everything before it is forgotten; looking there again would cross all the deletions.
    forgotten_to: Vec<u8>,
    next_step: UnixMillis,
}

impl Dedupe {
    pub(crate) fn new(window: Duration) -> Dedupe {
        Dedupe {
            window_millis: u64::try_from(window.as_millis()).unwrap_or(u64::MAX),
            forgotten_to: keys::EXPIRY_START.to_vec(),
            next_step: UnixMillis(0),
        }
    }

    /// The answer that `key`, made by [`keys::dedupe`], got within the window.
    pub(crate) fn find(
        &self,
        engine: &Engine,
        key: &[u8],
        now: UnixMillis,
    ) -> Result<Option<Answer>> {
        let Some(row) = engine.dedupe.get(key).map_err(error::engine)? else { return Ok(None) };
        let answer = Answer::decode(key, &row).ok_or_else(|| {
            error::corrupt(&"idempotency keys", Seq::ZERO, "the answer's checksum does not match")
        })?;
        Ok(Some(answer).filter(|a| !self.expired(a.receipt.at, now)))
    }

    /// Puts the answer of `key` into `batch`.
    pub(crate) fn put(
        &mut self,
        engine: &Engine,
        batch: &mut OwnedWriteBatch,
        key: &[u8],
        answer: &Answer,
    ) {
        let expiry = keys::expiry(answer.receipt.at.0, key);
        // The clock stepped back: this one lies before what was forgotten.
        if expiry < self.forgotten_to {
            self.forgotten_to = keys::EXPIRY_START.to_vec();
        }
        batch.insert(&engine.dedupe, key, answer.encode(key));
        batch.insert(&engine.dedupe, expiry, &[][..]);
    }

    /// Puts the deletion of some expired keys into `batch`; says whether there may be more.
    pub(crate) fn expire(
        &mut self,
        engine: &Engine,
        batch: &mut OwnedWriteBatch,
        now: UnixMillis,
    ) -> Result<bool> {
        let due = now >= self.next_step || now.0.saturating_add(STEP_MILLIS) < self.next_step.0;
        if !due {
            return Ok(false);
        }
        let snapshot = engine.snapshot();
        let range = self.forgotten_to.as_slice()..keys::EXPIRY_END;
        let mut last = None;
        let mut count = 0;
        for row in snapshot.range(&engine.dedupe, range) {
            let expiry = row.key().map_err(error::engine)?;
            let Some((at, key)) = keys::decode_expiry(&expiry) else {
                return Err(error::corrupt(&"idempotency keys", Seq::ZERO, "a time is cut off"));
            };
            if !self.expired(UnixMillis(at), now) || count == EXPIRED_PER_STEP {
                break;
            }
            // The same key may have been taken again since; then its row is not this one's.
            let row = snapshot.get(&engine.dedupe, &key).map_err(error::engine)?;
            let answer = row.and_then(|row| Answer::decode(&key, &row));
            if answer.is_some_and(|a| a.receipt.at.0 == at) {
                batch.remove(&engine.dedupe, key);
            }
            batch.remove(&engine.dedupe, expiry.clone());
            last = Some(expiry);
            count += 1;
        }
        if let Some(last) = last {
            self.forgotten_to = last.to_vec();
        }
        let more = count == EXPIRED_PER_STEP;
        self.next_step = if more { now } else { UnixMillis(now.0.saturating_add(STEP_MILLIS)) };
        Ok(more)
    }

    fn expired(&self, at: UnixMillis, now: UnixMillis) -> bool {
        at.0.saturating_add(self.window_millis) <= now.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_back_as_it_was_and_damage_is_noticed() {
        let receipt = Receipt {
            id: MessageId(5),
            conversation_seq: Seq::new(6),
            receiver_seq: Seq::new(7),
            at: UnixMillis(8),
            repeat: false,
        };
        let answer = Answer { digest: Digest([3; 32]), receipt };
        let row = answer.encode(b"key");
        assert_eq!(Answer::decode(b"key", &row), Some(answer));
        assert_eq!(Answer::decode(b"kez", &row), None);
        for byte in 0..row.len() {
            let mut broken = row;
            broken[byte] ^= 1;
            assert_eq!(Answer::decode(b"key", &broken), None, "byte {byte}");
        }
        assert_eq!(
            answer.again(Some(Digest([3; 32]))).unwrap(),
            Receipt { repeat: true, ..receipt }
        );
        assert!(matches!(answer.again(Some(Digest([4; 32]))), Err(Error::Conflict)));
    }
}
