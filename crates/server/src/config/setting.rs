//! What a setting is, and the macro that makes a struct, its defaults and its texts from one list.

use super::kind::Kind;

/// What a setting was given as, before its type is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// Text: of a file, of a variable or of a flag.
    Text(String),
    /// A list in a file.
    List(Vec<String>),
    /// A group of further settings in a file, where a value was expected.
    Group,
}

/// One setting, for people: whatever is said about it anywhere is said here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its full name, for example `server.http.addr`.
    pub key: String,
    /// What it does.
    pub doc: String,
    /// Its default, as one writes it in a file.
    pub default: String,
    /// What may be given.
    pub allowed: String,
    /// Whether `KEY_file` may name a file that holds the value.
    pub secret: bool,
}

/// One line of a listing of settings: a group or a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// A group and what it is about. Its settings follow.
    Group {
        /// Its full name, for example `server.http`.
        key: String,
        /// What it is about.
        doc: String,
    },
    /// A setting.
    Setting(Setting),
}

/// Why a value was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such key.
    Unknown,
    /// The key is a group of settings; a single value means nothing there.
    IsGroup,
    /// The value is none of those allowed.
    Value {
        /// What was given, or a mask where it is a secret.
        given: String,
        /// What may be given.
        allowed: String,
    },
}

/// A group of settings. Only the `settings!` macro implements it.
pub trait Group: Default {
    /// Lists everything in the group; `prefix` is the group's own key.
    fn list(prefix: &str, into: &mut Vec<Listed>);

    /// Sets what `path` names, seen from this group.
    ///
    /// # Errors
    /// The refusal, if there is no such setting or the value does not fit it.
    fn set(&mut self, path: &[String], given: &Given) -> Result<(), Refusal>;

    /// Every setting of the group with its value as one may log it, secrets masked.
    fn show(&self, prefix: &str, into: &mut Vec<(String, String)>);
}

/// One member of a group: a setting of some kind, or a group again.
pub(super) trait Member<T> {
    fn list(&self, key: String, doc: String, default: &T, into: &mut Vec<Listed>);
    fn set(&self, value: &mut T, path: &[String], given: &Given) -> Result<(), Refusal>;
    fn show(&self, value: &T, key: String, into: &mut Vec<(String, String)>);
}

/// A member that is a group of its own.
pub(super) struct Nested;

impl<T: Group> Member<T> for Nested {
    fn list(&self, key: String, doc: String, _: &T, into: &mut Vec<Listed>) {
        into.push(Listed::Group { key: key.clone(), doc });
        T::list(&key, into);
    }

    fn set(&self, value: &mut T, path: &[String], given: &Given) -> Result<(), Refusal> {
        if path.is_empty() { Err(Refusal::IsGroup) } else { value.set(path, given) }
    }

    fn show(&self, value: &T, key: String, into: &mut Vec<(String, String)>) {
        value.show(&key, into);
    }
}

/// A member that is one setting.
pub(super) struct Leaf<K>(pub K);

impl<T, K: Kind<T>> Member<T> for Leaf<K> {
    fn list(&self, key: String, doc: String, default: &T, into: &mut Vec<Listed>) {
        let (default, allowed) = (self.0.write(default), self.0.allowed());
        let secret = self.0.secret();
        into.push(Listed::Setting(Setting { key, doc, default, allowed, secret }));
    }

    fn set(&self, value: &mut T, path: &[String], given: &Given) -> Result<(), Refusal> {
        if !path.is_empty() {
            return Err(Refusal::Unknown);
        }
        *value = self.0.read(given).ok_or_else(|| Refusal::Value {
            given: self.0.mask(given),
            allowed: self.0.allowed(),
        })?;
        Ok(())
    }

    fn show(&self, value: &T, key: String, into: &mut Vec<(String, String)>) {
        into.push((key, self.0.show(value)));
    }
}

/// The text of `#[doc]` lines, without the space each begins with.
pub(super) fn doc(lines: &[&str]) -> String {
    let lines: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
    lines.join("\n")
}

/// The key of `name` inside the group `prefix`.
pub(super) fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

/// Makes the struct of a group, its `Default` and its [`Group`] from one list of
/// `name: type = default, member;`. The doc comments are the texts that `gen-config` prints.
macro_rules! settings {
    (
        $(#[doc = $group_doc:literal])+
        $group:ident {
            $($(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:expr, $member:expr;)+
        }
    ) => {
        $(#[doc = $group_doc])+
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $group {
            $($(#[doc = $doc])+ pub $name: $type,)+
        }

        impl Default for $group {
            fn default() -> $group {
                $group { $($name: $default,)+ }
            }
        }

        impl $crate::config::setting::Group for $group {
            fn list(prefix: &str, into: &mut Vec<$crate::config::setting::Listed>) {
                use $crate::config::setting::{Member, doc, join};
                let default = $group::default();
                $({
                    let key = join(prefix, stringify!($name));
                    Member::list(&$member, key, doc(&[$($doc),+]), &default.$name, into);
                })+
            }

            fn set(
                &mut self,
                path: &[String],
                given: &$crate::config::setting::Given,
            ) -> Result<(), $crate::config::setting::Refusal> {
                use $crate::config::setting::{Member, Refusal};
                let Some((name, rest)) = path.split_first() else {
                    return Err(Refusal::IsGroup);
                };
                match name.as_str() {
                    $(stringify!($name) => Member::set(&$member, &mut self.$name, rest, given),)+
                    _ => Err(Refusal::Unknown),
                }
            }

            fn show(&self, prefix: &str, into: &mut Vec<(String, String)>) {
                use $crate::config::setting::{Member, join};
                $({
                    let key = join(prefix, stringify!($name));
                    Member::show(&$member, &self.$name, key, into);
                })+
            }
        }
    };
}

pub(super) use settings;
