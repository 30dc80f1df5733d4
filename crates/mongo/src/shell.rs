//! What a check tells people to run: collections and `_id`s as `mongosh` writes them.

use mongodb::bson::{Bson, RawBsonRef, RawDocument};

use crate::documents;

/// A text as a literal of JavaScript.
pub(crate) fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A collection, whatever it is called: `db.NAME` would not do for a name with a dash, or one that
/// `db` has for something else.
pub(crate) fn collection(name: &str) -> String {
    format!("db.getCollection({})", text(name))
}

/// A document's `_id`.
pub(crate) fn id(document: &RawDocument) -> String {
    match documents::field(document, documents::ID) {
        Some(RawBsonRef::ObjectId(id)) => format!("ObjectId(\"{}\")", id.to_hex()),
        Some(RawBsonRef::String(id)) => text(id),
        Some(RawBsonRef::Binary(binary)) => {
            let hex: String = binary.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("HexData({}, \"{hex}\")", u8::from(binary.subtype))
        }
        Some(other) => match Bson::try_from(other) {
            // With its exact type, which a number of JavaScript would not keep.
            Ok(id) => format!("EJSON.parse({}, {{relaxed: false}})", text(&extended(id))),
            Err(_) => format!("{other:?}"),
        },
        None => "null".to_owned(),
    }
}

/// A value as canonical Extended JSON. Documents with the same fields in another order are not the
/// same, so the order stays.
fn extended(value: Bson) -> String {
    match value {
        Bson::Document(fields) => {
            let field = |(name, value): (String, _)| format!("{}:{}", text(&name), extended(value));
            format!("{{{}}}", fields.into_iter().map(field).collect::<Vec<_>>().join(","))
        }
        Bson::Array(values) => {
            format!("[{}]", values.into_iter().map(extended).collect::<Vec<_>>().join(","))
        }
        other => other.into_canonical_extjson().to_string(),
    }
}

/// What names a document for people.
pub(crate) fn name(document: &RawDocument) -> String {
    format!("_id {}", id(document))
}

#[cfg(test)]
mod tests {
    use mongodb::bson::spec::BinarySubtype;
    use mongodb::bson::{Binary, RawDocumentBuf, doc};

    use super::*;

    #[test]
    fn ids_and_collections_of_other_programs_are_written_so_that_they_mean_the_same() {
        let uuid = Binary { subtype: BinarySubtype::Uuid, bytes: vec![0xab, 1] };
        let compound = doc! { "b": "x", "a": true };
        let ids: [(Bson, &str); 6] = [
            ("it's \"a\"\n".into(), r#""it's \"a\"\n""#),
            (uuid.into(), r#"HexData(4, "ab01")"#),
            (5.into(), r#"EJSON.parse("{\"$numberInt\":\"5\"}", {relaxed: false})"#),
            (5_i64.into(), r#"EJSON.parse("{\"$numberLong\":\"5\"}", {relaxed: false})"#),
            (true.into(), r#"EJSON.parse("true", {relaxed: false})"#),
            (compound.into(), r#"EJSON.parse("{\"b\":\"x\",\"a\":true}", {relaxed: false})"#),
        ];
        for (id, expected) in ids {
            let document = RawDocumentBuf::try_from(&doc! { "_id": id }).unwrap();
            assert_eq!(super::id(&document), expected);
        }
        assert_eq!(collection("my-inboxes"), r#"db.getCollection("my-inboxes")"#);
    }
}
