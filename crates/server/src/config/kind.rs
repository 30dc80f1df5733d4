//! Kinds of settings: how each is read from text, written back, and what is allowed.

use super::setting::{Given, Leaf};

/// How values of one kind of setting are read and written.
pub trait Kind<T> {
    /// The value in `given`; `None` if it is not [allowed](Kind::allowed).
    fn read(&self, given: &Given) -> Option<T>;

    /// The value as one writes it in a file.
    fn write(&self, value: &T) -> String;

    /// What may be given: completes "allowed is …".
    fn allowed(&self) -> String;

    /// Whether it may be given as the name of a file that holds it; see `secret_file`.
    fn secret(&self) -> bool {
        false
    }

    /// The value as one may log it.
    fn show(&self, value: &T) -> String {
        self.write(value)
    }

    /// What was given, for an error.
    fn mask(&self, given: &Given) -> String {
        match given {
            Given::Text(text) => format!("{text:?}"),
            Given::List(_) => "a list".to_owned(),
            Given::Group => "a group of settings".to_owned(),
        }
    }
}
/// One of a few words.
pub(super) struct Choice<T: 'static>(&'static [(&'static str, T)]);

/// One of a few words, each with what it means. The first of a meaning is how it is written.
pub(super) fn choice<T>(words: &'static [(&'static str, T)]) -> Leaf<Choice<T>> {
    Leaf(Choice(words))
}

impl<T: Clone + PartialEq> Kind<T> for Choice<T> {
    fn read(&self, given: &Given) -> Option<T> {
        let Given::Text(text) = given else { return None };
        let found = self.0.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
        found.map(|(_, meaning)| meaning.clone())
    }

    fn write(&self, value: &T) -> String {
        let found = self.0.iter().find(|(_, meaning)| meaning == value);
        found.map_or_else(String::new, |(word, _)| (*word).to_owned())
    }

    fn allowed(&self) -> String {
        let words: Vec<&str> =
            self.0.iter().map(|(word, _)| *word).filter(|word| !word.is_empty()).collect();
        words.join(", ")
    }
}
/// `text` as a YAML scalar that means this text: JSON's quotes are YAML's too.
pub(super) fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
