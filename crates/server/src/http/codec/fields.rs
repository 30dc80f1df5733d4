//! Which fields each request has: the one list that every codec decodes by.

use bytes::Bytes;
use seqline_core::id::Text;

use crate::convert::{
    GroupHistoryRequest, MemberList, SendGroupRequest, SendRequest, SingleHistoryRequest,
    SyncRequest,
};
use crate::proto::{Malformed, decode};

/// A field of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in the protobuf file.
    pub name: &'static str,
    /// Its name in JSON.
    pub json_name: &'static str,
    /// Its protobuf number.
    pub number: u32,
    /// What it holds.
    pub kind: Kind,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A `string`.
    Text,
    /// A `repeated string`.
    Texts,
    /// An `int64`.
    Int64,
    /// An `int32`.
    Int32,
}

/// A decoded value, of its field's [`Kind`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Of a [`Kind::Text`].
    Text(Text),
    /// Of a [`Kind::Texts`].
    Texts(MemberList),
    /// Of a [`Kind::Int64`].
    Int64(i64),
    /// Of a [`Kind::Int32`].
    Int32(i32),
}

/// A request that codecs can fill.
pub trait Fields: Default {
    /// Its fields.
    const FIELDS: &'static [Field];

    /// Sets the field of [`Self::FIELDS`] at `index` to a value of its kind.
    fn set(&mut self, index: usize, value: Value);

    /// Decodes it from protobuf.
    ///
    /// # Errors
    /// If the bytes are none.
    fn from_proto(bytes: &Bytes) -> Result<Self, Malformed>;

    /// The index of the field with this name, in either spelling.
    fn find(name: &[u8]) -> Option<usize> {
        Self::FIELDS
            .iter()
            .position(|f| f.name.as_bytes() == name || f.json_name.as_bytes() == name)
    }
}

const fn field(name: &'static str, json_name: &'static str, number: u32, kind: Kind) -> Field {
    Field { name, json_name, number, kind }
}

/// Implements [`Fields`]: its protobuf decoder, then a line per field
/// with its name, JSON name, number and kind.
macro_rules! fields {
    ($request:ident = $decode:path {
        $($name:ident $json_name:literal = $number:literal $kind:ident,)*
    }) => {
        impl Fields for $request {
            const FIELDS: &'static [Field] =
                &[$(field(stringify!($name), $json_name, $number, Kind::$kind),)*];

            fn set(&mut self, index: usize, value: Value) {
                match (Self::FIELDS[index].number, value) {
                    $(($number, Value::$kind(value)) => self.$name = value,)*
                    (number, value) => unreachable!("field {number} got {value:?}"),
                }
            }

            fn from_proto(bytes: &Bytes) -> Result<Self, Malformed> {
                $decode(bytes)
            }
        }
    };
}

fields! { SendRequest = decode::send {
    from "from" = 1 Text,
    to "to" = 2 Text,
    message "message" = 3 Text,
} }
fields! { SendGroupRequest = decode::send_group {
    group_name "groupName" = 1 Text,
    group_members "groupMembers" = 2 Texts,
    message "message" = 3 Text,
} }
fields! { SyncRequest = decode::sync {
    member "member" = 1 Text,
    last_read "lastRead" = 2 Int64,
    count "count" = 3 Int32,
} }
fields! { SingleHistoryRequest = decode::single_history {
    from "from" = 1 Text,
    to "to" = 2 Text,
    last_read "lastRead" = 3 Int64,
    count "count" = 4 Int32,
} }
fields! { GroupHistoryRequest = decode::group_history {
    group "group" = 1 Text,
    last_read "lastRead" = 3 Int64,
    count "count" = 4 Int32,
} }

/// A list of texts in the making: all in one buffer.
#[derive(Debug, Default)]
pub struct TextsBuilder {
    text: Vec<u8>,
    spans: Vec<(u32, u32)>,
}

impl TextsBuilder {
    /// Puts one text at the end.
    ///
    /// # Errors
    /// If all texts together pass 4 GiB; a request body never does.
    pub fn push(&mut self, text: &[u8]) -> Result<(), String> {
        let too_long = |_| "a list has more than 4 GiB".to_owned();
        let start = u32::try_from(self.text.len()).map_err(too_long)?;
        self.spans.push((start, u32::try_from(text.len()).map_err(too_long)?));
        self.text.extend_from_slice(text);
        Ok(())
    }

    /// The list.
    pub fn finish(self) -> MemberList {
        MemberList { text: self.text.into(), spans: self.spans }
    }
}
