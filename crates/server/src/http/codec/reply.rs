//! Replies and errors, encoded straight into one buffer.
//!
//! JSON has every field, 64-bit integers as texts, and each message text escaped once.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use prost::Message as _;
use seqline_core::page::Page;
use seqline_core::store::Receipt;

use super::ReplyCodec;
use crate::convert::{Status, reply};
use crate::proto::encode;

/// kratos' error, as it stands in protobuf replies.
#[derive(Clone, PartialEq, prost::Message)]
struct ErrorMessage {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    reason: String,
    #[prost(string, tag = "3")]
    message: String,
    #[prost(btree_map = "string, string", tag = "4")]
    metadata: BTreeMap<String, String>,
}

/// `SendMessageReply`.
pub fn sent(codec: ReplyCodec, receipt: &Receipt) -> Bytes {
    match codec {
        ReplyCodec::Proto => proto(|out| encode::send(receipt, out)),
        _ => format!("{{\"sequence\":\"{}\"}}", reply::sequence(receipt)).into(),
    }
}

/// `SendGroupReply`: a send is all or nothing, so a reply never has members it did not reach.
pub fn sent_group(codec: ReplyCodec) -> Bytes {
    match codec {
        ReplyCodec::Proto => Bytes::new(),
        _ => Bytes::from_static(b"{\"failedMembers\":[]}"),
    }
}

/// `SyncMessageReply`.
pub fn sync(codec: ReplyCodec, page: &Page) -> Bytes {
    if codec == ReplyCodec::Proto {
        return proto(|out| encode::sync(page, out));
    }
    let (latest, last) = (reply::latest_seq(page), reply::entry_set_last_seq(page));
    let mut out = Vec::with_capacity(capacity(page));
    let head = format!("{{\"latestSeq\":\"{latest}\",\"entrySetLastSeq\":\"{last}\",");
    out.extend_from_slice(head.as_bytes());
    json_entries(&mut out, page);
    out.into()
}

/// `GetSingleHistoryMessageReply` and `GetGroupHistoryMessageReply`, which look the same.
pub fn history(codec: ReplyCodec, page: &Page) -> Bytes {
    if codec == ReplyCodec::Proto {
        return proto(|out| encode::history(page, out));
    }
    let mut out = Vec::with_capacity(capacity(page));
    out.push(b'{');
    json_entries(&mut out, page);
    out.into()
}

/// An error, with all four keys.
pub fn error(codec: ReplyCodec, status: &Status) -> Bytes {
    let metadata: BTreeMap<String, String> =
        status.metadata.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    let code = status.http.as_u16();
    if codec == ReplyCodec::Proto {
        let (reason, message) = (status.reason.to_owned(), status.message.clone());
        return ErrorMessage { code: code.into(), reason, message, metadata }
            .encode_to_vec()
            .into();
    }
    let mut out = Vec::with_capacity(128 + status.message.len());
    out.extend_from_slice(format!("{{\"code\":{code},\"reason\":").as_bytes());
    json(&mut out, status.reason);
    out.extend_from_slice(b",\"message\":");
    json(&mut out, &status.message);
    out.extend_from_slice(b",\"metadata\":");
    json(&mut out, &metadata);
    out.push(b'}');
    out.into()
}

fn proto(write: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut out = BytesMut::new();
    write(&mut out);
    out.freeze()
}

/// Room for a page of mostly plain text; quotes in bodies are escaped, hence an eighth more.
fn capacity(page: &Page) -> usize {
    let bodies: usize = page.entries.iter().map(|entry| entry.message.body.len()).sum();
    64 + bodies + bodies / 8 + page.entries.len() * 48
}

fn json_entries(out: &mut Vec<u8>, page: &Page) {
    out.extend_from_slice(b"\"entrySet\":[");
    for (index, entry) in page.entries.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"{\"sequence\":\"" } else { b",{\"sequence\":\"" });
        out.extend_from_slice(reply::seq(entry.seq).to_string().as_bytes());
        out.extend_from_slice(b"\",\"message\":");
        json(out, entry.message.body.as_str());
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    // A page full of quotes outgrew its first guess; it may wait long for its client.
    out.shrink_to(out.len() + out.len() / 4);
}

fn json<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value).expect("texts always serialise, and memory takes them");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use seqline_api::timeline::v1;
    use seqline_core::clock::UnixMillis;
    use seqline_core::id::{ConversationId, Epoch, GroupId, MessageId};
    use seqline_core::message::{Body, Message};
    use seqline_core::page::{Bounds, Entry};
    use seqline_core::seq::Seq;
    use serde_json::{Value, json};

    use super::*;

    fn page(latest: u64, bodies: &[String]) -> Page {
        let conversation = ConversationId::Group(GroupId::new("group", "g").unwrap());
        let entry = |(index, text): (usize, &String)| Entry {
            seq: Seq::new(index as u64 + 1),
            message: Message {
                id: MessageId(1),
                conversation: conversation.clone(),
                seq: Seq::FIRST,
                sender: None,
                at: UnixMillis(0),
                body: Body::from_stored(Bytes::from(text.clone())).unwrap(),
            },
        };
        Page {
            entries: bodies.iter().enumerate().map(entry).collect(),
            bounds: Bounds { first: Seq::FIRST, latest: Seq::new(latest) },
            epoch: Epoch(1),
            more: false,
        }
    }

    fn receipt(seq: u64) -> Receipt {
        Receipt {
            id: MessageId(1),
            conversation_seq: Seq::FIRST,
            receiver_seq: Seq::new(seq),
            at: UnixMillis(0),
            repeat: false,
        }
    }

    fn parse(bytes: &Bytes) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn json_has_every_field_even_if_it_is_empty() {
        let empty = page(0, &[]);
        assert_eq!(
            &sync(ReplyCodec::Json, &empty)[..],
            br#"{"latestSeq":"0","entrySetLastSeq":"0","entrySet":[]}"#
        );
        assert_eq!(&history(ReplyCodec::ProtoJson, &empty)[..], br#"{"entrySet":[]}"#);
        assert_eq!(&sent_group(ReplyCodec::Json)[..], br#"{"failedMembers":[]}"#);
        let largest = sent(ReplyCodec::Json, &receipt(u64::MAX));
        assert_eq!(&largest[..], br#"{"sequence":"9223372036854775807"}"#);
    }

    #[test]
    fn html_and_line_separators_stay_raw() {
        let reply = history(ReplyCodec::Json, &page(1, &["<&>\u{2028}\u{7f}/".to_owned()]));
        assert!(String::from_utf8_lossy(&reply).contains("<&>\u{2028}\u{7f}/"));
    }

    #[test]
    fn an_error_has_four_keys_in_json_and_their_fields_in_protobuf() {
        let mut status = Status::invalid("no \"to\"");
        let code = json!({"code": 400, "reason": "TIMELINE_INVALID_PARAM",
            "message": "no \"to\"", "metadata": {}});
        assert_eq!(parse(&error(ReplyCodec::Json, &status)), code);
        let proto = b"\x08\x90\x03\x12\x16TIMELINE_INVALID_PARAM\x1a\x07no \"to\"";
        assert_eq!(&error(ReplyCodec::Proto, &status)[..], proto);
        status.metadata = vec![("max", "8".to_owned())];
        assert_eq!(parse(&error(ReplyCodec::Json, &status))["metadata"], json!({"max": "8"}));
        assert!(error(ReplyCodec::Proto, &status).ends_with(b"\x22\x08\n\x03max\x12\x018"));
    }

    proptest! {
        #[test]
        fn pages_say_the_same_in_json_and_protobuf(
            bodies in any::<Vec<String>>(), latest in 0..=i64::MAX.cast_unsigned(),
        ) {
            let page = page(latest, &bodies);
            let entries = v1::SyncMessageReply::decode(sync(ReplyCodec::Proto, &page)).unwrap();
            let last = bodies.len() as i64;
            prop_assert_eq!(entries.latest_seq, latest.cast_signed());
            prop_assert_eq!(entries.entry_set_last_seq, last);
            let read: Vec<_> = entries.entry_set.iter().map(|e| e.message.clone()).collect();
            prop_assert_eq!(&read, &bodies);
            let entry_set: Vec<_> = (1_i64..)
                .zip(&bodies)
                .map(|(seq, text)| json!({"sequence": seq.to_string(), "message": text}))
                .collect();
            let json = parse(&sync(ReplyCodec::Json, &page));
            let wanted = json!({"latestSeq": latest.to_string(),
                "entrySetLastSeq": last.to_string(), "entrySet": entry_set});
            prop_assert_eq!(json, wanted);
            let proto = history(ReplyCodec::Proto, &page);
            let single = v1::GetSingleHistoryMessageReply::decode(proto).unwrap();
            prop_assert_eq!(single.entry_set, entries.entry_set);
        }
    }
}
