//! `key=value` pairs: query strings and form bodies.
//!
//! Both follow Go's `url.ParseQuery` and kratos' form codec. They differ in one point: a pair
//! that cannot be decoded is left out of a query, and refuses a whole body.

use bytes::Bytes;
use seqline_core::id::Text;

use super::fields::{Field, Fields, Kind, TextsBuilder, Value};
use super::integer;

/// Decodes a query string.
///
/// # Errors
/// The reason, if a known field has a value of the wrong kind, or several.
pub fn decode_query<T: Fields>(query: &[u8]) -> Result<T, String> {
    fill(pairs(query).filter_map(Result::ok))
}

/// Decodes a form body.
///
/// # Errors
/// As [`decode_query`], and if a pair cannot be decoded.
pub fn decode_body<T: Fields>(body: &[u8]) -> Result<T, String> {
    fill(pairs(body).collect::<Result<Vec<_>, _>>()?)
}

type Pair = (Vec<u8>, Vec<u8>);

fn pairs(text: &[u8]) -> impl Iterator<Item = Result<Pair, String>> {
    let parts = text.split(|byte| *byte == b'&').filter(|part| !part.is_empty());
    parts.map(|part| {
        if part.contains(&b';') {
            return Err("invalid semicolon separator in query".to_owned());
        }
        let (key, value) = super::split(part, b'=').unwrap_or((part, b""));
        Ok((unescape(key, true)?, unescape(value, true)?))
    })
}

/// Decodes percent escapes, and `+` to a space if `plus_is_space`.
///
/// # Errors
/// Go's text, if an escape is broken.
pub fn unescape(text: &[u8], plus_is_space: bool) -> Result<Vec<u8>, String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        decoded.push(match first {
            b'+' if plus_is_space => b' ',
            b'%' => {
                let hex = |at: usize| after.get(at).and_then(|b| char::from(*b).to_digit(16));
                let (Some(high), Some(low)) = (hex(0), hex(1)) else {
                    let broken = String::from_utf8_lossy(&after[..after.len().min(2)]);
                    return Err(format!("invalid URL escape \"%{broken}\""));
                };
                rest = &after[2..];
                (high * 16 + low) as u8
            }
            byte => *byte,
        });
    }
    Ok(decoded)
}

/// What the pairs say about one field under one of its names.
struct Given {
    name: Vec<u8>,
    index: usize,
    values: Vec<Vec<u8>>,
}

fn fill<T: Fields>(pairs: impl IntoIterator<Item = Pair>) -> Result<T, String> {
    let mut given: Vec<Given> = Vec::new();
    for (name, value) in pairs {
        let Some(index) = field_of::<T>(&name)? else { continue };
        match given.iter_mut().find(|g| g.name == name) {
            Some(same) => same.values.push(value),
            None => given.push(Given { name, index, values: vec![value] }),
        }
    }
    let mut request = T::default();
    let mut lists: [Option<TextsBuilder>; 4] = Default::default();
    for Given { index, values, .. } in given {
        let field = &T::FIELDS[index];
        if field.kind == Kind::Texts {
            let list = lists[index].get_or_insert_default();
            for value in values {
                list.push(text(field, value)?.as_bytes())?;
            }
        } else if let Some(value) = scalar(field, values)? {
            request.set(index, value);
        }
    }
    for (index, list) in lists.into_iter().enumerate() {
        if let Some(list) = list {
            request.set(index, Value::Texts(list.finish()));
        }
    }
    Ok(request)
}

/// The field a key names, with or without `[]` behind it; `None` if it is unknown.
fn field_of<T: Fields>(key: &[u8]) -> Result<Option<usize>, String> {
    let (first, dotted) = match super::split(key, b'.') {
        Some((first, _)) => (first, true),
        None => (key, false),
    };
    let index = T::find(first).or_else(|| first.strip_suffix(b"[]").and_then(|name| T::find(name)));
    if index.is_some() && dotted {
        let first = String::from_utf8_lossy(first);
        return Err(format!("invalid path: \"{first}\" is not a message"));
    }
    Ok(index)
}

fn scalar(field: &Field, mut values: Vec<Vec<u8>>) -> Result<Option<Value>, String> {
    if values.len() > 1 {
        let values = String::from_utf8_lossy(&values.join(&b", "[..])).into_owned();
        return Err(format!("too many values for field \"{}\": {values}", field.name));
    }
    let Some(value) = values.pop().filter(|value| !value.is_empty()) else { return Ok(None) };
    let value = text(field, value)?;
    let failed = |e| format!("parsing field \"{}\": {e}", field.name);
    let integer = |min, max| integer::parse(value.as_str(), min, max).map_err(failed);
    Ok(Some(match field.kind {
        Kind::Int64 => Value::Int64(integer(i64::MIN, i64::MAX)?),
        Kind::Int32 => Value::Int32(integer(i32::MIN.into(), i32::MAX.into())? as i32),
        Kind::Text | Kind::Texts => Value::Text(value),
    }))
}

fn text(field: &Field, value: Vec<u8>) -> Result<Text, String> {
    Text::new(Bytes::from(value))
        .ok_or_else(|| format!("parsing field \"{}\": invalid UTF-8", field.name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::convert::{SendGroupRequest, SyncRequest};

    fn sync(query: &str) -> Result<(String, i64, i32), String> {
        let request = decode_query::<SyncRequest>(query.as_bytes())?;
        Ok((request.member.as_str().to_owned(), request.last_read, request.count))
    }

    #[track_caller]
    fn check(query: &str, member: &str, last_read: i64, count: i32) {
        assert_eq!(sync(query), Ok((member.to_owned(), last_read, count)), "{query}");
    }

    #[test]
    fn keys_are_proto_or_json_names_with_or_without_brackets() {
        check("member=a&last_read=2&count=1", "a", 2, 1);
        check("count=1&lastRead=2&member=a", "a", 2, 1);
        check("member[]=a&count%5B%5D=1&%6Cast_read=2", "a", 2, 1);
        check("Member=a&LastRead=2&last-read=3&x=1&x=2&y&=q&x.y=1&a;b", "", 0, 0);
    }

    #[test]
    fn values_are_decoded_and_empty_ones_are_unset() {
        check("member=x+y%2Bz&last_read=&count", "x y+z", 0, 0);
        check("&&member=a?x&&&count=2&", "a?x", 0, 2);
    }

    #[test]
    fn a_pair_that_cannot_be_decoded_is_left_out_of_a_query_and_refuses_a_body() {
        check("member=a&x=%zz&count=1&last_read=%4", "a", 0, 1);
        check("member=a&count=1;x&last_read=1", "a", 1, 0);
        let body = |text: &str| decode_body::<SyncRequest>(text.as_bytes()).unwrap_err();
        assert_eq!(body("member=%zz"), "invalid URL escape \"%zz\"");
        assert_eq!(body("member=%4"), "invalid URL escape \"%4\"");
        assert_eq!(body("member=a;count=1"), "invalid semicolon separator in query");
    }

    #[test]
    fn wrong_kinds_repeats_and_paths_have_the_texts_of_go() {
        let syntax = "strconv.ParseInt: parsing \"abc\": invalid syntax";
        for (query, wanted) in [
            ("last_read=abc", format!("parsing field \"last_read\": {syntax}")),
            ("lastRead=abc", format!("parsing field \"last_read\": {syntax}")),
            ("member=u&member=v", "too many values for field \"member\": u, v".to_owned()),
            ("count=1&count=1", "too many values for field \"count\": 1, 1".to_owned()),
            ("count.x=1", "invalid path: \"count\" is not a message".to_owned()),
            ("member=%ff", "parsing field \"member\": invalid UTF-8".to_owned()),
        ] {
            assert_eq!(sync(query), Err(wanted), "{query}");
        }
        assert!(sync("count=2147483648").unwrap_err().ends_with("value out of range"));
    }

    #[test]
    fn a_list_is_its_key_repeated() {
        let body =
            b"groupName=g&group_members=a&group_members=b&groupMembers[]=c&message={\"n\":1}";
        let request = decode_body::<SendGroupRequest>(body).unwrap();
        assert_eq!(request.group_members, ["a", "b", "c"].iter().collect());
        assert_eq!(request.message.as_str(), "{\"n\":1}");
    }

    #[test]
    fn a_plus_in_a_path_stays_one() {
        assert_eq!(unescape(b"a+b%2Fc%25", false).unwrap(), b"a+b/c%");
    }

    proptest! {
        #[test]
        fn what_is_escaped_comes_back(member in "\\PC+", last_read in any::<i64>()) {
            let escape = percent_encoding::NON_ALPHANUMERIC;
            let escaped = percent_encoding::utf8_percent_encode(&member, escape);
            let query = format!("member={escaped}&last_read={last_read}");
            prop_assert_eq!(sync(&query), Ok((member, last_read, 0)));
        }

        #[test]
        fn random_bytes_never_panic(text in any::<Vec<u8>>()) {
            let _ = decode_query::<SyncRequest>(&text);
            let _ = decode_body::<SendGroupRequest>(&text);
        }
    }
}
