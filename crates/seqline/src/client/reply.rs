//! Replies, read in place.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;

use super::Failure;
use super::endpoint::Protocol;
use super::wire;

/// The body of a successful answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// How it is written.
    pub protocol: Protocol,
    /// The message, without its frame.
    pub body: Bytes,
}

/// A page of a timeline.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page<'a> {
    /// The newest entry of the inbox; a conversation's page does not say.
    pub latest: Option<i64>,
    /// The last entry of this page as the server says it; a conversation's page does not.
    pub last: Option<i64>,
    /// The entries.
    pub entries: Vec<Entry<'a>>,
}

/// An entry of a page.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub struct Entry<'a> {
    /// Its position.
    #[serde(rename = "sequence", deserialize_with = "integer")]
    pub seq: i64,
    /// The message's exact text.
    #[serde(borrow)]
    pub message: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonPage<'a> {
    #[serde(default, deserialize_with = "some_integer")]
    latest_seq: Option<i64>,
    #[serde(default, deserialize_with = "some_integer")]
    entry_set_last_seq: Option<i64>,
    #[serde(borrow)]
    entry_set: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
struct JsonSend {
    #[serde(deserialize_with = "integer")]
    sequence: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonSendGroup {
    failed_members: Vec<String>,
}

impl Reply {
    /// The entries, of an inbox's page.
    pub fn inbox_page(&self) -> Result<Page<'_>, Failure> {
        match self.protocol {
            Protocol::Grpc => wire::page(&self.body, 3),
            Protocol::Http => {
                let page = self.json_page()?;
                if page.latest.is_none() || page.last.is_none() {
                    return Err(Failure::Strange("a page without its positions".to_owned()));
                }
                Ok(page)
            }
        }
    }

    /// How many entries an inbox's page has, without looking into them where that is possible.
    pub fn inbox_entries(&self) -> Result<u64, Failure> {
        match self.protocol {
            Protocol::Grpc => wire::count(&self.body, 3),
            Protocol::Http => self.json_page().map(|page| page.entries.len() as u64),
        }
    }

    /// The entries, of a conversation's page.
    pub fn conversation_page(&self) -> Result<Page<'_>, Failure> {
        match self.protocol {
            Protocol::Grpc => wire::page(&self.body, 1),
            Protocol::Http => self.json_page(),
        }
    }

    /// The receiver's position, of a direct send.
    pub fn sequence(&self) -> Result<i64, Failure> {
        match self.protocol {
            Protocol::Grpc => wire::number(&self.body, 1),
            Protocol::Http => Ok(self.json::<JsonSend>()?.sequence),
        }
    }

    /// The members a group send did not reach.
    pub fn failed_members(&self) -> Result<Vec<String>, Failure> {
        match self.protocol {
            Protocol::Grpc => wire::texts(&self.body, 1),
            Protocol::Http => Ok(self.json::<JsonSendGroup>()?.failed_members),
        }
    }

    fn json_page(&self) -> Result<Page<'_>, Failure> {
        let page: JsonPage<'_> = self.json()?;
        Ok(Page { latest: page.latest_seq, last: page.entry_set_last_seq, entries: page.entry_set })
    }

    fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|e| Failure::Strange(e.to_string()))
    }
}

/// An `int64` of the protobuf JSON form: text, though a number is allowed too.
#[derive(Deserialize)]
#[serde(untagged)]
enum Integer<'a> {
    Number(i64),
    Text(&'a str),
}

fn integer<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    match Integer::deserialize(deserializer)? {
        Integer::Number(number) => Ok(number),
        Integer::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

fn some_integer<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<i64>, D::Error> {
    integer(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(body: &'static str) -> Reply {
        Reply { protocol: Protocol::Http, body: Bytes::from_static(body.as_bytes()) }
    }

    #[test]
    fn a_json_page_gives_the_exact_text_of_each_message() {
        let reply = reply(
            r#"{"latestSeq":"7","entrySetLastSeq":"2","entrySet":[
               {"sequence":"1","message":"{\"text\": \"吃了吗？\"}"},{"sequence":2,"message":"{}"}]}"#,
        );
        let page = reply.inbox_page().unwrap();
        assert_eq!((page.latest, page.last), (Some(7), Some(2)));
        assert_eq!(page.entries[0].message, "{\"text\": \"吃了吗？\"}");
        assert_eq!(page.entries[1], Entry { seq: 2, message: "{}".into() });
    }

    #[test]
    fn an_answer_of_something_else_is_refused() {
        assert!(reply("<html>").inbox_page().is_err());
        assert!(reply(r#"{"entrySet":[]}"#).inbox_page().is_err());
        assert!(reply(r#"{"entrySet":[]}"#).conversation_page().is_ok());
        assert!(reply(r#"{"sequence":"x"}"#).sequence().is_err());
    }
}
