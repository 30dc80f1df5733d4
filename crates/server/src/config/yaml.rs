//! YAML as a flat list of what is set: key, value, line. Types come later, from the settings.
//!
//! The parser's events are read directly, because a value's exact text and its line are needed
//! for errors, and a tree of YAML values keeps neither.

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::setting::Given;

/// Deepest nesting of a settings file; the settings themselves need three.
const DEPTH_MAX: usize = 16;

/// One value, or one empty group, of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The key's segments as written.
    pub path: Vec<String>,
    /// The value; `None` if the file leaves it empty.
    pub given: Option<Given>,
    /// Where the key stands, counted from 1.
    pub line: usize,
}

/// A file that cannot be read as settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Where, counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub reason: String,
}

/// Reads one document whose top is a mapping, or nothing.
///
/// # Errors
/// The first place that is no YAML, or no settings.
pub fn read(text: &str) -> Result<Vec<Item>, Malformed> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { events: Parser::new_from_str(text), items: Vec::new() };
    loop {
        match reader.next()? {
            (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _) => {}
            (Event::MappingStart(anchor, _), span) => {
                plain(anchor, span)?;
                reader.mapping(&mut Vec::new())?;
                return reader.end();
            }
            (Event::Scalar(value, style, _, _), _) if is_null(&value, style) => {
                return reader.end();
            }
            (Event::StreamEnd, _) => return Ok(reader.items),
            (_, span) => return Err(malformed(span, "settings are `key: value` lines")),
        }
    }
}

struct Reader<'a> {
    events: Parser<'a, StrInput<'a>>,
    items: Vec<Item>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Malformed> {
        match self.events.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(not_yaml(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    /// After the top mapping nothing may follow.
    fn end(mut self) -> Result<Vec<Item>, Malformed> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(self.items),
                (Event::DocumentStart(_), span) => {
                    return Err(malformed(span, "a second document; a file may have one"));
                }
                _ => {}
            }
        }
    }

    fn mapping(&mut self, path: &mut Vec<String>) -> Result<(), Malformed> {
        loop {
            let (name, span) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(()),
                (Event::Scalar(name, ..), span) => (name.into_owned(), span),
                (_, span) => return Err(malformed(span, "a key must be a plain word")),
            };
            if path.len() == DEPTH_MAX {
                return Err(malformed(span, "nested deeper than any setting"));
            }
            path.push(name);
            self.value(path, span.start.line())?;
            path.pop();
        }
    }

    fn value(&mut self, path: &mut Vec<String>, line: usize) -> Result<(), Malformed> {
        let given = match self.next()? {
            (Event::Scalar(value, style, anchor, _), span) => {
                plain(anchor, span)?;
                (!is_null(&value, style)).then(|| Given::Text(value.into_owned()))
            }
            (Event::SequenceStart(anchor, _), span) => {
                plain(anchor, span)?;
                Some(Given::List(self.sequence()?))
            }
            (Event::MappingStart(anchor, _), span) => {
                plain(anchor, span)?;
                let before = self.items.len();
                self.mapping(path)?;
                if self.items.len() > before {
                    return Ok(());
                }
                Some(Given::Group)
            }
            (_, span) => return Err(malformed(span, "anchors and aliases are not supported")),
        };
        self.items.push(Item { path: path.clone(), given, line });
        Ok(())
    }

    fn sequence(&mut self) -> Result<Vec<String>, Malformed> {
        let mut texts = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(texts),
                (Event::Scalar(value, _, anchor, _), span) => {
                    plain(anchor, span)?;
                    texts.push(value.into_owned());
                }
                (_, span) => return Err(malformed(span, "an item of a list must be one value")),
            }
        }
    }
}

fn is_null(value: &str, style: ScalarStyle) -> bool {
    style == ScalarStyle::Plain && matches!(value, "" | "~" | "null" | "Null" | "NULL")
}

fn plain(anchor: usize, span: Span) -> Result<(), Malformed> {
    match anchor {
        0 => Ok(()),
        _ => Err(malformed(span, "anchors and aliases are not supported")),
    }
}

fn malformed(span: Span, reason: &str) -> Malformed {
    Malformed { line: span.start.line(), reason: reason.to_owned() }
}

fn not_yaml(error: &ScanError) -> Malformed {
    Malformed { line: error.marker().line(), reason: format!("this is not YAML: {}", error.info()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(path: &str, given: Option<Given>, line: usize) -> Item {
        Item { path: path.split('.').map(str::to_owned).collect(), given, line }
    }

    #[test]
    fn values_keep_their_text_and_their_line() {
        let text = "\u{feff}# settings\na:\n  b: 010\n  c: ':1'\n\nd: [x, \"y, z\"]\ne: {}\nf:\n";
        let word = |text: &str| Some(Given::Text(text.to_owned()));
        let list = Some(Given::List(vec!["x".to_owned(), "y, z".to_owned()]));
        let expected = vec![
            item("a.b", word("010"), 3),
            item("a.c", word(":1"), 4),
            item("d", list, 6),
            item("e", Some(Given::Group), 7),
            item("f", None, 8),
        ];
        assert_eq!(read(text), Ok(expected));
    }

    #[test]
    fn json_is_yaml_too() {
        let text = "{\"a\": {\"b\": 1}}";
        assert_eq!(read(text), Ok(vec![item("a.b", Some(Given::Text("1".to_owned())), 1)]));
    }

    #[test]
    fn nothing_sets_nothing() {
        for text in ["", "\n", "# only a comment\n", "---\n", "null\n"] {
            assert_eq!(read(text), Ok(vec![]), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_settings_file_is_refused_with_its_line() {
        let deep = format!("{}1{}", "{a: ".repeat(20), "}".repeat(20));
        for (text, line) in [
            ("- a\n- b\n", 1),
            ("just words\n", 1),
            ("a: 1\nb: [1, {c: 2}]\n", 2),
            ("a: &x 1\nb: *x\n", 1),
            ("a: 1\n---\nb: 2\n", 2),
            ("a: 1\n[b]: 2\n", 2),
            ("a: 1\n\tb: 2\n", 1),
            ("a: \"open\n", 1),
            (deep.as_str(), 1),
        ] {
            let refused = read(text).expect_err(text);
            assert!(refused.line >= line, "{text:?}: {refused:?}");
        }
    }

    #[test]
    fn endless_opening_brackets_end_quickly() {
        assert!(read(&"[".repeat(1 << 20)).is_err());
        assert!(read(&"{".repeat(1 << 20)).is_err());
        assert!(read(&"a: ".repeat(1 << 16)).is_err());
    }
}
