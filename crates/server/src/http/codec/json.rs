//! proto-JSON requests: unknown fields are skipped, everything else is strict.
//!
//! Values of unknown fields are skipped without recursion, so depth costs no stack.

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use seqline_core::id::Text;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess};
use serde::de::{Unexpected, Visitor};

use super::fields::{Fields, Kind, TextsBuilder, Value};
use super::integer;

/// Decodes one object.
///
/// # Errors
/// The reason, if the body is not one JSON object with fields of the right kinds.
pub fn decode<T: Fields>(body: &Bytes) -> Result<T, String> {
    // One look at the whole body also covers the texts that are skipped.
    let text = std::str::from_utf8(body).map_err(|e| format!("invalid UTF-8: {e}"))?;
    let mut json = serde_json::Deserializer::from_str(text);
    let object = Object { body, request: PhantomData };
    let request = json.deserialize_map(object).and_then(|request| json.end().map(|()| request));
    request.map_err(|e| e.to_string())
}

struct Object<'a, T> {
    body: &'a Bytes,
    request: PhantomData<T>,
}

impl<'de, T: Fields> Visitor<'de> for Object<'_, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut request = T::default();
        let mut seen = 0_u32;
        while let Some(name) = map.next_key_seed(Name::<T>(PhantomData))? {
            let Some(index) = name else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let field = &T::FIELDS[index];
            // A null counts too: clients must not send a field twice in any way.
            if seen & 1 << index != 0 {
                return Err(A::Error::custom(format!("duplicate field {:?}", field.name)));
            }
            seen |= 1 << index;
            let value = map.next_value_seed(Nullable(Of { kind: field.kind, body: self.body }));
            let named = |e| A::Error::custom(format!("field {:?}: {e}", field.name));
            if let Some(value) = value.map_err(named)? {
                request.set(index, value);
            }
        }
        Ok(request)
    }
}

/// A field's name, as its index; `None` if it is unknown.
struct Name<T>(PhantomData<T>);

impl<'de, T: Fields> DeserializeSeed<'de> for Name<T> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Option<usize>, D::Error> {
        json.deserialize_str(self)
    }
}

impl<T: Fields> Visitor<'_> for Name<T> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Option<usize>, E> {
        Ok(T::find(name.as_bytes()))
    }
}

/// A value, or null for an unset field.
struct Nullable<'a>(Of<'a>);

impl<'de> DeserializeSeed<'de> for Nullable<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Option<Value>, D::Error> {
        json.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Nullable<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_none<E: Error>(self) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, json: D) -> Result<Option<Value>, D::Error> {
        match self.0.kind {
            Kind::Text => json.deserialize_str(self.0),
            Kind::Texts => json.deserialize_seq(self.0),
            Kind::Int64 | Kind::Int32 => json.deserialize_any(self.0),
        }
        .map(Some)
    }
}

/// A value of one kind. Texts without escapes become slices of the body.
struct Of<'a> {
    kind: Kind,
    body: &'a Bytes,
}

impl Of<'_> {
    fn integer<E: Error>(&self, number: Option<i64>) -> Result<Value, E> {
        let wrong = || E::custom("it is no integer, or out of range");
        let number = number.ok_or_else(wrong)?;
        match self.kind {
            Kind::Int32 => i32::try_from(number).map(Value::Int32).map_err(|_| wrong()),
            _ => Ok(Value::Int64(number)),
        }
    }
}

impl<'de> Visitor<'de> for Of<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Text => "a string",
            Kind::Texts => "a list of strings",
            Kind::Int64 | Kind::Int32 => "an integer, as a number or a string",
        })
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Value, E> {
        match self.kind {
            Kind::Text => {
                let bytes = self.body.slice_ref(text.as_bytes());
                Ok(Value::Text(Text::new(bytes).expect("a part of UTF-8 between quotes is UTF-8")))
            }
            _ => self.visit_str(text),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        match self.kind {
            Kind::Text => Ok(Value::Text(Text::from(text))),
            _ => self.integer(integer::from_json_text(text)),
        }
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        self.integer(Some(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        self.integer(i64::try_from(number).ok())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        self.integer(integer::from_float(number))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        if self.kind != Kind::Texts {
            return Err(A::Error::invalid_type(Unexpected::Seq, &self));
        }
        let mut texts = TextsBuilder::default();
        while list.next_element_seed(Element(&mut texts))?.is_some() {}
        Ok(Value::Texts(texts.finish()))
    }
}

/// A text of a list, put at its end.
struct Element<'a>(&'a mut TextsBuilder);

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Element<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.push(text.as_bytes()).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;
    use crate::convert::{SendGroupRequest, SendRequest, SyncRequest};

    fn send(body: &str) -> Result<SendRequest, String> {
        decode(&Bytes::copy_from_slice(body.as_bytes()))
    }

    fn group(body: &str) -> Result<SendGroupRequest, String> {
        decode(&Bytes::copy_from_slice(body.as_bytes()))
    }

    fn request(from: &str, to: &str, message: &str) -> SendRequest {
        SendRequest { from: from.into(), to: to.into(), message: message.into() }
    }

    fn group_request(name: &str, members: &[&str], message: &str) -> SendGroupRequest {
        SendGroupRequest {
            group_name: name.into(),
            group_members: members.iter().collect(),
            message: message.into(),
        }
    }

    #[test]
    fn fields_have_two_spellings_and_unknown_ones_are_skipped() {
        let wanted = group_request("g", &["a", "é"], "{}");
        for body in [
            r#"{"group_name":"g","group_members":["a","é"],"message":"{}"}"#,
            r#" {"groupName":"g","x":1,"x":[{"y":null}],"groupMembers":["a","\u00e9"],
                "message":"{}","GroupName":[1e400]} "#,
        ] {
            assert_eq!(group(body).unwrap(), wanted);
        }
    }

    #[test]
    fn null_is_an_unset_field_but_no_list_element() {
        assert_eq!(send(r#"{"from":null,"to":"b"}"#).unwrap(), request("", "b", ""));
        assert_eq!(group(r#"{"group_members":null}"#).unwrap(), SendGroupRequest::default());
        assert!(group(r#"{"group_members":["a",null]}"#).is_err());
    }

    #[test]
    fn a_field_given_twice_in_any_way_is_refused() {
        for body in [
            r#"{"from":"a","from":"a"}"#,
            r#"{"from":null,"from":"a"}"#,
            r#"{"from":"a","fr\u006fm":"a"}"#,
        ] {
            assert!(send(body).unwrap_err().starts_with("duplicate field \"from\""), "{body}");
        }
        assert!(group(r#"{"groupName":"a","group_name":"a"}"#).is_err());
    }

    #[test]
    fn what_is_no_object_of_the_right_kinds_is_refused() {
        for body in [
            " ",
            "null",
            "[]",
            "1",
            "\"x\"",
            "true",
            "[{}]",
            "{",
            "{}x",
            "{}{}",
            "{}\0",
            "\u{feff}{}",
            "{'from':'a'}",
            "{from:\"a\"}",
            "{/**/}",
            "{\"from\" \"a\"}",
            "{\"from\":\"a\",}",
            "{\"from\":1}",
            "{\"from\":true}",
            "{\"from\":[]}",
            "{\"from\":{}}",
            "{\"from\":[\"x\"]}",
            "{\"from\":\"\n\"}",
            "{\"from\":\"\0\"}",
            r#"{"from":"\ud800"}"#,
            r#"{"from":"\udc00"}"#,
            r#"{"from":"\x"}"#,
            "{\"x\":\"\n\"}",
            "{\"x\":01}",
            "{\"x\":[1,]}",
        ] {
            assert!(send(body).is_err(), "{body:?}");
        }
        for members in ["\"x\"", "1", "{}", "true", "[1]", "[[\"x\"]]", "[\"a\",{}]", "[\"a\",]"] {
            assert!(group(&format!("{{\"group_members\":{members}}}")).is_err(), "{members}");
        }
        for body in [&b"{\"from\":\"\xff\"}"[..], b"{\"x\":\"\xc0\xaf\"}", b"\xff\xfe{\0}\0"] {
            assert!(decode::<SendRequest>(&Bytes::copy_from_slice(body)).is_err(), "{body:?}");
        }
    }

    #[test]
    fn integers_come_as_numbers_or_as_strings() {
        let sync = |last_read: &str, count: &str| {
            let body = format!("{{\"lastRead\":{last_read},\"count\":{count}}}");
            decode::<SyncRequest>(&body.into()).map(|r| (r.last_read, r.count))
        };
        assert_eq!(sync("1", "2"), Ok((1, 2)));
        assert_eq!(sync("\"-9223372036854775808\"", "\"1e2\""), Ok((i64::MIN, 100)));
        assert_eq!(sync("9223372036854775807", "1.0"), Ok((i64::MAX, 1)));
        for wrong in ["1.5", "\"1.5\"", "\" 1\"", "\"\"", "true", "[]", "1e300", "\"+1\"", "\"01\""]
        {
            assert!(sync(wrong, "0").is_err(), "{wrong}");
        }
        assert!(sync("9223372036854775808", "0").is_err());
        assert!(sync("0", "2147483648").is_err());
    }

    #[test]
    fn a_text_without_escapes_is_not_copied() {
        let body = Bytes::from_static(br#"{"from":"abc"}"#);
        let request = decode::<SendRequest>(&body).unwrap();
        assert_eq!(request.from.as_bytes().as_ptr(), body[9..].as_ptr());
    }

    #[test]
    fn deep_nesting_costs_neither_stack_nor_time() {
        let began = Instant::now();
        let deep = "[".repeat(1 << 20);
        assert!(send(&deep).is_err());
        assert!(send(&format!("{{\"from\":{deep}")).is_err());
        assert!(group(&format!("{{\"group_members\":{deep}")).is_err());
        assert!(send(&format!("{{\"x\":{deep}")).is_err());
        let closed = format!("{{\"x\":{deep}{},\"from\":\"a\"}}", "]".repeat(1 << 20));
        assert_eq!(send(&closed).unwrap(), request("a", "", ""));
        assert!(send(&"{\"x\":".repeat(200_000)).is_err());
        assert!(began.elapsed() < Duration::from_secs(5));
    }

    proptest! {
        #[test]
        fn what_serde_writes_is_read_back(
            name in any::<String>(), members in any::<Vec<String>>(), message in any::<String>(),
        ) {
            let body = serde_json::json!({
                "group_name": name, "groupMembers": members, "message": message,
            });
            let members: Vec<&str> = members.iter().map(String::as_str).collect();
            let wanted = group_request(&name, &members, &message);
            prop_assert_eq!(group(&body.to_string()).unwrap(), wanted);
        }

        #[test]
        fn any_object_serde_accepts_is_read_alike(
            entries in proptest::collection::vec(("from|to|x", "[a\\\\\"u0-9{}:,]{0,6}"), 0..4),
        ) {
            let body: Vec<_> = entries.iter().map(|(k, v)| format!("\"{k}\":\"{v}\"")).collect();
            let body = format!("{{{}}}", body.join(","));
            if let Ok(request) = send(&body) {
                let value: serde_json::Value = serde_json::from_str(&body).unwrap();
                prop_assert_eq!(value["from"].as_str().unwrap_or(""), request.from.as_str());
                prop_assert_eq!(value["to"].as_str().unwrap_or(""), request.to.as_str());
            }
        }

        #[test]
        fn random_bytes_never_panic(body in any::<Vec<u8>>()) {
            let body = Bytes::from(body);
            let _ = decode::<SendRequest>(&body);
            let _ = decode::<SyncRequest>(&body);
        }
    }
}
