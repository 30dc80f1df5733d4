//! Errors as gRPC carries them: code, text and, if there is a reason, `google.rpc.ErrorInfo`.

use std::collections::HashMap;

use http::{HeaderValue, Response};
use tonic::body::Body;
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::convert::Status;

/// The whole answer to a call that failed.
pub(super) fn response(status: Status) -> Response<Body> {
    let unimplemented = status.grpc == tonic::Code::Unimplemented;
    let mut response = to_tonic(status).into_http();
    if unimplemented {
        // Tells a client that compressed its request what it may use instead.
        let encoding = HeaderValue::from_static("identity");
        response.headers_mut().insert("grpc-accept-encoding", encoding);
    }
    response
}

fn to_tonic(status: Status) -> tonic::Status {
    if status.reason.is_empty() {
        return tonic::Status::new(status.grpc, status.message);
    }
    let owned = |(name, value): (&str, String)| (name.to_owned(), value);
    let metadata = status.metadata.into_iter().map(owned);
    let details =
        ErrorDetails::with_error_info(status.reason, "", metadata.collect::<HashMap<_, _>>());
    tonic::Status::with_error_details(status.grpc, status.message, details)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `google.rpc.Status { code: 3, message, details: [Any of ErrorInfo { reason }] }` byte by
    /// byte, as kratos sends it.
    #[test]
    fn a_reason_travels_in_the_details_as_kratos_sends_it() {
        let status = to_tonic(Status::invalid("miss from or to filed"));
        let (text, reason) = (b"miss from or to filed", b"TIMELINE_INVALID_PARAM");
        let kind = b"type.googleapis.com/google.rpc.ErrorInfo";
        let wanted = [
            &[0x08, 3, 0x12, 21][..],
            text,
            &[0x1a, 68, 0x0a, 40],
            kind,
            &[0x12, 24, 0x0a, 22],
            reason,
        ];
        assert_eq!(status.details(), wanted.concat());
    }

    #[test]
    fn an_error_without_a_reason_has_no_details() {
        let status = to_tonic(Status::deadline());
        assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
        assert!(status.details().is_empty());
    }
}
