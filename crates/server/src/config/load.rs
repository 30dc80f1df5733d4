//! From files, variables and flags to one [`Config`], or a list of everything wrong with them.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use super::data::{StoreKind, WriteConcern};
use super::example::listed;
use super::secret_file;
use super::sections::Config;
use super::setting::{Given, Group as _, Listed, Refusal};
use super::source::{self, Assignment, Origin};

/// Where to look for settings. Each wins over those before it.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A file, or a directory of files.
    pub path: Option<PathBuf>,
    /// Environment variables, those that are no settings among them.
    pub variables: Vec<(OsString, OsString)>,
    /// Flags: the key, the flag's name and its value.
    pub flags: Vec<(&'static str, &'static str, String)>,
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(String);

impl Problem {
    pub(super) fn at(origin: &Origin, reason: impl fmt::Display) -> Problem {
        Problem(format!("{origin}: {reason}"))
    }

    pub(super) fn file(path: &Path, reason: impl fmt::Display) -> Problem {
        Problem(format!("{} {reason}", path.display()))
    }
}

/// The settings cannot be used: everything that is wrong, one line each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the settings are wrong:\n{}", lines(.0))]
pub struct LoadError(Vec<Problem>);

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(|problem| format!("  {}", problem.0)).collect();
    lines.join("\n")
}

impl Config {
    /// The defaults, changed by a file, then by variables, then by flags.
    ///
    /// # Errors
    /// Everything that is wrong, with its place. Nothing is passed over in silence.
    pub fn load(sources: Sources) -> Result<Config, LoadError> {
        let mut problems = Vec::new();
        let mut assignments = Vec::new();
        if let Some(path) = &sources.path {
            assignments = source::files(path, &mut problems);
        }
        assignments.extend(source::variables(sources.variables, &mut problems));
        assignments.extend(sources.flags.into_iter().map(|(key, flag, value)| Assignment {
            path: key.split('.').map(str::to_owned).collect(),
            given: Some(Given::Text(value)),
            origin: Origin::Flag(flag),
        }));
        secret_file::resolve(&mut assignments, &mut problems);
        let mut config = Config::default();
        for assignment in &assignments {
            if let Err(reason) = apply(&mut config, assignment) {
                problems.push(Problem::at(&assignment.origin, reason));
            }
        }
        if problems.is_empty() {
            problems.extend(contradictions(&config).into_iter().map(Problem));
        }
        if problems.is_empty() { Ok(config) } else { Err(LoadError(problems)) }
    }

    /// Every setting as it is in use, as one may log it: passwords and credentials are masked.
    pub fn effective(&self) -> Vec<(String, String)> {
        let mut shown = Vec::new();
        self.show("", &mut shown);
        shown
    }

    /// What somebody should know who starts a server with these settings, one line each.
    pub fn warnings(&self) -> Vec<String> {
        let kind = self.data.store_kind();
        let mut warnings = Vec::new();
        let unused = self.unused(kind);
        if !unused.is_empty() {
            let (store, list) = (kind.as_str(), unused.join(", "));
            warnings.push(format!("the {store} store does not use these settings: {list}"));
        }
        if kind == StoreKind::Mongo && self.data.mongo.write_concern != WriteConcern::Majority {
            warnings.push(
                "data.mongo.write_concern is not majority: messages that were acknowledged may be \
                 lost, and their numbers used again"
                    .to_owned(),
            );
        }
        warnings
    }

    /// The keys that were changed and that a store of this kind does not read.
    fn unused(&self, kind: StoreKind) -> Vec<String> {
        let others: &[&str] = match kind {
            StoreKind::Embedded => &["data.mongo.", "data.redis."],
            StoreKind::Mongo => &["data.dir", "data.durability", "data.memory_"],
        };
        let defaults = Config::default().effective();
        let changed = self.effective().into_iter().zip(defaults);
        changed
            .filter(|((_, value), (_, default))| value != default)
            .map(|((key, _), _)| key)
            .filter(|key| others.iter().any(|other| key.starts_with(other)))
            .collect()
    }
}

fn apply(config: &mut Config, assignment: &Assignment) -> Result<(), String> {
    let key = assignment.key();
    let Some(given) = &assignment.given else { return known(&key) };
    match config.set(&assignment.path, given) {
        Ok(()) => Ok(()),
        Err(Refusal::IsGroup) if *given == Given::Group => Ok(()),
        Err(Refusal::IsGroup) => Err(format!("{key} is a group of settings, not a single one")),
        Err(Refusal::Unknown) => Err(unknown(&key)),
        Err(Refusal::Value { given, allowed }) => {
            Err(format!("{key} cannot be {given}; allowed: {allowed}"))
        }
    }
}

/// Every key there is, of settings and of groups.
fn keys() -> impl Iterator<Item = String> {
    listed().into_iter().map(|listed| match listed {
        Listed::Group { key, .. } => key,
        Listed::Setting(setting) => setting.key,
    })
}

fn known(key: &str) -> Result<(), String> {
    if keys().any(|known| known == key) { Ok(()) } else { Err(unknown(key)) }
}

/// Less alike than this is no help.
const LIKENESS_MIN: f64 = 0.6;

fn unknown(key: &str) -> String {
    let alike = |known: &str| {
        // The right name in the wrong place is nearer than any misspelling.
        let tail = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
        let bonus = if tail(known) == tail(key) { 0.2 } else { 0.0 };
        strsim::normalized_damerau_levenshtein(known, key) + bonus
    };
    let scored = keys().map(|known| (alike(&known), known));
    let nearest =
        scored.filter(|(score, _)| *score >= LIKENESS_MIN).max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((_, nearest)) => format!("there is no setting {key}; did you mean {nearest}?"),
        None => format!("there is no setting {key}"),
    }
}

/// Settings that are right one by one and wrong together.
fn contradictions(config: &Config) -> Vec<String> {
    let mut found = config.data.contradictions();
    found.extend(config.registry.etcd.contradictions());
    let (http, grpc) = (&config.server.http.addr, &config.server.grpc.addr);
    if http == grpc && !http.ends_with(":0") {
        found.push(format!("server.http.addr and server.grpc.addr are both {http}"));
    }
    let limits = &config.limits;
    for (name, room) in [
        ("limits.request_bytes_max", limits.request_bytes_max),
        ("limits.grpc_request_bytes_max", limits.grpc_request_bytes_max),
    ] {
        if room < limits.message_bytes_max {
            let largest = limits.message_bytes_max;
            found.push(format!(
                "{name} is {room}, less than limits.message_bytes_max, {largest}: the largest \
                 message could not be sent"
            ));
        }
    }
    found
}
