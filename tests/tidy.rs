//! Holds the shape of the source: lengths, module pages, words. So nobody has to remember it.

use std::fs;
use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;
const LINE_COLUMNS_MAX: usize = 100;

/// Words that say something else than meant, or nothing, with what to write instead.
const BANNED: [(&str, &str); 10] = [
    ("TODO", "do it, or describe the gap where users look for it"),
    ("FIXME", "mend it"),
    ("XXX", "say what is wrong"),
    ("Manager", "name what it is"),
    ("Helper", "name what it does"),
    ("utils", "name what it holds"),
    ("mailbox", "inbox"),
    ("msg_queue", "timeline"),
    ("service discovery registry", "registry"),
    ("for now", "say when and why it changes"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Every Rust file of the project that a person wrote.
fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("crates"), root().join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !matches!(name.as_str(), "generated" | "fixtures" | "target" | "node_modules") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().to_path_buf(), text));
            }
        }
    }
    assert!(found.len() > 20, "the sources are where this test looks for them");
    found.sort();
    found
}

#[track_caller]
fn none(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn files_and_lines_are_short_enough_to_read() {
    let mut problems = Vec::new();
    for (path, text) in sources() {
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            problems.push(format!("{}: {lines} lines", path.display()));
        }
        for (number, line) in text.lines().enumerate() {
            let columns = line.chars().count();
            if columns > LINE_COLUMNS_MAX {
                problems.push(format!("{}:{}: {columns} columns", path.display(), number + 1));
            }
        }
    }
    none(&problems);
}

#[test]
fn functions_are_short_enough_to_hold_in_the_head() {
    let mut problems = Vec::new();
    for (path, text) in sources() {
        for (line, length) in long_functions(&text) {
            problems.push(format!("{}:{line}: a function of {length} lines", path.display()));
        }
    }
    none(&problems);
}

/// First line and length of each function over the limit. rustfmt puts a function's closing
/// brace alone on a line, as far in as its first line.
fn long_functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut long = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        let is_function = code.split("fn ").next().is_some_and(|before| {
            code.len() > before.len()
                && before.split_whitespace().all(|word| {
                    matches!(word, "async" | "const" | "extern") || word.starts_with("pub")
                })
        });
        if !is_function {
            continue;
        }
        let end = format!("{}}}", " ".repeat(indent));
        let length = lines[start..].iter().position(|l| *l == end).map_or(1, |n| n + 1);
        if length > FUNCTION_LINES_MAX {
            long.push((start + 1, length));
        }
    }
    long
}

#[test]
fn every_file_begins_by_saying_what_lives_there() {
    let without = sources().into_iter().filter(|(_, text)| !text.starts_with("//! "));
    let problems: Vec<_> = without.map(|(path, _)| path.display().to_string()).collect();
    none(&problems);
}

#[test]
fn no_banned_words() {
    let mut problems = Vec::new();
    for (path, text) in sources().into_iter().filter(|(p, _)| !p.ends_with("tidy.rs")) {
        for (number, line) in text.lines().enumerate() {
            for (word, instead) in BANNED.iter().filter(|(word, _)| has_word(line, word)) {
                let place = format!("{}:{}", path.display(), number + 1);
                problems.push(format!("{place}: {word:?}: {instead}"));
            }
        }
    }
    none(&problems);
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
    })
}

#[test]
fn no_unwrap_outside_of_tests() {
    let mut problems = Vec::new();
    for (path, text) in sources() {
        let shown = path.display().to_string();
        if shown.starts_with("tests") || shown.contains("/tests") || shown.contains("/testing/") {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap();
        for (number, line) in code.lines().enumerate() {
            if line.contains(".unwrap()") && !line.trim_start().starts_with("//") {
                problems.push(format!("{shown}:{}", number + 1));
            }
        }
    }
    none(&problems);
}

#[test]
fn an_ignored_test_says_why_on_its_line() {
    let mut problems = Vec::new();
    for (path, text) in sources().into_iter().filter(|(p, _)| !p.ends_with("tidy.rs")) {
        for (number, line) in text.lines().enumerate() {
            if line.contains("#[ignore") && !line.contains("#[ignore = \"") {
                problems.push(format!("{}:{}", path.display(), number + 1));
            }
        }
    }
    none(&problems);
}
