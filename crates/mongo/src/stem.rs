//! The `_id`s of a message's documents, which keep it from being stored or delivered twice,
//! whoever tries and however often: `_id` is unique.
//!
//! In its conversation a message has its [`Stem`], in an inbox its own id and the member. Not
//! the stem there too: a key comes free again, and its stem with it once the entry is deleted,
//! while inboxes may still have the first message. Never equal to an `ObjectId`.

use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, RawBsonRef};
use seqline_core::id::{ConversationId, IdempotencyKey, TimelineId};
use sha2::{Digest as _, Sha256};

/// The `_id` of a message in its conversation, 128 bits: of a send under a key the same in every
/// try of it, else the message's own id, which is drawn once per call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Stem(pub [u8; 16]);

impl Stem {
    /// The stem of a message without a key.
    pub fn of_message(id: u128) -> Stem {
        Stem(id.to_be_bytes())
    }

    /// The stem of what is sent under `key` to `conversation`. `use_of_key` counts how often the
    /// key was free again before, because its window was over.
    pub fn of_key(conversation: &ConversationId, key: &IdempotencyKey, use_of_key: u32) -> Stem {
        let mut hash = Sha256::new();
        let timeline = TimelineId::from(conversation.clone()).key();
        for part in [b"seqline key", &timeline[..], key.as_bytes(), &use_of_key.to_be_bytes()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut stem = [0; 16];
        stem.copy_from_slice(&hash.finalize()[..16]);
        Stem(stem)
    }

    /// The `_id` in the conversation.
    pub fn id(self) -> Binary {
        binary(self.0.to_vec())
    }
}

/// The `_id` of the message `id` in the inbox of `member`.
pub(crate) fn inbox_id(id: u128, member: &str) -> Binary {
    binary([&id.to_be_bytes(), member.as_bytes()].concat())
}

/// The 128 bits that an `_id` begins with; `None` for one of go-timeline's, and for another
/// program's UUID.
pub(crate) fn first_bits(id: RawBsonRef<'_>) -> Option<[u8; 16]> {
    let RawBsonRef::Binary(binary) = id else {
        return None;
    };
    let ours = binary.subtype == BinarySubtype::Generic;
    ours.then(|| binary.bytes.first_chunk().copied()).flatten()
}

impl From<Stem> for Bson {
    fn from(stem: Stem) -> Bson {
        Bson::Binary(stem.id())
    }
}

fn binary(bytes: Vec<u8>) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use mongodb::bson::RawBinaryRef;
    use seqline_core::id::GroupId;

    use super::*;

    #[test]
    fn only_the_same_use_of_the_same_key_in_the_same_conversation_has_the_same_stem() {
        let stem = |group: &str, key: &str, use_of_key| {
            let group = ConversationId::Group(GroupId::new("group", group).unwrap());
            Stem::of_key(&group, &IdempotencyKey::new(key).unwrap(), use_of_key)
        };
        let all = [stem("a", "bc", 0), stem("ab", "c", 0), stem("a", "bc", 1), stem("b", "c", 0)];
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 4);
        assert_eq!(stem("a", "bc", 0), all[0]);
    }

    #[test]
    fn an_id_of_another_program_is_no_stem() {
        // A UUID was taken for one: a hole below it, which go-timeline leaves, was taken for a loss
        // and kept readers out.
        let bytes = [7; 16];
        let of = |subtype| first_bits(RawBsonRef::Binary(RawBinaryRef { subtype, bytes: &bytes }));
        assert_eq!(of(BinarySubtype::Generic), Some(bytes));
        assert_eq!(of(BinarySubtype::Uuid), None);
        assert_eq!(of(BinarySubtype::UserDefined(0x80)), None);
    }
}
