//! Whether the body of an answer is what was asked for.

use crate::client::{Protocol, Reply};

/// What a good answer must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The position of a direct send.
    Sequence,
    /// That a group send reached everybody.
    NobodyFailed,
    /// Entries of an inbox.
    Entries,
}

impl Wanted {
    /// Looks at a gRPC message with its frame's head. Returns how many entries it has.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn judge_grpc(self, framed: &[u8]) -> Result<u64, String> {
        let strange = || format!("a gRPC message of {} bytes with a wrong head", framed.len());
        let (head, message) = framed.split_first_chunk::<5>().ok_or_else(strange)?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        if head[0] != 0 || length as usize != message.len() {
            return Err(strange());
        }
        let entries = |reply: &Reply| reply.inbox_entries();
        match self {
            // Both have one short field; looking at it costs less than reading it.
            Wanted::Sequence if message.first() == Some(&0x08) => Ok(0),
            Wanted::NobodyFailed if message.is_empty() => Ok(0),
            _ => self.judge_reply(Protocol::Grpc, message, entries),
        }
    }

    /// Looks at a JSON body. Returns how many entries it has.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn judge_json(self, body: &[u8]) -> Result<u64, String> {
        // Quotes inside of messages are escaped, so each match is an entry.
        let entries = |reply: &Reply| match std::str::from_utf8(&reply.body) {
            Ok(text) => Ok(text.matches("{\"sequence\":").count() as u64),
            Err(_) => reply.inbox_entries(),
        };
        self.judge_reply(Protocol::Http, body, entries)
    }

    fn judge_reply(
        self,
        protocol: Protocol,
        body: &[u8],
        entries: impl FnOnce(&Reply) -> Result<u64, crate::client::Failure>,
    ) -> Result<u64, String> {
        let reply = Reply { protocol, body: bytes::Bytes::copy_from_slice(body) };
        match self {
            Wanted::Sequence => match reply.sequence().map_err(|e| e.to_string())? {
                ..=0 => Err("the reply to a send has no sequence".to_owned()),
                _ => Ok(0),
            },
            Wanted::NobodyFailed => {
                match reply.failed_members().map_err(|e| e.to_string())?.as_slice() {
                    [] => Ok(0),
                    [first, ..] => Err(format!("a group send did not reach {first}, perhaps more")),
                }
            }
            Wanted::Entries => entries(&reply).map_err(|e| e.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_only_if_it_says_what_was_asked_for() {
        let grpc = |wanted: Wanted, message: &[u8]| {
            let head = [0, 0, 0, 0, message.len() as u8];
            wanted.judge_grpc(&[&head, message].concat())
        };
        assert_eq!(grpc(Wanted::Sequence, b"\x08\x07"), Ok(0));
        assert!(grpc(Wanted::Sequence, b"").is_err());
        assert_eq!(grpc(Wanted::NobodyFailed, b""), Ok(0));
        assert!(grpc(Wanted::NobodyFailed, b"\x0a\x01a").unwrap_err().contains(" a,"));
        assert_eq!(grpc(Wanted::Entries, b"\x08\x02\x10\x02\x1a\x00\x1a\x00"), Ok(2));
        assert!(Wanted::Sequence.judge_grpc(b"\x00\x00\x00\x00\x03\x08\x07").is_err(), "too short");
        assert!(Wanted::Sequence.judge_grpc(b"\x01\x00\x00\x00\x02\x08\x07").is_err(), "packed");

        let json = |wanted: Wanted, body: &str| wanted.judge_json(body.as_bytes());
        assert_eq!(json(Wanted::Sequence, r#"{"sequence":"7"}"#), Ok(0));
        assert!(json(Wanted::Sequence, r#"{"sequence":"0"}"#).is_err());
        assert!(json(Wanted::Sequence, "hello").is_err());
        assert_eq!(json(Wanted::NobodyFailed, r#"{"failedMembers":[]}"#), Ok(0));
        assert!(json(Wanted::NobodyFailed, r#"{"failedMembers":["a"]}"#).is_err());
        let page = r#"{"entrySet":[{"sequence":"1","message":"{\"sequence\":1}"}]}"#;
        assert_eq!(json(Wanted::Entries, page), Ok(1));
    }
}
