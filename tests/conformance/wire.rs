//! Protobuf to proto-JSON and back for the messages in the recordings, by a table of their own:
//! so nothing of the code under test judges itself.

use bytes::{Buf as _, Bytes};
use prost::encoding::{self, WireType, decode_key, decode_varint, encode_key, encode_varint};
use serde_json::{Map, Value};

/// Number, name and type of a field; a type in brackets is a list, one with commas an enum.
type Field = (u32, &'static str, &'static str);

/// The fields of a message.
fn fields(message: &str) -> &'static [Field] {
    match message {
        "SendMessageRequest" => {
            &[(1, "from", "string"), (2, "to", "string"), (3, "message", "string")]
        }
        "SendMessageReply" => &[(1, "sequence", "int64")],
        "SendGroupRequest" => {
            &[(1, "groupName", "string"), (2, "groupMembers", "[string]"), (3, "message", "string")]
        }
        "SendGroupReply" => &[(1, "failedMembers", "[string]")],
        "SyncMessageRequest" => {
            &[(1, "member", "string"), (2, "lastRead", "int64"), (3, "count", "int32")]
        }
        "SyncMessageReply" => &[
            (1, "latestSeq", "int64"),
            (2, "entrySetLastSeq", "int64"),
            (3, "entrySet", "[TimelineEntry]"),
        ],
        "GetSingleHistoryMessageRequest" => &[
            (1, "from", "string"),
            (2, "to", "string"),
            (3, "lastRead", "int64"),
            (4, "count", "int32"),
        ],
        "GetGroupHistoryMessageRequest" => {
            &[(1, "group", "string"), (3, "lastRead", "int64"), (4, "count", "int32")]
        }
        "HistoryReply" => &[(1, "entrySet", "[TimelineEntry]")],
        "TimelineEntry" => &[(1, "sequence", "int64"), (2, "message", "string")],
        "HealthCheckRequest" => &[(1, "service", "string")],
        "HealthCheckResponse" => &[(1, "status", "UNKNOWN,SERVING,NOT_SERVING,SERVICE_UNKNOWN")],
        "ReflectionRequest" => &[(7, "listServices", "string")],
        "ReflectionResponse" => {
            &[(6, "listServicesResponse", "ServiceList"), (7, "errorResponse", "ReflectionError")]
        }
        "ReflectionError" => &[(2, "errorMessage", "string")],
        "ServiceList" => &[(1, "service", "[ServiceName]")],
        "ServiceName" => &[(1, "name", "string")],
        "ListServicesReply" => &[(1, "services", "[string]"), (2, "methods", "[string]")],
        "GetServiceDescRequest" => &[(1, "name", "string")],
        "GetServiceDescReply" => &[(1, "fileDescSet", "FileSet")],
        "FileSet" => &[(1, "file", "[FileName]")],
        "FileName" => &[(1, "name", "string"), (2, "package", "string")],
        "Empty" => &[],
        other => panic!("unknown message {other}"),
    }
}

/// A method of `timeline.v1.Timeline`, or a whole path.
pub fn path(rpc: &str) -> String {
    if rpc.starts_with('/') { rpc.to_owned() } else { format!("/timeline.v1.Timeline/{rpc}") }
}

/// The types of request and reply at a path; those of one that does not exist are empty.
pub fn messages(path: &str) -> (&'static str, &'static str) {
    match path {
        "/timeline.v1.Timeline/Send" => ("SendMessageRequest", "SendMessageReply"),
        "/timeline.v1.Timeline/SendGroup" => ("SendGroupRequest", "SendGroupReply"),
        "/timeline.v1.Timeline/GetSyncMessage" => ("SyncMessageRequest", "SyncMessageReply"),
        "/timeline.v1.Timeline/GetSingleHistoryMessage" => {
            ("GetSingleHistoryMessageRequest", "HistoryReply")
        }
        "/timeline.v1.Timeline/GetGroupHistoryMessage" => {
            ("GetGroupHistoryMessageRequest", "HistoryReply")
        }
        "/grpc.health.v1.Health/Check" => ("HealthCheckRequest", "HealthCheckResponse"),
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
        | "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo" => {
            ("ReflectionRequest", "ReflectionResponse")
        }
        "/kratos.api.Metadata/ListServices" => ("Empty", "ListServicesReply"),
        "/kratos.api.Metadata/GetServiceDesc" => ("GetServiceDescRequest", "GetServiceDescReply"),
        _ => ("Empty", "Empty"),
    }
}

fn integer(value: &Value) -> i64 {
    value.as_str().map_or_else(|| value.as_i64().unwrap(), |text| text.parse().unwrap())
}

/// A request from its proto-JSON.
pub fn encode(message: &str, json: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, name, kind) in fields(message) {
        let Some(value) = json.get(name) else { continue };
        match *kind {
            "int64" | "int32" => {
                encode_key(*number, WireType::Varint, &mut out);
                encode_varint(integer(value).cast_unsigned(), &mut out);
            }
            _ => {
                let one = std::slice::from_ref(value);
                for text in value.as_array().map_or(one, Vec::as_slice) {
                    encoding::string::encode(*number, &text.as_str().unwrap().into(), &mut out);
                }
            }
        }
    }
    out
}

/// A reply's proto-JSON, every field present.
pub fn decode(message: &str, bytes: &[u8]) -> Value {
    let mut json = Map::new();
    for (_, name, kind) in fields(message) {
        json.insert((*name).to_owned(), default(kind));
    }
    let mut bytes = Bytes::copy_from_slice(bytes);
    while bytes.has_remaining() {
        let (number, wire_type) = decode_key(&mut bytes).unwrap();
        let Some((_, name, kind)) = fields(message).iter().find(|(n, ..)| *n == number) else {
            let context = encoding::DecodeContext::default();
            encoding::skip_field(wire_type, number, &mut bytes, context).unwrap();
            continue;
        };
        let value = value(kind.trim_matches(['[', ']']), &mut bytes);
        match json.get_mut(*name) {
            Some(Value::Array(list)) => list.push(value),
            _ => drop(json.insert((*name).to_owned(), value)),
        }
    }
    Value::Object(json)
}

fn default(kind: &str) -> Value {
    match kind {
        "int64" => "0".into(),
        "string" => "".into(),
        list if list.starts_with('[') => Value::Array(Vec::new()),
        names => names.split_once(',').map_or(Value::Null, |(first, _)| first.into()),
    }
}

fn value(kind: &str, bytes: &mut Bytes) -> Value {
    let number = decode_varint(bytes).unwrap();
    if kind == "int64" {
        return number.cast_signed().to_string().into();
    }
    if kind.contains(',') {
        return kind.split(',').nth(number as usize).unwrap().into();
    }
    let part = bytes.split_to(number as usize);
    if kind == "string" {
        return std::str::from_utf8(&part).unwrap().into();
    }
    decode(kind, &part)
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use seqline_api::timeline::v1;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_table_agrees_with_the_generated_code() {
        let json = json!({"groupName": "g", "groupMembers": ["a", "ü"], "message": "{}"});
        let group = v1::SendGroupRequest {
            group_name: "g".into(),
            group_members: vec!["a".into(), "ü".into()],
            message: "{}".into(),
        };
        assert_eq!(encode("SendGroupRequest", &json), group.encode_to_vec());
        let entry = v1::TimelineEntry { sequence: -1, message: "{}".into() };
        let sync = v1::SyncMessageReply {
            latest_seq: i64::MAX,
            entry_set_last_seq: 0,
            entry_set: vec![entry],
        };
        let entry_set = json!([{"sequence": "-1", "message": "{}"}]);
        let latest = i64::MAX.to_string();
        let wanted = json!({"latestSeq": latest, "entrySetLastSeq": "0", "entrySet": entry_set});
        assert_eq!(decode("SyncMessageReply", &sync.encode_to_vec()), wanted);
        let empty = json!({"latestSeq": "0", "entrySetLastSeq": "0", "entrySet": []});
        assert_eq!(decode("SyncMessageReply", b""), empty);
    }
}
