//! Bodies as documents, for people and queries, and back to the exact text.
//!
//! The rule that keeps a body exact: the document stands alone only if writing it out gives the
//! text again, byte for byte; otherwise the text stands beside it. What a document cannot hold at
//! all (deep nesting, a NUL in a name, half a surrogate) is only there as text.

use std::fmt;

use mongodb::bson::{Bson, Document, RawDocument, RawDocumentBuf};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// Deepest nesting that becomes a document; MongoDB refuses more than 100 levels in all.
const DEPTH_MAX: u32 = 60;

/// A body as it is stored.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Payload {
    /// The body as a document, where there is one that says it.
    pub message: Option<RawDocumentBuf>,
    /// The exact text, where the document does not give it back.
    pub raw: Option<String>,
}

impl Payload {
    /// The body `text`, which is one JSON object.
    pub fn new(text: &str) -> Payload {
        let Some(document) = parse(text) else {
            return Payload { message: None, raw: Some(text.to_owned()) };
        };
        let message = RawDocumentBuf::try_from(&document).ok();
        let same = message.is_some() && write(&document) == text;
        Payload { message, raw: (!same).then(|| text.to_owned()) }
    }

    /// About how many bytes it takes in a document.
    pub fn bytes(&self) -> usize {
        let message = self.message.as_ref().map_or(0, |m| m.as_bytes().len());
        message + self.raw.as_ref().map_or(0, String::len)
    }
}

/// The exact text of a body that is stored as this document alone.
pub(crate) fn text(message: &RawDocument) -> Result<String, String> {
    let document = Document::try_from(message).map_err(|e| e.to_string())?;
    Ok(write(&document))
}

/// The object in `text`; `None` if a document cannot hold it.
fn parse(text: &str) -> Option<Document> {
    let mut json = serde_json::Deserializer::from_str(text);
    match Value(DEPTH_MAX).deserialize(&mut json) {
        Ok(Bson::Document(document)) => Some(document),
        _ => None,
    }
}

/// Reads one JSON value, so many levels deep at most.
struct Value(u32);

impl<'de> DeserializeSeed<'de> for Value {
    type Value = Bson;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Bson, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = Bson;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value that a document can hold")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Bson, E> {
        Ok(Bson::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Bson, E> {
        Ok(i32::try_from(value).map_or(Bson::Int64(value), Bson::Int32))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Bson, E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => Ok(Bson::Double(value as f64)),
        }
    }

    fn visit_f64<E>(self, value: f64) -> Result<Bson, E> {
        Ok(Bson::Double(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Bson, E> {
        Ok(Bson::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Bson, E> {
        Ok(Bson::String(value))
    }

    fn visit_unit<E>(self) -> Result<Bson, E> {
        Ok(Bson::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Bson, A::Error> {
        let within = self.within()?;
        let mut array = Vec::new();
        while let Some(value) = from.next_element_seed(Value(within))? {
            array.push(value);
        }
        Ok(Bson::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Bson, A::Error> {
        let within = self.within()?;
        let mut document = Document::new();
        while let Some(name) = from.next_key::<String>()? {
            if name.contains('\0') {
                return Err(serde::de::Error::custom("a NUL in a name"));
            }
            document.insert(name, from.next_value_seed(Value(within))?);
        }
        Ok(Bson::Document(document))
    }
}

impl Value {
    fn within<E: serde::de::Error>(&self) -> Result<u32, E> {
        self.0.checked_sub(1).ok_or_else(|| E::custom("too deep"))
    }
}

/// A document as JSON text: compact, names in their order, numbers as JavaScript and Go write
/// them. Types that JSON has not, which only others wrote, as text that shows them.
fn write(document: &Document) -> String {
    let mut out = String::new();
    write_document(document, &mut out);
    out
}

fn write_document(document: &Document, out: &mut String) {
    out.push('{');
    for (index, (name, value)) in document.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_string(name, out);
        out.push(':');
        write_value(value, out);
    }
    out.push('}');
}

fn write_value(value: &Bson, out: &mut String) {
    match value {
        Bson::Document(document) => write_document(document, out),
        Bson::Array(array) => {
            out.push('[');
            for (index, value) in array.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(value, out);
            }
            out.push(']');
        }
        Bson::String(text) => write_string(text, out),
        Bson::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
        Bson::Null => out.push_str("null"),
        Bson::Int32(number) => out.push_str(&number.to_string()),
        Bson::Int64(number) => out.push_str(&number.to_string()),
        Bson::Double(number) if number.is_finite() => out.push_str(&number_text(*number)),
        other => write_string(&other.to_string(), out),
    }
}

fn write_string(text: &str, out: &mut String) {
    // Writing a string into memory cannot fail.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

/// `1`, `-0`, `0.1`, `1e+21`, `1e-7`.
pub(crate) fn number_text(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{number:e}");
        return match text.split_once('e') {
            Some((digits, power)) if !power.starts_with('-') => format!("{digits}e+{power}"),
            _ => text,
        };
    }
    number.to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn back(payload: &Payload) -> String {
        // Through the bytes, as the database keeps it.
        let message = payload.message.as_ref().map(|m| m.as_bytes().to_vec());
        let message = message.map(|bytes| RawDocumentBuf::from_bytes(bytes).unwrap());
        match (&payload.raw, message) {
            (Some(raw), _) => raw.clone(),
            (None, message) => text(&message.unwrap()).unwrap(),
        }
    }

    #[track_caller]
    fn check(text: &str, needs_text: bool) {
        let payload = Payload::new(text);
        assert_eq!(payload.raw.is_some(), needs_text, "{text:.80}");
        assert_eq!(back(&payload), text);
    }

    #[test]
    fn what_programs_write_needs_no_text_beside_it() {
        for text in [
            "{}",
            r#"{"b":1,"a":[1.5,-7,true,null,"é\n\"",{}],"":{"$x":{"a.b":9007199254740993}}}"#,
            r#"{"n":-2147483649,"m":9223372036854775807,"tiny":1e-7,"huge":1.5e+300,"z":0.000001}"#,
        ] {
            check(text, false);
        }
    }

    #[test]
    fn what_a_document_does_not_give_back_keeps_its_text() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(2_000), "]".repeat(2_000));
        for text in [
            "{ }",
            r#"{"a":1,"a":2}"#,
            r#"{"n":1.0}"#,
            r#"{"n":1e400,"m":123456789012345678901234567890}"#,
            r#"{"n":18446744073709551615,"m":-0.0}"#,
            r#"{"\u0061":"\/"}"#,
            r#"{"a\u0000b":"\ud800"}"#,
            &deep,
        ] {
            check(text, true);
        }
        assert_eq!(Payload::new(&deep).message, None, "MongoDB refuses deep documents");
    }

    /// JSON values as text, with the spacing, escapes and numbers that make two texts differ.
    fn json() -> impl Strategy<Value = String> {
        let space = || proptest::sample::select(vec!["", "", "", " ", "\n\t"]);
        let string = "\"([a-c.$é吃\u{7f}\u{2028}]|\\\\[\"\\\\/bfnrt]|\\\\u[0-9a-fA-F]{4}){0,6}\"";
        let number = "-?(0|[1-9][0-9]{0,19})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?";
        let leaf = prop_oneof![
            proptest::sample::select(vec!["null", "true", "false"]).prop_map(str::to_owned),
            string,
            number,
        ];
        leaf.prop_recursive(5, 40, 5, move |inner| {
            let list = proptest::collection::vec((space(), inner.clone()), 0..5);
            let pairs = proptest::collection::vec((space(), string, space(), inner), 0..5);
            prop_oneof![
                (list, space()).prop_map(|(items, end)| {
                    let items: Vec<_> = items.iter().map(|(s, v)| format!("{s}{v}")).collect();
                    format!("[{}{end}]", items.join(","))
                }),
                (pairs, space()).prop_map(|(pairs, end)| {
                    let pairs: Vec<_> =
                        pairs.iter().map(|(s, k, t, v)| format!("{s}{k}{t}:{v}")).collect();
                    format!("{{{}{end}}}", pairs.join(","))
                }),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]
        #[test]
        fn any_object_comes_back_byte_for_byte(value in json(), lead in "[ \n]{0,2}") {
            let text = format!("{lead}{{\"v\":{value}}}{lead}");
            prop_assert!(seqline_core::message::Body::new(text.as_str(), usize::MAX).is_ok());
            prop_assert_eq!(back(&Payload::new(&text)), text);
        }
    }
}
