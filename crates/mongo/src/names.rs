//! The `id` of a timeline in the database: go-timeline's own wherever it is clear whose it is.
//!
//! * An inbox has the bare member, in a collection of its own.
//! * A group has `seq:group:GROUP`, always.
//! * Two members have `seq:SMALLER:LARGER` where no other conversation could be called so, else
//!   `seqline:direct:BYTES:SMALLER:LARGER`, with the length of the smaller id in bytes. No name
//!   of go-timeline begins like that, and the length leaves one way to read it.
//!
//! So no two timelines share a name. A name of go-timeline that a group and two members share
//! stays the group's: groups are common, and a member called `group` is not. One that only pairs
//! of members share is nobody's: entries there may be either pair's, and showing them to one
//! would show the other's; they stay where they are until an operator assigns them.

use seqline_core::id::{ConversationId, MemberId, TimelineId};

use crate::schema::{self, Parsed};

/// What the name begins with of two members who would share go-timeline's with others.
const ESCAPED: &str = "seqline:direct:";

/// The `id` under which the entries of a conversation stand.
pub fn history_id(conversation: &ConversationId) -> String {
    let legacy = schema::legacy_id(conversation);
    match (conversation, schema::parse(&legacy)) {
        (ConversationId::Direct(low, high), Some(Parsed::Ambiguous(_))) => {
            let bytes = low.as_bytes().len();
            format!("{ESCAPED}{bytes}:{}:{}", low.as_str(), high.as_str())
        }
        _ => legacy,
    }
}

/// The conversation whose entries stand under `id`; `None` if no conversation's do.
pub fn conversation_of(id: &str) -> Option<ConversationId> {
    let found = match id.strip_prefix(ESCAPED) {
        Some(rest) => {
            let (bytes, rest) = rest.split_once(':')?;
            let bytes: usize = bytes.parse().ok()?;
            let (low, high) = (rest.get(..bytes)?, rest.get(bytes..)?.strip_prefix(':')?);
            let member = |id: &str| MemberId::new("member", id).ok();
            ConversationId::direct(member(low)?, member(high)?)
        }
        None => match schema::parse(id)? {
            Parsed::Direct(one) | Parsed::Group(one) => one,
            Parsed::Ambiguous(all) => {
                all.into_iter().find(|c| matches!(c, ConversationId::Group(_)))?
            }
        },
    };
    (history_id(&found) == id).then_some(found)
}

/// The `_id` of a timeline's floor. The two kinds differ, because a member may be called like a
/// conversation.
pub fn floor_id(timeline: &TimelineId) -> String {
    match timeline {
        TimelineId::Inbox(member) => format!("inbox:{}", member.as_str()),
        TimelineId::Conversation(conversation) => {
            format!("history:{}", history_id(conversation))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use seqline_core::id::GroupId;

    use super::*;

    fn direct(one: &str, other: &str) -> ConversationId {
        let member = |id| MemberId::new("member", id).unwrap();
        ConversationId::direct(member(one), member(other))
    }

    fn group(id: &str) -> ConversationId {
        ConversationId::Group(GroupId::new("group", id).unwrap())
    }

    #[test]
    fn names_of_go_timeline_are_kept_where_one_conversation_has_them() {
        for (conversation, name) in [
            (direct("a", "b"), "seq:a:b"),
            (direct("user:1", "user:2"), "seq:user:1:user:2"),
            (group("ann"), "seq:group:ann"),
            (group("room 7"), "seq:group:room 7"),
            (group("x"), "seq:group:x"),
            (group("x:y"), "seq:group:x:y"),
            (direct("b:a", "c"), "seq:b:a:c"),
            (direct("group", "x"), "seqline:direct:5:group:x"),
            (direct("a", "b:c"), "seqline:direct:1:a:b:c"),
            (direct("a:b", "c"), "seqline:direct:3:a:b:c"),
        ] {
            assert_eq!(history_id(&conversation), name);
            assert_eq!(conversation_of(name), Some(conversation));
        }
    }

    #[test]
    fn a_name_that_may_be_either_pairs_is_neithers() {
        assert_eq!(conversation_of("seq:a:b:c"), None);
        // Clear by go-timeline's rule, so never written in the other form.
        assert_eq!(conversation_of("seqline:direct:1:a:b"), None);
        assert_eq!(conversation_of("seqline:direct:9:a:b:c"), None);
    }

    proptest! {
        #[test]
        fn every_name_leads_back_to_its_only_conversation(
            (one, other) in ("[ab:]{1,4}|group", "[ab:]{1,4}|group:a"),
            name in "[ab:]{1,4}",
        ) {
            for conversation in [direct(&one, &other), group(&name)] {
                let id = history_id(&conversation);
                prop_assert_eq!(conversation_of(&id), Some(conversation), "{}", id);
            }
        }
    }
}
