//! The one mapping from errors to what either protocol answers.

use http::StatusCode;
use seqline_core::error::Error;
use tonic::Code;

/// An error as a client sees it, in both protocols.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The HTTP status, also `code` in the body.
    pub http: StatusCode,
    /// The gRPC code.
    pub grpc: Code,
    /// A stable name for programs, in upper case; empty for errors without one.
    pub reason: &'static str,
    /// A text for people; it tells nothing about the inside of the server.
    pub message: String,
    /// More for programs: which limit, its value, what the request had.
    pub metadata: Vec<(&'static str, String)>,
}

impl Status {
    fn new(
        http: StatusCode,
        grpc: Code,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Status {
        Status { http, grpc, reason, message: message.into(), metadata: Vec::new() }
    }

    /// An error of the transport: a gRPC code and a text, without a reason.
    pub fn plain(code: Code, message: impl Into<String>) -> Status {
        Status::new(StatusCode::INTERNAL_SERVER_ERROR, code, "", message)
    }

    /// A request that is wrong; nothing was stored.
    pub fn invalid(message: impl Into<String>) -> Status {
        let code = (StatusCode::BAD_REQUEST, Code::InvalidArgument);
        Status::new(code.0, code.1, "TIMELINE_INVALID_PARAM", message)
    }

    /// A body, query or path that cannot be decoded.
    pub fn codec(message: impl Into<String>) -> Status {
        Status::new(StatusCode::BAD_REQUEST, Code::InvalidArgument, "CODEC", message)
    }

    /// More requests are in flight than `max`.
    pub fn too_many_requests(max: usize) -> Status {
        let text = "service unavailable due to rate limit exceeded";
        let code = (StatusCode::TOO_MANY_REQUESTS, Code::ResourceExhausted);
        let mut status = Status::new(code.0, code.1, "RATELIMIT", text);
        status.metadata =
            vec![("limit", "requests_in_flight_max".into()), ("max", max.to_string())];
        status
    }

    /// The request took longer than it may. A send may have been stored all the same.
    pub fn deadline() -> Status {
        let text = "context deadline exceeded";
        Status::new(StatusCode::INTERNAL_SERVER_ERROR, Code::DeadlineExceeded, "", text)
    }

    /// The server has a bug: a handler panicked.
    pub fn panicked() -> Status {
        let text = "unknown request error";
        Status::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, "UNKNOWN", text)
    }

    /// The server is stopping.
    pub fn stopping() -> Status {
        Status::unavailable("the server is stopping")
    }

    fn unavailable(message: impl Into<String>) -> Status {
        let code = (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable);
        Status::new(code.0, code.1, "UNAVAILABLE", message)
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Status {
        let text = error.to_string();
        match &error {
            Error::Invalid { .. } => Status::invalid(text),
            Error::TooLarge { limit, max, actual, .. } => Status {
                metadata: vec![
                    ("limit", (*limit).to_owned()),
                    ("max", max.to_string()),
                    ("actual", actual.to_string()),
                ],
                ..Status::invalid(text)
            },
            Error::Conflict => {
                Status::new(StatusCode::CONFLICT, Code::Aborted, "IDEMPOTENCY_CONFLICT", text)
            }
            Error::Overloaded { .. } => {
                let code = (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable);
                Status::new(code.0, code.1, "OVERLOADED", text)
            }
            // Never 503: clients repeat that blindly, and the send may have been stored.
            Error::OutcomeUnknown { .. } => {
                tracing::error!(error = text, "a send was answered with outcome unknown");
                let text = "the outcome of the send is unknown; repeat it with the same \
                            idempotency key";
                let code = (StatusCode::INTERNAL_SERVER_ERROR, Code::Internal);
                Status::new(code.0, code.1, "OUTCOME_UNKNOWN", text)
            }
            Error::Unavailable { source, .. } => {
                tracing::warn!(error = text, cause = chain(&**source), "a request was refused");
                Status::unavailable(text)
            }
            Error::Corrupt { .. } => {
                tracing::error!(error = text, "stored data is damaged; run `seqline check`");
                let code = (StatusCode::INTERNAL_SERVER_ERROR, Code::DataLoss);
                Status::new(code.0, code.1, "CORRUPT", "stored data is damaged; see the log")
            }
        }
    }
}

/// An error and all its causes in one line, for the log.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use seqline_core::seq::Seq;

    #[track_caller]
    fn check(error: Error, http: u16, grpc: Code, reason: &str) {
        let status = Status::from(error);
        assert_eq!((status.http.as_u16(), status.grpc, status.reason), (http, grpc, reason));
    }

    #[test]
    fn every_error_has_its_code_and_reason() {
        check(Error::invalid("to", "x"), 400, Code::InvalidArgument, "TIMELINE_INVALID_PARAM");
        check(Error::Conflict, 409, Code::Aborted, "IDEMPOTENCY_CONFLICT");
        check(Error::Overloaded { reason: "x" }, 503, Code::Unavailable, "OVERLOADED");
        let reason = "x".to_owned();
        check(Error::OutcomeUnknown { reason }, 500, Code::Internal, "OUTCOME_UNKNOWN");
        let down = Error::unavailable("disk", std::io::Error::other("x"));
        check(down, 503, Code::Unavailable, "UNAVAILABLE");
        let (timeline, detail) = ("inbox".to_owned(), "x".to_owned());
        check(Error::Corrupt { timeline, seq: Seq::FIRST, detail }, 500, Code::DataLoss, "CORRUPT");
    }

    #[test]
    fn a_passed_limit_is_named_with_its_value_and_what_the_request_had() {
        let (field, limit) = ("message", "message_bytes_max");
        let status =
            Status::from(Error::TooLarge { field, limit, max: 8, actual: 11, unit: "bytes" });
        assert_eq!(status.reason, "TIMELINE_INVALID_PARAM");
        let wanted = [("limit", limit), ("max", "8"), ("actual", "11")];
        assert!(status.metadata.iter().map(|(k, v)| (*k, v.as_str())).eq(wanted));
    }

    #[test]
    fn what_failed_inside_stays_in_the_log() {
        let secret = "/var/lib: permission denied";
        let unknown = Status::from(Error::OutcomeUnknown { reason: secret.into() });
        let down = Status::from(Error::unavailable("disk", std::io::Error::other(secret)));
        assert!(!format!("{unknown:?}{down:?}").contains(secret));
    }
}
