//! The hand-written protobuf beside the generated one: equal on every input.

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use seqline_api::timeline::v1;
use seqline_core::clock::UnixMillis;
use seqline_core::id::{ConversationId, Epoch, GroupId, MessageId};
use seqline_core::message::{Body, Message as Stored};
use seqline_core::page::{Bounds, Entry, Page};
use seqline_core::seq::Seq;

use super::{decode, encode};
use crate::convert::SendGroupRequest;

/// The hand-written decoder's view of a group send, in the generated type.
fn group(request: SendGroupRequest) -> v1::SendGroupRequest {
    let list = request.group_members;
    let name = |(start, length): &(u32, u32)| {
        let id = &list.text[*start as usize..(*start + *length) as usize];
        String::from_utf8(id.to_vec()).unwrap()
    };
    v1::SendGroupRequest {
        group_name: request.group_name.as_str().to_owned(),
        group_members: list.spans.iter().map(name).collect(),
        message: request.message.as_str().to_owned(),
    }
}

/// Holds one decoder to the generated one, which refuses one thing that ours takes: a known
/// number with another wire type. That has a test of its own.
#[track_caller]
fn check<T: Message + Default + PartialEq + std::fmt::Debug>(ours: &Option<T>, bytes: &Bytes) {
    match T::decode(bytes.clone()) {
        Ok(theirs) => assert_eq!(*ours, Some(theirs)),
        Err(error) if error.to_string().contains("invalid wire type: ") => {}
        Err(error) => assert_eq!(*ours, None, "{error}"),
    }
}

/// Every decoder says of `bytes` what the generated code says.
fn agree(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    let own = |text: &seqline_core::id::Text| text.as_str().to_owned();
    let ours = decode::send(&bytes).ok().map(|r| v1::SendMessageRequest {
        from: own(&r.from),
        to: own(&r.to),
        message: own(&r.message),
    });
    check(&ours, &bytes);
    let ours = decode::send_group(&bytes).ok().map(group);
    check(&ours, &bytes);
    let ours = decode::sync(&bytes).ok().map(|r| v1::SyncMessageRequest {
        member: own(&r.member),
        last_read: r.last_read,
        count: r.count,
    });
    check(&ours, &bytes);
    let ours = decode::single_history(&bytes).ok().map(|r| v1::GetSingleHistoryMessageRequest {
        from: own(&r.from),
        to: own(&r.to),
        last_read: r.last_read,
        count: r.count,
    });
    check(&ours, &bytes);
    let ours = decode::group_history(&bytes).ok().map(|r| v1::GetGroupHistoryMessageRequest {
        group: own(&r.group),
        last_read: r.last_read,
        count: r.count,
    });
    check(&ours, &bytes);
}

/// A field as bytes: any small number, any wire type, mostly well formed.
fn field() -> impl Strategy<Value = Vec<u8>> {
    let number = 1u8..=6;
    prop_oneof![
        (number.clone(), any::<u64>()).prop_map(|(n, value)| {
            let mut bytes = vec![n << 3];
            prost::encoding::encode_varint(value, &mut bytes);
            bytes
        }),
        (number.clone(), ".{0,200}").prop_map(|(n, text)| {
            let mut bytes = vec![n << 3 | 2];
            prost::encoding::encode_varint(text.len() as u64, &mut bytes);
            [bytes, text.into_bytes()].concat()
        }),
        (number.clone(), vec(any::<u8>(), 0..9))
            .prop_map(|(n, raw)| { [vec![n << 3 | 2, raw.len() as u8], raw].concat() }),
        (number.clone(), vec(any::<u8>(), 8)).prop_map(|(n, raw)| [vec![n << 3 | 1], raw].concat()),
        (number.clone(), vec(any::<u8>(), 4)).prop_map(|(n, raw)| [vec![n << 3 | 5], raw].concat()),
        number.clone().prop_map(|n| vec![n << 3 | 3]),
        number.prop_map(|n| vec![n << 3 | 4]),
    ]
}

/// A list of members as clients send it, some of its names long or not ASCII.
fn members() -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof!["[a-z0-9]{0,12}", "\\PC{0,12}", "[a-z]{120,140}"], 0..40).prop_map(|ids| {
        v1::SendGroupRequest { group_members: ids, ..Default::default() }.encode_to_vec()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn random_bytes_are_read_as_the_generated_code_reads_them(raw in vec(any::<u8>(), 0..64)) {
        agree(&raw);
    }

    #[test]
    fn random_fields_are_read_as_the_generated_code_reads_them(
        fields in vec(prop_oneof![5 => field(), 1 => members()], 0..8),
        cut in 0usize..8,
    ) {
        let whole = fields.concat();
        agree(&whole);
        agree(&whole[..whole.len().saturating_sub(cut)]);
    }

    #[test]
    fn pages_are_written_as_the_generated_code_writes_them(
        entries in vec((any::<i64>(), 0usize..300), 0..6),
        latest in any::<i64>(),
    ) {
        let page = page(&entries, latest);
        let own: Vec<_> = page.entries.iter().map(|entry| v1::TimelineEntry {
            sequence: entry.seq.get() as i64,
            message: entry.message.body.as_str().to_owned(),
        }).collect();
        let mut out = BytesMut::new();
        encode::history(&page, &mut out);
        let reply = v1::GetGroupHistoryMessageReply { entry_set: own.clone() };
        prop_assert_eq!(&out[..], &reply.encode_to_vec()[..]);
        out.clear();
        encode::sync(&page, &mut out);
        let reply = v1::SyncMessageReply {
            latest_seq: page.bounds.latest.get() as i64,
            entry_set_last_seq: own.last().map_or(0, |entry| entry.sequence),
            entry_set: own,
        };
        prop_assert_eq!(&out[..], &reply.encode_to_vec()[..]);
    }
}

fn page(entries: &[(i64, usize)], latest: i64) -> Page {
    let conversation = ConversationId::Group(GroupId::new("group", "g").unwrap());
    let entry = |&(seq, length): &(i64, usize)| {
        let body = format!("{{\"a\":\"{}\"}}", "x".repeat(length));
        let message = Stored {
            id: MessageId(1),
            conversation: conversation.clone(),
            seq: Seq::FIRST,
            sender: None,
            at: UnixMillis(0),
            body: Body::new(body, 1_000).unwrap(),
        };
        Entry { seq: Seq::from_cursor(seq), message }
    };
    Page {
        entries: entries.iter().map(entry).collect(),
        bounds: Bounds { first: Seq::FIRST, latest: Seq::from_cursor(latest) },
        epoch: Epoch(1),
        more: false,
    }
}

#[test]
fn groups_in_groups_are_bounded_as_in_the_generated_code() {
    for depth in [1, 2, 99, 100, 101, 10_000] {
        let (start, end) = ([9 << 3 | 3].repeat(depth), [9 << 3 | 4].repeat(depth));
        agree(&[start.clone(), end.clone()].concat());
        agree(&[start.clone(), vec![9 << 3, 1], end].concat());
        agree(&start);
    }
}

#[test]
fn overlong_varints_keys_and_lengths_are_read_as_in_the_generated_code() {
    for tail in [0u8, 1, 2, 0x7f] {
        let long = [vec![0xff; 9], vec![tail]].concat();
        agree(&[&[0x10][..], &long].concat());
        agree(&[&[0x0a][..], &long].concat());
        agree(&long);
    }
    agree(&[0x80, 0x80]);
    agree(&[0x00]);
    agree(&[0x8a, 0x80, 0x00, 0x01, b'a']);
    agree(&[0x92, 0x00, 0x01, b'a', 0x12, 0x01, 0xff]);
}

#[test]
fn a_known_number_with_another_wire_type_is_an_unknown_field() {
    let bytes = Bytes::from_static(b"\x08\x01\n\x01a\x0d\0\0\0\0\x13\x08\x01\x14");
    assert_eq!(decode::send(&bytes).unwrap().from.as_str(), "a");
    assert_eq!(decode::send_group(&bytes).unwrap().group_name.as_str(), "a");
    let bytes = Bytes::from_static(b"\x12\x01a\x10\x07\n\x01m");
    assert_eq!(decode::sync(&bytes).unwrap().last_read, 7);
}
