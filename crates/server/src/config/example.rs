//! The settings as text for people: the commented file of `gen-config`, and `docs/config.md`.

use std::fmt::Write as _;

use super::sections::Config;
use super::setting::{Group as _, Listed, Setting};

const FILE_HEAD: &str = "\
# Every setting of Seqline with its default. Keep the lines you change and delete the rest.
# Start with it:  seqline serve --config FILE
# Check it:       seqline check-config --config FILE
# Each setting can also be given as an environment variable, which wins over the file:
# server.http.addr is SEQLINE__SERVER__HTTP__ADDR. Flags win over both. A secret can be in a file
# of its own: data.redis.password_file names the file that holds data.redis.password.
";

const PAGE_HEAD: &str = r#"# Settings

Seqline needs no settings: `seqline serve` starts with the defaults below. Settings come from, each
winning over those before it:

1. a YAML file, or a directory of them: `--config PATH` (`-conf PATH` works too). Of a directory
   the files `*.yaml`, `*.yml` and `*.json` that are not hidden are merged in the order of their
   names;
2. environment variables: `server.http.addr` is `SEQLINE__SERVER__HTTP__ADDR`; items of a list are
   separated by commas;
3. flags of `seqline serve`.

Keys may be written `snake_case` or `camelCase`. An unknown key is an error, with the nearest
known one. `${a.b:default}` in a value stands for the value of the key `a.b` in the files, or for
the default where there is none. `seqline gen-config` prints a file with everything below,
`seqline check-config` checks one. go-timeline's own file works as it is: it says where MongoDB is,
so the store is `mongo`, and where etcd is, so the server registers there. One line of the log
names the settings that the chosen store does not use.

A secret need not stand among the settings: where the text below says so, `KEY_file` names a file
that holds it, in a settings file (`password_file: /run/secrets/redis`) as in a variable
(`SEQLINE__DATA__REDIS__PASSWORD_FILE`). A newline at the end of the file is not part of it.

The settings in use are logged at the start, passwords and credentials masked.
"#;

/// A YAML file with every setting, its text and its default.
pub fn example() -> String {
    let mut text = FILE_HEAD.to_owned();
    for listed in listed() {
        match listed {
            Listed::Group { key, doc } => {
                let (indent, name) = place(&key);
                if indent.is_empty() {
                    text.push('\n');
                }
                comment(&mut text, &indent, &doc);
                let _ = writeln!(text, "{indent}{name}:");
            }
            Listed::Setting(Setting { key, doc, default, allowed, secret }) => {
                let (indent, name) = place(&key);
                comment(&mut text, &indent, &doc);
                let file = from_file(name, secret);
                comment(&mut text, &indent, &format!("Allowed: {allowed}{file}."));
                let _ = writeln!(text, "{indent}{name}: {default}");
            }
        }
    }
    text
}

/// The same for `docs/config.md`.
pub fn reference() -> String {
    let mut text = PAGE_HEAD.to_owned();
    for listed in listed() {
        match listed {
            Listed::Group { key, doc } => {
                let _ = write!(text, "\n## `{key}`\n{doc}\n");
            }
            Listed::Setting(Setting { key, doc, default, allowed, secret }) => {
                let doc = doc.replace('\n', "\n  ");
                let file = from_file(place(&key).1, secret);
                let _ = writeln!(text, "- **`{key}`**, default `{default}`: {doc}");
                let _ = writeln!(text, "  Allowed: {allowed}{file}.");
            }
        }
    }
    text
}

/// Every group and setting, in the order of the list in `sections`.
pub fn listed() -> Vec<Listed> {
    let mut listed = Vec::new();
    Config::list("", &mut listed);
    listed
}

/// That a secret can also be given as a file.
fn from_file(name: &str, secret: bool) -> String {
    if secret { format!("; or {name}_file with the path of a file") } else { String::new() }
}

/// How far in a key stands in a file, and its own name.
fn place(key: &str) -> (String, &str) {
    let name = key.rsplit('.').next().unwrap_or(key);
    ("  ".repeat(key.matches('.').count()), name)
}

fn comment(text: &mut String, indent: &str, lines: &str) {
    for line in lines.lines() {
        let _ = writeln!(text, "{indent}# {line}");
    }
}
