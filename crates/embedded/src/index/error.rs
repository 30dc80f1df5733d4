//! What can go wrong with an index that is open.

use std::io;

/// Why an index could not answer, write or flush.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IndexError {
    /// Stored bytes failed a check. Do not retry; rebuild the index from the log.
    #[error("the index is damaged at or near key {}: {detail}", Hex(key))]
    Damaged {
        /// The row, or the last one that was good before it. Empty: not known.
        key: Vec<u8>,
        /// What does not hold.
        detail: String,
    },
    /// The system refused something. What was written and not flushed is still in memory, so a
    /// flush may be tried again when the cause is gone.
    #[error("the index cannot {action}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// Compaction does not keep up, or fails; see `failed`. Try again after it has caught up.
    #[error("{runs} unsorted runs of tables wait for compaction")]
    Behind {
        /// How many wait.
        runs: usize,
    },
    /// It is not known what a failed step left on the disk. Open the index again.
    #[error("the index must be opened again: {0}")]
    Stopped(String),
}

impl IndexError {
    /// A failure of the tree below, seen while `action` was tried near `key`.
    pub(super) fn tree(action: &'static str, key: &[u8], error: lsm_tree::Error) -> IndexError {
        match error {
            lsm_tree::Error::Io(source) if !is_damage(source.kind()) => {
                IndexError::Io { action, source }
            }
            other => IndexError::Damaged { key: key.to_vec(), detail: other.to_string() },
        }
    }

    /// A row that does not hold.
    pub(crate) fn damaged(key: &[u8], detail: impl Into<String>) -> IndexError {
        IndexError::Damaged { key: key.to_vec(), detail: detail.into() }
    }
}

/// A file that ends too early or is not there is damage; the system itself is well.
pub(super) fn is_damage(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
    matches!(kind, InvalidData | NotFound | UnexpectedEof)
}

/// Bytes as an operator can copy them.
struct Hex<'a>(&'a [u8]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
