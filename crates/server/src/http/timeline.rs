//! The calls of `timeline.v1` over HTTP: decode, one call of [`App`], encode.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, LOCATION};
use http::{Method, StatusCode, Uri};
use metrics::{Histogram, histogram};
use tonic::Code;

use super::codec::fields::Fields;
use super::codec::{self, BodyCodec, ReplyCodec, form, reply};
use super::cors::Cors;
use super::path::{self, Call, Found, RPCS};
use crate::app::App;
use crate::convert::{
    GroupHistoryRequest, SendGroupRequest, SendRequest, SingleHistoryRequest, Status, SyncRequest,
    idempotency_key,
};
use crate::metrics::REQUEST_SECONDS;
use crate::requests::{PageMemory, bounded};

/// What the calls need.
pub struct Timeline {
    app: App,
    cors: Cors,
    /// How long calls took, in the order of [`RPCS`].
    seconds: [Histogram; 5],
}

/// Answers every path that no other route has.
pub async fn dispatch(State(timeline): State<Arc<Timeline>>, request: Request) -> Response {
    match path::find(request.uri().path()) {
        Found::Call(call) => timeline.method(call, request).await,
        Found::Elsewhere(path) => redirect(&path, request.uri()),
        Found::Nothing => not_found(),
        Found::Broken(reason) => refuse(ReplyCodec::of(request.headers()), &codec::error(reason)),
    }
}

/// Nothing is at this path. The reason is what go-timeline's clients know.
pub fn not_found() -> Response {
    unrouted(StatusCode::NOT_FOUND, Code::NotFound, "page not found")
}

/// A path that exists, asked for with a method that it does not have.
pub async fn method_not_allowed() -> Response {
    unrouted(StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented, "method not allowed")
}

/// A request that leads to no call is answered in JSON, whatever it accepts.
fn unrouted(http: StatusCode, grpc: Code, reason: &'static str) -> Response {
    let message = reason.to_owned();
    refuse(ReplyCodec::Json, &Status { http, grpc, reason, message, metadata: Vec::new() })
}

impl Timeline {
    /// The calls of `app`, for the pages that `cors` allows.
    pub fn new(app: App, cors: Cors) -> Timeline {
        let seconds =
            RPCS.map(|name| histogram!(REQUEST_SECONDS, "protocol" => "http", "method" => name));
        Timeline { app, cors, seconds }
    }

    async fn method(&self, call: Call, request: Request) -> Response {
        let wanted = call.method();
        let fits = *request.method() == wanted
            || (wanted == Method::GET && request.method() == Method::HEAD);
        if fits {
            return self.answer(call, request).await;
        }
        let mut response = match *request.method() {
            Method::OPTIONS => empty(StatusCode::NO_CONTENT),
            _ => method_not_allowed().await,
        };
        let allowed = if wanted == Method::GET { "GET, HEAD, OPTIONS" } else { "POST, OPTIONS" };
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        response
    }

    async fn answer(&self, call: Call, request: Request) -> Response {
        let began = Instant::now();
        let (number, codec) = (call.number(), ReplyCodec::of(request.headers()));
        let deadline = self.app.config.server.http.timeout;
        let response = match bounded(deadline, self.run(call, codec, request)).await {
            Ok(body) => encoded(StatusCode::OK, codec, body),
            Err(status) => refuse(codec, &status),
        };
        self.seconds[number].record(began.elapsed());
        response
    }

    async fn run(&self, call: Call, codec: ReplyCodec, request: Request) -> Result<Bytes, Status> {
        match call {
            Call::Send | Call::SendGroup => self.send(call, codec, request).await,
            _ => self.page(call, codec, request.uri()).await,
        }
    }

    async fn send(&self, call: Call, codec: ReplyCodec, request: Request) -> Result<Bytes, Status> {
        let (head, body) = request.into_parts();
        let body_codec = BodyCodec::of(&head.headers)?;
        if body_codec == BodyCodec::Form {
            self.cors.check_form(&head.headers)?;
        }
        let keys = head.headers.get_all("idempotency-key");
        let key = idempotency_key(keys.into_iter().map(HeaderValue::as_bytes))?;
        // The place is taken only now, so that whoever sends slowly does not keep others out.
        let body = self.app.bodies.read(body).await?;
        let _place = self.app.requests.enter()?;
        if call == Call::Send {
            let request: SendRequest = body_codec.decode(&body.bytes)?;
            Ok(reply::sent(codec, &self.app.send(request, key).await?))
        } else {
            let request: SendGroupRequest = body_codec.decode(&body.bytes)?;
            self.app.send_group(request, key).await?;
            Ok(reply::sent_group(codec))
        }
    }

    async fn page(&self, call: Call, codec: ReplyCodec, uri: &Uri) -> Result<Bytes, Status> {
        let _place = self.app.requests.enter()?;
        let memory = self.app.requests.page_memory(self.app.config.limits.page_bytes_max);
        let page = match call {
            Call::SingleHistory { from, to } => {
                let request = SingleHistoryRequest { from, to, ..query(uri)? };
                let memory = memory.await?;
                let page = self.app.single_history(request).await?;
                Held { page: reply::history(codec, &page), memory }
            }
            Call::GroupHistory { group } => {
                let request = GroupHistoryRequest { group, ..query(uri)? };
                let memory = memory.await?;
                let page = self.app.group_history(request).await?;
                Held { page: reply::history(codec, &page), memory }
            }
            _ => {
                let request: SyncRequest = query(uri)?;
                let memory = memory.await?;
                let page = self.app.sync(request).await?;
                Held { page: reply::sync(codec, &page), memory }
            }
        };
        Ok(page.into_bytes())
    }
}

/// A page and its claim to memory, which ends when the last of its bytes is written.
struct Held {
    page: Bytes,
    memory: PageMemory,
}

impl Held {
    fn into_bytes(mut self) -> Bytes {
        // JSON may need more than was claimed: at most twice as much, for escaped quotes.
        self.memory.shrink_to(self.page.len());
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.page
    }
}

fn query<T: Fields>(uri: &Uri) -> Result<T, Status> {
    form::decode_query(uri.query().unwrap_or_default().as_bytes()).map_err(codec::error)
}

fn redirect(path: &str, uri: &Uri) -> Response {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let Ok(location) = HeaderValue::from_bytes(format!("{path}{query}").as_bytes()) else {
        return not_found();
    };
    let mut response = empty(StatusCode::MOVED_PERMANENTLY);
    response.headers_mut().insert(LOCATION, location);
    response
}

fn refuse(codec: ReplyCodec, status: &Status) -> Response {
    encoded(status.http, codec, reply::error(codec, status))
}

fn encoded(status: StatusCode, codec: ReplyCodec, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(codec.content_type());
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
