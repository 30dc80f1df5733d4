//! Messages that go-timeline stored, as go-timeline itself replies with them: its clients see the
//! same text after a change of the server as before.
//!
//! It reads a document and writes it out with Go's `encoding/json`: names sorted by their bytes at
//! every level, no spaces, and `<`, `>`, `&` escaped. What only other programs can have stored
//! (another type than a document, dates, decimals) is shown too, since a page that ends in an
//! error would keep its reader from everything behind it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use mongodb::bson::Bson;

use crate::exact::number_text;

/// The text of a `message`, whatever it is.
pub(crate) fn text(message: &Bson) -> String {
    let mut out = String::new();
    write(message, &mut out);
    out
}

fn write(value: &Bson, out: &mut String) {
    match value {
        Bson::Document(document) => {
            let sorted: BTreeMap<&str, &Bson> =
                document.iter().map(|(name, value)| (name.as_str(), value)).collect();
            let mut before = '{';
            for (name, value) in sorted {
                out.push(before);
                write_string(name, out);
                out.push(':');
                write(value, out);
                before = ',';
            }
            out.push_str(if before == '{' { "{}" } else { "}" });
        }
        Bson::Array(array) => {
            let mut before = '[';
            for value in array {
                out.push(before);
                write(value, out);
                before = ',';
            }
            out.push_str(if before == '[' { "[]" } else { "]" });
        }
        Bson::String(text) | Bson::Symbol(text) => write_string(text, out),
        Bson::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
        Bson::Null | Bson::Undefined => out.push_str("null"),
        Bson::Int32(number) => out.push_str(&number.to_string()),
        Bson::Int64(number) => out.push_str(&number.to_string()),
        Bson::Double(number) if number.is_finite() => out.push_str(&number_text(*number)),
        Bson::ObjectId(id) => write_string(&id.to_hex(), out),
        Bson::DateTime(time) => match time.try_to_rfc3339_string() {
            Ok(text) => write_string(&text, out),
            Err(_) => out.push_str(&time.timestamp_millis().to_string()),
        },
        other => write_string(&other.to_string(), out),
    }
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                // Writing into memory cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{DateTime, doc, oid::ObjectId};

    use super::*;

    #[track_caller]
    fn check(message: impl Into<Bson>, expected: &str) {
        assert_eq!(text(&message.into()), expected);
    }

    #[test]
    fn a_document_is_written_as_go_writes_it() {
        check(doc! {}, "{}");
        check(
            doc! { "b": 1.0, "a": { "z": [], "B": [1e21, 1e-7, -0.0, 9007199254740992.0] } },
            r#"{"a":{"B":[1e+21,1e-7,-0,9007199254740992],"z":[]},"b":1}"#,
        );
        let expected = r#"{"t":"\u003ca\u0026b\u003e\"\\\n\u0008\u2028/é吃"}"#;
        check(doc! { "t": "<a&b>\"\\\n\u{8}\u{2028}/é吃" }, expected);
    }

    #[test]
    fn what_other_programs_stored_is_shown() {
        check("text", "\"text\"");
        check(Bson::Null, "null");
        check(7_i32, "7");
        check(i64::MIN, "-9223372036854775808");
        check(2.5, "2.5");
        check(vec![Bson::Boolean(true), Bson::Null], "[true,null]");
        let at = DateTime::from_millis(1_700_000_000_120);
        let id = ObjectId::from_bytes([0xab; 12]);
        let price: mongodb::bson::Decimal128 = "1.50".parse().unwrap();
        check(
            doc! { "at": at, "nan": f64::NAN },
            r#"{"at":"2023-11-14T22:13:20.12Z","nan":"NaN"}"#,
        );
        let expected = r#"{"id":"abababababababababababab","price":"1.50"}"#;
        check(doc! { "price": price, "id": id }, expected);
    }
}
