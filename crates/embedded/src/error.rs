//! Why a data directory cannot be opened, and how failures below become the port's errors.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use seqline_core::Error;
use seqline_core::seq::Seq;

use crate::index::IndexError;

/// Why a store could not be opened. Each text says what an operator can do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has the directory. Stop it first, or use another directory.
    #[error("{} is in use by {owner}; stop it first, or choose another directory", dir.display())]
    Locked {
        /// The data directory.
        dir: PathBuf,
        /// Who has it, as far as the lock file tells.
        owner: String,
    },
    /// The directory has files that are not Seqline's. Choose another one.
    #[error(
        "{} is not a Seqline data directory and not empty (it has {found:?}); choose another",
        dir.display()
    )]
    Foreign {
        /// The data directory.
        dir: PathBuf,
        /// One of the files found.
        found: String,
    },
    /// An import into the directory has not come to its end. Run it again, or empty the directory.
    #[error(
        "an import into {} did not come to its end; run `seqline import` again, or empty it",
        dir.display()
    )]
    Importing {
        /// The data directory.
        dir: PathBuf,
    },
    /// An import makes a store where nothing is. Choose another directory.
    #[error("{} is not empty (it has {found:?}); an import needs an empty one", dir.display())]
    NotEmpty {
        /// The data directory.
        dir: PathBuf,
        /// One of the files found.
        found: String,
    },
    /// A newer Seqline wrote the directory. Run that version or a later one.
    #[error(
        "{} has data format {found}, this version knows up to {supported}; use a newer Seqline",
        dir.display()
    )]
    Newer {
        /// The data directory.
        dir: PathBuf,
        /// The format it has.
        found: u64,
        /// The newest format known here.
        supported: u64,
    },
    /// An unreleased version wrote the directory. Start with an empty one.
    #[error(
        "{} has data format {found}, which only unreleased versions wrote; use an empty directory",
        dir.display()
    )]
    Older {
        /// The data directory.
        dir: PathBuf,
        /// The format it has.
        found: u64,
    },
    /// What is in the directory does not hold. Nothing was changed; `seqline check DIR --repair`
    /// saves what can be saved, see [`repair`](crate::repair()).
    #[error("{} is damaged: {detail}", place.display())]
    Damaged {
        /// The file or directory.
        place: PathBuf,
        /// What does not hold.
        detail: String,
    },
    /// The operating system refused something.
    #[error("cannot {action} {}: {source}", place.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        place: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
}

impl OpenError {
    pub(crate) fn io<'a>(
        action: &'static str,
        place: &'a Path,
    ) -> impl FnOnce(std::io::Error) -> OpenError + 'a {
        move |source| OpenError::Io { action, place: place.to_owned(), source }
    }

    /// What the index in `place` said: the system's answer stays that.
    pub(crate) fn index(place: &Path) -> impl FnOnce(IndexError) -> OpenError + '_ {
        move |error| match error {
            IndexError::Io { action, source } => {
                OpenError::Io { action, place: place.to_owned(), source }
            }
            other => OpenError::damaged(place, other.to_string()),
        }
    }

    pub(crate) fn damaged(place: &Path, detail: impl Into<String>) -> OpenError {
        OpenError::Damaged { place: place.to_owned(), detail: detail.into() }
    }
}

/// A failure that is only text: a closed store, a lost answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Reason(String);

/// The store cannot do this now, for a reason that is only text.
pub(crate) fn unavailable(reason: impl Into<String>) -> Error {
    Error::unavailable("store", Reason(reason.into()))
}

/// The index failed at something that stored nothing.
pub(crate) fn index(source: IndexError) -> Error {
    match source {
        IndexError::Damaged { .. } => corrupt(&"the index", Seq::ZERO, source.to_string()),
        _ => Error::unavailable("store", source),
    }
}

/// Stored bytes that do not hold.
pub(crate) fn corrupt(timeline: &dyn Display, seq: Seq, detail: impl Into<String>) -> Error {
    Error::Corrupt { timeline: timeline.to_string(), seq, detail: detail.into() }
}
