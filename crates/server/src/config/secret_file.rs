//! Secrets from files: `KEY_file: PATH` stands for `KEY:` and what the file holds. Nothing of a
//! file's contents is ever part of an error.

use std::collections::HashMap;
use std::path::Path;

use super::example::listed;
use super::load::Problem;
use super::setting::{Given, Listed};
use super::source::{Assignment, Origin};

/// Largest file of a secret: a password or a URI.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// What a key of a secret ends with if it names a file.
const SUFFIX: &str = "_file";

/// Puts what the named files hold in the place of their names.
pub fn resolve(assignments: &mut [Assignment], problems: &mut Vec<Problem>) {
    let secrets: Vec<String> = listed()
        .into_iter()
        .filter_map(|listed| match listed {
            Listed::Setting(setting) if setting.secret => Some(setting.key),
            _ => None,
        })
        .collect();
    let mut given: HashMap<(String, bool), bool> = HashMap::new();
    for assignment in assignments {
        let key = assignment.key();
        let plain = key.strip_suffix(SUFFIX).filter(|plain| secrets.iter().any(|s| s == plain));
        let secret = plain.unwrap_or(&key).to_owned();
        if assignment.given.is_none() || !secrets.contains(&secret) {
            continue;
        }
        // Of one source neither wins over the other: somebody would use the wrong one.
        let in_files = matches!(assignment.origin, Origin::Line(..));
        let is_file = plain.is_some();
        if given.insert((secret.clone(), in_files), is_file).is_some_and(|was| was != is_file) {
            let reason = format!("{secret} and {secret}{SUFFIX} are both given: keep one");
            problems.push(Problem::at(&assignment.origin, reason));
            continue;
        }
        if is_file {
            replace(assignment, &key, problems);
        }
    }
}

fn replace(assignment: &mut Assignment, key: &str, problems: &mut Vec<Problem>) {
    let read = match &assignment.given {
        Some(Given::Text(path)) if path.is_empty() => {
            assignment.given = None;
            Ok(None)
        }
        Some(Given::Text(path)) => contents(Path::new(path)).map(Some),
        _ => Err("it must be the path of a file".to_owned()),
    };
    if let Some(name) = assignment.path.last_mut() {
        name.truncate(name.len() - SUFFIX.len());
    }
    match read {
        Ok(Some(secret)) => assignment.given = Some(Given::Text(secret)),
        Ok(None) => {}
        Err(reason) => {
            assignment.given = None;
            problems.push(Problem::at(&assignment.origin, format!("{key}: {reason}")));
        }
    }
}

/// The text of the file without the newline that editors put at its end.
fn contents(path: &Path) -> Result<String, String> {
    let failed = |error| format!("{} cannot be read: {error}", path.display());
    let bytes = std::fs::metadata(path).map_err(failed)?.len();
    if bytes > FILE_BYTES_MAX {
        let path = path.display();
        return Err(format!("{path} has {bytes} bytes; a secret has at most {FILE_BYTES_MAX}"));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    let text =
        String::from_utf8(bytes).map_err(|_| format!("{} is not UTF-8 text", path.display()))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}
