//! Replies into bytes. A field with its default is left out, as proto3 wants it.

use bytes::{BufMut as _, BytesMut};
use seqline_core::page::{Entry, Page};
use seqline_core::store::Receipt;

use crate::convert::reply;

/// `SendMessageReply`.
pub fn send(receipt: &Receipt, out: &mut BytesMut) {
    put_integer(1, reply::sequence(receipt), out);
}

/// `SyncMessageReply`.
pub fn sync(page: &Page, out: &mut BytesMut) {
    let (latest, last) = (reply::latest_seq(page), reply::entry_set_last_seq(page));
    out.reserve(integer_len(latest) + integer_len(last) + entries_len(page));
    put_integer(1, latest, out);
    put_integer(2, last, out);
    put_entries(3, page, out);
}

/// `GetSingleHistoryMessageReply` and `GetGroupHistoryMessageReply`, which are alike.
pub fn history(page: &Page, out: &mut BytesMut) {
    out.reserve(entries_len(page));
    put_entries(1, page, out);
}

fn put_entries(number: u8, page: &Page, out: &mut BytesMut) {
    for entry in &page.entries {
        out.put_u8(number << 3 | 2);
        put_varint(entry_len(entry) as u64, out);
        put_integer(1, reply::seq(entry.seq), out);
        let body = entry.message.body.as_str().as_bytes();
        out.put_u8(2 << 3 | 2);
        put_varint(body.len() as u64, out);
        out.put_slice(body);
    }
}

fn entries_len(page: &Page) -> usize {
    let one = |entry| {
        let length = entry_len(entry);
        1 + varint_len(length as u64) + length
    };
    page.entries.iter().map(one).sum()
}

/// Length of one `TimelineEntry`. Its body is never empty: the shortest is `{}`.
fn entry_len(entry: &Entry) -> usize {
    let body = entry.message.body.len();
    integer_len(reply::seq(entry.seq)) + 1 + varint_len(body as u64) + body
}

fn put_integer(number: u8, value: i64, out: &mut BytesMut) {
    if value != 0 {
        out.put_u8(number << 3);
        put_varint(value.cast_unsigned(), out);
    }
}

fn integer_len(value: i64) -> usize {
    if value == 0 { 0 } else { 1 + varint_len(value.cast_unsigned()) }
}

fn put_varint(mut value: u64, out: &mut BytesMut) {
    while value >= 0x80 {
        out.put_u8((value as u8) | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// How many bytes a varint takes: seven bits each, at least one.
fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}
