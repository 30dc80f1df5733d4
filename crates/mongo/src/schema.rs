//! How go-timeline names things in MongoDB, and where its names are not unique.
//!
//! It keeps one document per entry, `{_id: ObjectId, id: string, seq: int64, message: document}`,
//! in two collections: one for all inboxes, one for all conversations. The `id` of an inbox is
//! the bare member; that of a conversation is made by [`legacy_id`]. It joins ids with `:` and
//! escapes nothing, so different conversations may share one: never derive a key from it alone.

use seqline_core::id::{ConversationId, GroupId, MemberId};

/// Default name of the collection with the entries of all inboxes.
pub const SYNC_COLLECTION: &str = "chat_sync";
/// Default name of the collection with the entries of all conversations.
pub const HISTORY_COLLECTION: &str = "chat_history";

/// The timeline an entry belongs to: a string.
pub const FIELD_ID: &str = "id";
/// The position of an entry in its timeline: an `int64`, from 1.
pub const FIELD_SEQ: &str = "seq";
/// The message as a document. Absent where the message was `{}` or `null`.
pub const FIELD_MESSAGE: &str = "message";

/// What the `id` of every conversation begins with.
const PREFIX: &str = "seq:";
/// What the `id` of a group begins with, and that of members whose smaller id is `group`.
const GROUP_PREFIX: &str = "seq:group:";

/// The `id` that go-timeline gives this conversation: `seq:SMALLER:LARGER` of two members, compared
/// bytewise, or `seq:group:GROUP`. [`parse`] tells whether others have the same.
pub fn legacy_id(conversation: &ConversationId) -> String {
    match conversation {
        ConversationId::Direct(low, high) => format!("{PREFIX}{}:{}", low.as_str(), high.as_str()),
        ConversationId::Group(group) => format!("{GROUP_PREFIX}{}", group.as_str()),
    }
}

/// Which conversation an `id` of go-timeline stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Only this one, of two members.
    Direct(ConversationId),
    /// Only this group.
    Group(ConversationId),
    /// Any of these, two or more; the document does not say which.
    Ambiguous(Vec<ConversationId>),
}

/// Reads the `id` of a document of [`HISTORY_COLLECTION`]. `None` if no conversation has it:
/// another prefix, an empty id or one that is too long, or the larger member first.
pub fn parse(id: &str) -> Option<Parsed> {
    let group = id.strip_prefix(GROUP_PREFIX).and_then(|g| GroupId::new("group", g).ok());
    let mut found: Vec<ConversationId> = group.map(ConversationId::Group).into_iter().collect();
    let members = id.strip_prefix(PREFIX)?;
    // Every colon may be the one that was put between the two members.
    found.extend(members.match_indices(':').filter_map(|(at, _)| {
        let low = MemberId::new("from", &members[..at]).ok()?;
        let high = MemberId::new("to", &members[at + 1..]).ok()?;
        (low <= high).then_some(ConversationId::Direct(low, high))
    }));
    if found.len() > 1 {
        return Some(Parsed::Ambiguous(found));
    }
    found.pop().map(|only| match only {
        ConversationId::Direct(..) => Parsed::Direct(only),
        ConversationId::Group(_) => Parsed::Group(only),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direct(one: &str, other: &str) -> ConversationId {
        let member = |id| MemberId::new("member", id).unwrap();
        ConversationId::direct(member(one), member(other))
    }

    fn group(id: &str) -> ConversationId {
        ConversationId::Group(GroupId::new("group", id).unwrap())
    }

    #[test]
    fn conversations_are_named_as_go_timeline_names_them() {
        for (conversation, id) in [
            (direct("a", "b"), "seq:a:b"),
            (direct("b", "a"), "seq:a:b"),
            (direct("a", "a"), "seq:a:a"),
            (direct("B", "a"), "seq:B:a"),
            (direct("张三", "李四"), "seq:张三:李四"),
            (group("ann"), "seq:group:ann"),
        ] {
            assert_eq!(legacy_id(&conversation), id);
        }
    }

    #[test]
    fn a_name_leads_back_to_every_conversation_that_has_it() {
        assert_eq!(parse("seq:a:b"), Some(Parsed::Direct(direct("a", "b"))));
        // "group" < "ann" does not hold, so no two members are called like this group.
        assert_eq!(parse("seq:group:ann"), Some(Parsed::Group(group("ann"))));
        // The other place for the colon would put the larger member first.
        assert_eq!(parse("seq:b:a:c"), Some(Parsed::Direct(direct("b:a", "c"))));
        let both = vec![direct("a", "b:c"), direct("a:b", "c")];
        assert_eq!(parse("seq:a:b:c"), Some(Parsed::Ambiguous(both)));
        let both = vec![group("x"), direct("group", "x")];
        assert_eq!(parse("seq:group:x"), Some(Parsed::Ambiguous(both)));
    }

    #[test]
    fn a_name_no_conversation_has_is_refused() {
        let long = format!("seq:a:{}", "b".repeat(1_025));
        for id in ["", "seq", "seq:", "seq:a", "seq:a:", "seq::a", "seq:b:a", "ann", &long] {
            assert_eq!(parse(id), None, "{id}");
        }
    }
}
