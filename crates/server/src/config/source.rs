//! Where settings come from: files, variables, flags; each as a list of what it sets and where.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use super::load::Problem;
use super::setting::Given;
use super::yaml;

/// Largest settings file. The one that `gen-config` prints has 10 KiB.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Variables whose names begin so are settings.
const VARIABLE_PREFIX: &str = "SEQLINE__";

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of a file.
    Line(PathBuf, usize),
    /// An environment variable.
    Variable(String),
    /// A flag, with its dashes.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Line(path, line) => write!(f, "{}:{line}", path.display()),
            Origin::Variable(name) => write!(f, "variable {name}"),
            Origin::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// One value somebody gave.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// The key's segments in snake case.
    pub path: Vec<String>,
    /// The value; `None` for "leave it as it is".
    pub given: Option<Given>,
    /// Where it was given.
    pub origin: Origin,
}

impl Assignment {
    /// The key as people write it.
    pub fn key(&self) -> String {
        self.path.join(".")
    }
}

/// Everything that `path`, a file or a directory of files, sets; later files win.
pub fn files(path: &Path, problems: &mut Vec<Problem>) -> Vec<Assignment> {
    let mut assignments = Vec::new();
    match paths(path) {
        Ok(paths) => {
            for path in paths {
                assignments.extend(file(&path, problems));
            }
        }
        Err(problem) => problems.push(problem),
    }
    substitute(&mut assignments, problems);
    assignments
}

/// The files `path` means, in the order they are read.
fn paths(path: &Path) -> Result<Vec<PathBuf>, Problem> {
    let failed = |error: std::io::Error| Problem::file(path, format!("cannot be read: {error}"));
    if !std::fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let hidden = file.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"."));
        if hidden || file.is_dir() {
            continue;
        }
        if !file.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json") {
            let reason = "is neither .yaml, .yml nor .json: a directory of settings holds only \
                          those (hidden files are left out)";
            return Err(Problem::file(&file, reason));
        }
        found.push(file);
    }
    if found.is_empty() {
        return Err(Problem::file(path, "is a directory without a settings file"));
    }
    found.sort();
    Ok(found)
}

fn file(path: &Path, problems: &mut Vec<Problem>) -> Vec<Assignment> {
    let items = match read_text(path) {
        Ok(text) => yaml::read(&text)
            .map_err(|bad| Problem::at(&Origin::Line(path.to_path_buf(), bad.line), bad.reason)),
        Err(reason) => Err(Problem::file(path, reason)),
    };
    let mut assignments = Vec::new();
    let mut seen = HashMap::new();
    match items {
        Ok(items) => {
            for yaml::Item { path: keys, given, line } in items {
                let keys: Vec<String> = keys.iter().map(|key| snake(key)).collect();
                let origin = Origin::Line(path.to_path_buf(), line);
                if let Some(first) = seen.insert(keys.clone(), line) {
                    let reason = format!("{} is given again; line {first} has it", keys.join("."));
                    problems.push(Problem::at(&origin, reason));
                    continue;
                }
                assignments.push(Assignment { path: keys, given, origin });
            }
        }
        Err(problem) => problems.push(problem),
    }
    assignments
}

fn read_text(path: &Path) -> Result<String, String> {
    let failed = |error| format!("cannot be read: {error}");
    let bytes = std::fs::metadata(path).map_err(failed)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(format!("has {bytes} bytes; a settings file has at most {FILE_BYTES_MAX}"));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())
}

/// `lastRead` as `last_read`.
fn snake(key: &str) -> String {
    let mut name = String::with_capacity(key.len());
    for c in key.chars() {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

/// Replaces `${a.b:default}` by the value of `a.b` in the files, or by the default.
fn substitute(assignments: &mut [Assignment], problems: &mut Vec<Problem>) {
    let values: HashMap<String, String> = assignments
        .iter()
        .filter_map(|assignment| match &assignment.given {
            Some(Given::Text(text)) => Some((assignment.key(), text.clone())),
            _ => None,
        })
        .collect();
    for assignment in assignments {
        let key = assignment.key();
        let texts: Vec<&mut String> = match &mut assignment.given {
            Some(Given::Text(text)) => vec![text],
            Some(Given::List(texts)) => texts.iter_mut().collect(),
            _ => continue,
        };
        for text in texts {
            match filled(text, &values) {
                Ok(new) => *text = new,
                Err(reason) => {
                    let reason = format!("{key}: {reason}");
                    problems.push(Problem::at(&assignment.origin, reason));
                }
            }
        }
    }
}

fn filled(text: &str, values: &HashMap<String, String>) -> Result<String, String> {
    let mut whole = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(end) = rest[start..].find('}').map(|end| start + end) else { break };
        let inner = &rest[start + 2..end];
        let (name, default) = inner.split_once(':').map_or((inner, None), |(n, d)| (n, Some(d)));
        let name: Vec<String> = name.trim().split('.').map(snake).collect();
        let name = name.join(".");
        let value = match (values.get(&name), default) {
            (Some(value), _) if value.contains("${") => {
                return Err(format!("${{{name}}} leads to a value with a placeholder of its own"));
            }
            (Some(value), _) => value,
            (None, Some(default)) => default,
            (None, None) => {
                return Err(format!(
                    "no file gives {name}, which ${{{name}}} stands for; give it, or write a \
                     default: ${{{name}:DEFAULT}}"
                ));
            }
        };
        whole.push_str(&rest[..start]);
        whole.push_str(value);
        rest = &rest[end + 1..];
    }
    whole.push_str(rest);
    Ok(whole)
}

/// What environment variables set.
pub fn variables(
    given: impl IntoIterator<Item = (OsString, OsString)>,
    problems: &mut Vec<Problem>,
) -> Vec<Assignment> {
    let mut assignments = Vec::new();
    for (name, value) in given {
        let Some(name) = name.to_str() else { continue };
        let Some(key) = name.strip_prefix(VARIABLE_PREFIX) else { continue };
        let origin = Origin::Variable(name.to_owned());
        match value.into_string() {
            Ok(text) => {
                let path = key.split("__").map(str::to_ascii_lowercase).collect();
                assignments.push(Assignment { path, given: Some(Given::Text(text)), origin });
            }
            Err(_) => problems.push(Problem::at(&origin, "it is not UTF-8 text")),
        }
    }
    assignments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_stands_for_another_key_or_its_default() {
        let values = [("a.b", "x"), ("last_read", "y"), ("loop", "${a.b}")];
        let values = values.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        for (text, expected) in [
            ("plain $ {}", "plain $ {}"),
            ("${a.b}", "x"),
            ("<${a.b}-${none:d:e}>", "<x-d:e>"),
            ("${lastRead:z}", "y"),
            ("${none:}", ""),
            ("${open", "${open"),
        ] {
            assert_eq!(filled(text, &values).as_deref(), Ok(expected), "{text}");
        }
        for text in ["${none}", "${loop}"] {
            assert!(filled(text, &values).is_err(), "{text}");
        }
    }
}
