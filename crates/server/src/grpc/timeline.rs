//! `timeline.v1.Timeline`: each call is parse, one call of the service, convert.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use metrics::{Histogram, histogram};
use seqline_core::id::IdempotencyKey;
use tonic::Code;
use tonic::body::Body;

use super::{deadline, error, unary};
use crate::app::App;
use crate::convert::{self, Status};
use crate::metrics::REQUEST_SECONDS;
use crate::proto::{Malformed, decode, encode};
use crate::requests::{PageMemory, bounded};

/// A call of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Send,
    SendGroup,
    GetSyncMessage,
    GetSingleHistoryMessage,
    GetGroupHistoryMessage,
}

const METHODS: [(&str, Method); 5] = [
    ("Send", Method::Send),
    ("SendGroup", Method::SendGroup),
    ("GetSyncMessage", Method::GetSyncMessage),
    ("GetSingleHistoryMessage", Method::GetSingleHistoryMessage),
    ("GetGroupHistoryMessage", Method::GetGroupHistoryMessage),
];

impl Method {
    /// The call with this name.
    pub(super) fn named(name: &str) -> Option<Method> {
        METHODS.iter().find(|(known, _)| *known == name).map(|(_, method)| *method)
    }
}

/// The service.
pub(super) struct Timeline {
    app: App,
    /// How long calls took, in the order of [`METHODS`].
    seconds: [Histogram; 5],
}

impl Timeline {
    pub(super) fn new(app: App) -> Timeline {
        let seconds = METHODS
            .map(|(name, _)| histogram!(REQUEST_SECONDS, "protocol" => "grpc", "method" => name));
        Timeline { app, seconds }
    }

    /// The longest a call may take; zero is no limit.
    pub(super) fn timeout(&self) -> Duration {
        self.app.config.server.grpc.timeout
    }

    /// Answers one call.
    pub(super) async fn answer(
        &self,
        method: Method,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let begin = Instant::now();
        let answer = self.limited(method, request).await;
        self.seconds[method as usize].record(begin.elapsed());
        answer.unwrap_or_else(error::response)
    }

    async fn limited(
        &self,
        method: Method,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Status> {
        let place = self.app.requests.enter()?;
        unary::check_encoding(request.headers())?;
        let limit = deadline::of(request.headers(), self.timeout())?;
        let (message, memory) = bounded(limit, self.call(method, request)).await?;
        Ok(unary::reply(message, (place, memory))?.map(Body::new))
    }

    /// The answer's message, and the memory held for it if it is a page.
    async fn call(
        &self,
        method: Method,
        request: Request<Incoming>,
    ) -> Result<(BytesMut, Option<PageMemory>), Status> {
        let app = &self.app;
        let (head, body) = request.into_parts();
        let bytes = unary::read(body, app.config.limits.grpc_request_bytes_max).await?;
        let mut memory = match method {
            Method::Send | Method::SendGroup => None,
            _ => Some(app.requests.page_memory(app.config.limits.page_bytes_max).await?),
        };
        let mut out = unary::begin();
        match method {
            Method::Send => {
                let request = decode::send(&bytes).map_err(malformed)?;
                let receipt = app.send(request, key(&head.headers)?).await?;
                encode::send(&receipt, &mut out);
            }
            Method::SendGroup => {
                let request = decode::send_group(&bytes).map_err(malformed)?;
                // The reply lists whom the message did not reach: a send reaches all or nobody.
                app.send_group(request, key(&head.headers)?).await?;
            }
            Method::GetSyncMessage => {
                let request = decode::sync(&bytes).map_err(malformed)?;
                encode::sync(&app.sync(request).await?, &mut out);
            }
            Method::GetSingleHistoryMessage => {
                let request = decode::single_history(&bytes).map_err(malformed)?;
                encode::history(&app.single_history(request).await?, &mut out);
            }
            Method::GetGroupHistoryMessage => {
                let request = decode::group_history(&bytes).map_err(malformed)?;
                encode::history(&app.group_history(request).await?, &mut out);
            }
        }
        if let Some(memory) = &mut memory {
            memory.shrink_to(out.len());
        }
        Ok((out, memory))
    }
}

fn malformed(error: Malformed) -> Status {
    Status::plain(Code::Internal, format!("error unmarshalling request: {error}"))
}

fn key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Status> {
    let values = headers.get_all("idempotency-key").iter().map(|value| value.as_bytes());
    Ok(convert::idempotency_key(values)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_stand_in_the_order_of_their_numbers() {
        for (index, (name, method)) in METHODS.iter().enumerate() {
            assert_eq!((*method as usize, Method::named(name)), (index, Some(*method)));
        }
        assert_eq!(Method::named("send"), None);
    }
}
