//! Positions of pages and receipts, as the wire carries them.

use seqline_core::page::Page;
use seqline_core::seq::Seq;
use seqline_core::store::Receipt;

/// A position as the wire's `int64`.
pub fn seq(seq: Seq) -> i64 {
    // A Seq never passes `i64::MAX`.
    seq.get().cast_signed()
}

/// `SendMessageReply.sequence`: the position in the receiver's inbox.
pub fn sequence(receipt: &Receipt) -> i64 {
    seq(receipt.receiver_seq)
}

/// `SyncMessageReply.latest_seq`: the newest readable entry, 0 if there never was one.
pub fn latest_seq(page: &Page) -> i64 {
    seq(page.bounds.latest)
}

/// `SyncMessageReply.entry_set_last_seq`: the last entry of this page, 0 if it has none.
pub fn entry_set_last_seq(page: &Page) -> i64 {
    page.entries.last().map_or(0, |entry| seq(entry.seq))
}
