//! gRPC: the timeline service and what its clients expect beside it.
//!
//! The timeline's calls are read and answered by hand (`unary`); health, reflection and metadata
//! are tonic services, since nobody waits for them.

mod deadline;
mod error;
mod health;
mod metadata;
mod timeline;
mod unary;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use tonic::body::Body;
use tower::util::{BoxCloneSyncService, ServiceExt as _};

use crate::app::App;
use timeline::Timeline;

/// Where the timeline's calls are.
const TIMELINE: &str = "/timeline.v1.Timeline/";

/// A service that is not worth a path of its own: name and what answers.
type Side = (&'static str, BoxCloneSyncService<Request<Incoming>, Response<Body>, Infallible>);

/// All services of the gRPC side; cheap to clone.
#[derive(Clone)]
pub struct Routes(Arc<Services>);

struct Services {
    timeline: Timeline,
    sides: Vec<Side>,
}

/// The services over `app`.
pub fn routes(app: App) -> Routes {
    let mut sides = vec![health::service(app.stopping.clone())];
    sides.extend(metadata::services());
    Routes(Arc::new(Services { timeline: Timeline::new(app), sides }))
}

impl Routes {
    /// The longest a call may take; zero is no limit.
    pub fn timeout(&self) -> Duration {
        self.0.timeline.timeout()
    }

    /// Whether calls of this path end by themselves; a health watch lasts as long as its client.
    pub fn is_limited(path: &str) -> bool {
        path.starts_with(TIMELINE)
    }

    /// Answers one request.
    pub async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        if let Some(refusal) = refuse(request.method(), request.headers()) {
            return refusal;
        }
        let path = request.uri().path();
        if let Some(method) = path.strip_prefix(TIMELINE) {
            return match timeline::Method::named(method) {
                Some(method) => self.0.timeline.answer(method, request).await,
                None => unknown(&format!("method {method} for service timeline.v1.Timeline")),
            };
        }
        let service = path.split('/').nth(1).unwrap_or_default();
        match self.0.sides.iter().find(|(name, _)| *name == service) {
            Some((_, side)) => match side.clone().oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            },
            None => unknown(&format!("service {service}")),
        }
    }
}

fn unknown(what: &str) -> Response<Body> {
    tonic::Status::unimplemented(format!("unknown {what}")).into_http()
}

/// The answer to what is no gRPC request at all.
fn refuse(method: &Method, headers: &HeaderMap) -> Option<Response<Body>> {
    let plain = |status| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        Some(response)
    };
    if method != Method::POST {
        return plain(StatusCode::METHOD_NOT_ALLOWED);
    }
    let kind = headers.get(header::CONTENT_TYPE).map_or(&[][..], |value| value.as_bytes());
    match kind.strip_prefix(b"application/grpc") {
        Some([] | [b';', ..]) => None,
        Some(rest) if rest.starts_with(b"+proto") => None,
        Some([b'+', ..]) => {
            let text = "requests must be application/grpc or application/grpc+proto";
            Some(tonic::Status::unimplemented(text).into_http())
        }
        _ => plain(StatusCode::UNSUPPORTED_MEDIA_TYPE),
    }
}
