//! What can go wrong, one variant per way a caller must act. No wire codes here.

use std::sync::Arc;

use crate::seq::Seq;

/// The result of every call of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// The cause behind an [`Error`], shared because one failed commit fails many sends.
pub type Source = Arc<dyn std::error::Error + Send + Sync>;

/// Why a call failed, and with that what its caller should do.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The request is malformed. Fix it; do not retry. Nothing was stored.
    #[error("invalid {field}: {reason}")]
    Invalid {
        /// The argument at fault, by its name in the API.
        field: &'static str,
        /// What is wrong with it, for the caller's developer.
        reason: String,
    },
    /// The request passes a limit. Send less; do not retry. Nothing was stored.
    #[error("{field} has {actual} {unit}, more than the {max} that {limit} allows")]
    TooLarge {
        /// The argument at fault, by its name in the API.
        field: &'static str,
        /// The setting that was passed, for example `message_bytes_max`; `one send` where what
        /// the store can hold at all is less than the settings allow.
        limit: &'static str,
        /// The limit's value.
        max: usize,
        /// What the request has.
        actual: usize,
        /// What is counted, for example "bytes".
        unit: &'static str,
    },
    /// The idempotency key was used in this conversation for another payload. Do not retry.
    /// Nothing was stored.
    #[error("the idempotency key was used in this conversation with another payload")]
    Conflict,
    /// Too much is waiting. Nothing was stored; retry after a pause.
    #[error("overloaded: {reason}")]
    Overloaded {
        /// Which queue is full.
        reason: &'static str,
    },
    /// The send may or may not have been stored. Retry with the same idempotency key; without
    /// one, read the conversation first.
    #[error("the outcome of the send is unknown: {reason}")]
    OutcomeUnknown {
        /// What failed.
        reason: String,
    },
    /// The store cannot do this now. Nothing was stored; retry later.
    #[error("{component} is unavailable")]
    Unavailable {
        /// The part that does not answer.
        component: &'static str,
        /// Why, for the log only.
        #[source]
        source: Source,
    },
    /// Stored bytes failed a check. Do not retry; an operator must look.
    #[error("corrupt entry in {timeline} at {seq}: {detail}")]
    Corrupt {
        /// The timeline, printable.
        timeline: String,
        /// The position in it.
        seq: Seq,
        /// What does not hold.
        detail: String,
    },
}

impl Error {
    /// A malformed argument.
    pub fn invalid(field: &'static str, reason: impl Into<String>) -> Error {
        Error::Invalid { field, reason: reason.into() }
    }

    /// A store that cannot answer, with the cause for the log.
    pub fn unavailable(
        component: &'static str,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Error {
        Error::Unavailable { component, source: Arc::new(source) }
    }
}
