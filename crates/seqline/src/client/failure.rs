//! What can go wrong between the client and the server, told with the next step.

use std::io;
use std::time::Duration;

/// Why a call did not succeed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// Nobody answers at the address. Start the server, or correct the address.
    #[error("cannot connect to {endpoint}: {reason}{hint}")]
    Unreachable {
        /// The address.
        endpoint: String,
        /// What the system said.
        reason: String,
        /// What to do.
        hint: String,
    },
    /// The server answered that it will not. The code decides whether a retry can help.
    #[error("the server refused: {0}")]
    Refused(Refusal),
    /// The connection ended before the answer. A send may or may not have been stored.
    #[error("the connection broke before the answer came: {0}")]
    Broken(String),
    /// The answer did not come in time. A send may or may not have been stored.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// The answer cannot be understood: this is not a Seqline server, or another version.
    #[error("the answer is not one of timeline.v1: {0}; is this address a Seqline server?")]
    Strange(String),
}

/// A server's refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({protocol} {code}{})", named(reason))]
pub struct Refusal {
    /// "HTTP" or "gRPC": what `code` belongs to.
    pub protocol: &'static str,
    /// The HTTP status or the gRPC code.
    pub code: u16,
    /// For programs, for example `TIMELINE_INVALID_PARAM`; empty if unknown.
    pub reason: String,
    /// For people.
    pub message: String,
}

fn named(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(", {reason}") }
}

impl Refusal {
    /// Whether nothing was stored and the same request may succeed after a pause.
    fn passes(&self) -> bool {
        match self.protocol {
            // UNAVAILABLE and RESOURCE_EXHAUSTED.
            "gRPC" => matches!(self.code, 14 | 8),
            _ => matches!(self.code, 503 | 429),
        }
    }

    fn is_deadline(&self) -> bool {
        match self.protocol {
            "gRPC" => self.code == 4,
            _ => self.code == 504 || self.message.contains("deadline exceeded"),
        }
    }
}

impl Failure {
    /// No connection could be made to `endpoint`.
    pub fn unreachable(endpoint: &super::Endpoint, error: &io::Error) -> Failure {
        let hint = match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                let flag = endpoint.protocol.name();
                format!(
                    "\nis the server running? start it with: seqline serve --{flag} {}",
                    endpoint.authority
                )
            }
            _ => String::new(),
        };
        Failure::Unreachable { endpoint: endpoint.to_string(), reason: error.to_string(), hint }
    }

    /// With a doubt about the address, if nothing ever came back from there.
    pub fn doubted_unless(self, answered: bool) -> Failure {
        match self {
            Failure::Broken(why) if !answered => {
                Failure::Broken(format!("{why}; is this address a Seqline server?"))
            }
            failure => failure,
        }
    }

    /// Whether the same request, certainly not done, may succeed after a pause.
    pub fn passes(&self) -> bool {
        match self {
            Failure::Refused(refusal) => refusal.passes(),
            Failure::Unreachable { .. } => true,
            Failure::Broken(_) | Failure::Late(_) | Failure::Strange(_) => false,
        }
    }

    /// Whether reading again may succeed after a pause. Reading twice does no harm, so every
    /// failure of the way to the server counts.
    pub fn passes_for_reads(&self) -> bool {
        match self {
            Failure::Broken(_) | Failure::Late(_) => true,
            Failure::Refused(refusal) if refusal.is_deadline() => true,
            other => other.passes(),
        }
    }

    /// Whether a send that failed like this may have been stored all the same.
    pub fn is_outcome_unknown(&self) -> bool {
        match self {
            Failure::Broken(_) | Failure::Late(_) => true,
            Failure::Refused(r) => r.reason == "OUTCOME_UNKNOWN" || r.is_deadline(),
            Failure::Unreachable { .. } | Failure::Strange(_) => false,
        }
    }
}
