//! gRPC on the `h2` library, without a layer between: for the load commands half the cost of a
//! complete gRPC client, and little more to write.

use std::future::poll_fn;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::{Buf as _, Bytes, BytesMut};
use h2::client::SendRequest;
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use tokio::sync::Mutex;

use super::connection::{REPLY_BYTES_MAX, connect};
use super::failure::Refusal;
use super::wire::{FRAME_HEAD_BYTES, slices};
use super::{Endpoint, Failure};

/// Flow-control windows: a page of the largest size never waits for an update of them.
const STREAM_WINDOW_BYTES: u32 = 8 * 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 64 * 1024 * 1024;
/// A page of 1,000 entries comes in a few frames instead of dozens.
const FRAME_BYTES_MAX: u32 = 256 * 1024;

const METHODS: [&str; 5] =
    ["Send", "SendGroup", "GetSyncMessage", "GetSingleHistoryMessage", "GetGroupHistoryMessage"];

/// One user of a connection that several may share.
pub struct Grpc {
    endpoint: Arc<Endpoint>,
    shared: Arc<Mutex<Shared>>,
    /// The connection last used, so that a call takes no lock.
    own: Option<Link>,
    /// Whether anything ever came back; if not, it may be no gRPC server at all.
    answered: bool,
    /// The heads of requests, one for each method; a call only copies its own.
    heads: Arc<[(&'static str, Request<()>)]>,
}

/// The connection all users share, with a number that grows each time it is made anew.
#[derive(Default)]
struct Shared {
    number: u64,
    sender: Option<SendRequest<Bytes>>,
}

#[derive(Clone)]
struct Link {
    number: u64,
    sender: SendRequest<Bytes>,
}

impl Grpc {
    /// A client that connects with its first call.
    pub fn new(endpoint: Arc<Endpoint>) -> Grpc {
        let heads = METHODS.iter().map(|method| (*method, head(&endpoint, method))).collect();
        Grpc { endpoint, shared: Arc::default(), own: None, answered: false, heads }
    }

    /// Another user of the same connection.
    pub fn share(&self) -> Grpc {
        Grpc {
            endpoint: Arc::clone(&self.endpoint),
            shared: Arc::clone(&self.shared),
            own: None,
            answered: false,
            heads: Arc::clone(&self.heads),
        }
    }

    /// The server it speaks to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// One unary call; `body` is framed. Returns the reply's message without its frame.
    pub async fn call(
        &mut self,
        method: &'static str,
        body: &Bytes,
        key: Option<&str>,
    ) -> Result<Bytes, Failure> {
        let answer = self.exchange(method, body, key).await;
        answer.map_err(|failure| failure.doubted_unless(self.answered))
    }

    async fn exchange(
        &mut self,
        method: &'static str,
        body: &Bytes,
        key: Option<&str>,
    ) -> Result<Bytes, Failure> {
        let head = self.head(method, key)?;
        let mut link = self.ready().await?;
        let sent = link.sender.send_request(head, false);
        let (response, mut stream) = sent.map_err(|e| self.broken(&e))?;
        stream.send_data(body.clone(), true).map_err(|e| self.broken(&e))?;
        let response = response.await.map_err(|e| self.broken(&e))?;
        self.answered = true;
        let (parts, body) = response.into_parts();
        if parts.status != 200 {
            return Err(Failure::Strange(format!("HTTP status {}", parts.status)));
        }
        if parts.headers.contains_key("grpc-status") {
            check_status(&parts.headers)?;
        }
        self.read(body).await
    }

    fn head(&self, method: &str, key: Option<&str>) -> Result<Request<()>, Failure> {
        let head = self.heads.iter().find(|(name, _)| *name == method);
        let mut head = head.map(|(_, head)| head.clone()).unwrap_or_default();
        if let Some(key) = key {
            let key = HeaderValue::from_str(key).map_err(|e| Failure::Strange(e.to_string()))?;
            head.headers_mut().insert("idempotency-key", key);
        }
        Ok(head)
    }

    /// A connection that takes another request; a new one if the last one ended meanwhile.
    async fn ready(&mut self) -> Result<Link, Failure> {
        if let Some(mut link) = self.own.take() {
            if poll_fn(|cx| link.sender.poll_ready(cx)).await.is_ok() {
                self.own = Some(link.clone());
                return Ok(link);
            }
            let mut shared = self.shared.lock().await;
            if shared.number == link.number {
                shared.sender = None;
            }
        }
        let mut link = self.connect().await?;
        poll_fn(|cx| link.sender.poll_ready(cx)).await.map_err(|e| self.broken(&e))?;
        self.own = Some(link.clone());
        Ok(link)
    }

    /// The shared connection; made now if there is none. Others wait meanwhile.
    async fn connect(&self) -> Result<Link, Failure> {
        let mut shared = self.shared.lock().await;
        if let Some(sender) = &shared.sender {
            return Ok(Link { number: shared.number, sender: sender.clone() });
        }
        let stream = connect(&self.endpoint).await?;
        let (sender, connection) = h2::client::Builder::new()
            .initial_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_frame_size(FRAME_BYTES_MAX)
            .enable_push(false)
            .handshake(stream)
            .await
            .map_err(|e| failure(&e))?;
        // Ends with the connection; whoever uses it learns of its end by its own next call.
        tokio::spawn(connection);
        shared.number += 1;
        shared.sender = Some(sender.clone());
        Ok(Link { number: shared.number, sender })
    }

    /// Whoever fails on a connection looks for a fresh one the next time.
    fn broken(&self, error: &h2::Error) -> Failure {
        let reset = error.is_reset() || error.is_go_away();
        if let (false, Some(link), Ok(mut shared)) = (reset, &self.own, self.shared.try_lock())
            && shared.number == link.number
        {
            shared.sender = None;
        }
        failure(error)
    }

    async fn read(&self, mut body: h2::RecvStream) -> Result<Bytes, Failure> {
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        while let Some(part) = body.data().await {
            let part = part.map_err(|e| self.broken(&e))?;
            // Without this the server would stop at the end of the window.
            let _ = body.flow_control().release_capacity(part.len());
            if first.is_empty() {
                first = part;
                continue;
            }
            if rest.is_empty() {
                rest.reserve(frame_bytes(&first));
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&part);
            if rest.len() > REPLY_BYTES_MAX {
                return Err(Failure::Strange("a reply of more than 64 MiB".to_owned()));
            }
        }
        if let Some(trailers) = body.trailers().await.map_err(|e| self.broken(&e))? {
            check_status(&trailers)?;
        }
        unframe(if rest.is_empty() { first } else { rest.freeze() })
    }
}

fn head(endpoint: &Endpoint, method: &str) -> Request<()> {
    let path = format!("/timeline.v1.Timeline/{method}");
    let mut head = Request::new(());
    *head.method_mut() = Method::POST;
    *head.version_mut() = http::Version::HTTP_2;
    // The authority was checked when the address was parsed.
    let uri = Uri::builder().scheme("http").authority(endpoint.authority.as_str());
    *head.uri_mut() = uri.path_and_query(path).build().unwrap_or_default();
    let headers = head.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    headers.insert("te", HeaderValue::from_static("trailers"));
    head
}

/// How long the whole reply will be, if its start tells, within reason.
fn frame_bytes(start: &[u8]) -> usize {
    let length = start.get(1..FRAME_HEAD_BYTES).and_then(|b| b.try_into().ok());
    let length = length.map_or(0, u32::from_be_bytes) as usize;
    FRAME_HEAD_BYTES + length.min(REPLY_BYTES_MAX)
}

fn unframe(mut frame: Bytes) -> Result<Bytes, Failure> {
    if frame.len() < FRAME_HEAD_BYTES || frame[0] != 0 || frame.len() != frame_bytes(&frame) {
        return Err(Failure::Strange("a broken gRPC frame".to_owned()));
    }
    frame.advance(FRAME_HEAD_BYTES);
    Ok(frame)
}

fn check_status(headers: &HeaderMap) -> Result<(), Failure> {
    let text = |name| headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
    let code: u16 = text("grpc-status")
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| Failure::Strange("no gRPC status".to_owned()))?;
    if code == 0 {
        return Ok(());
    }
    let message = headers.get("grpc-message").map(HeaderValue::as_bytes).unwrap_or_default();
    let message = percent_encoding::percent_decode(message).decode_utf8_lossy().into_owned();
    let reason = headers.get("grpc-status-details-bin").map(HeaderValue::as_bytes);
    let reason = reason.and_then(error_reason).unwrap_or_default();
    Err(Failure::Refused(Refusal { protocol: "gRPC", code, reason, message }))
}

/// The reason of the `google.rpc.ErrorInfo` in a `grpc-status-details-bin` header: field 3 of
/// the status holds details, each a type URL and a value; field 1 of the value is the reason.
fn error_reason(details: &[u8]) -> Option<String> {
    // Padding is optional here.
    let details: Vec<u8> = details.iter().copied().filter(|byte| *byte != b'=').collect();
    let status = STANDARD_NO_PAD.decode(details).ok()?;
    let details = slices(&status, 3).ok()?;
    let info = details.into_iter().find(|detail| {
        let url = slices(detail, 1).unwrap_or_default();
        url.iter().any(|url| url.ends_with(b"google.rpc.ErrorInfo"))
    })?;
    let value = slices(info, 2).ok()?;
    let reason = slices(value.first()?, 1).ok()?;
    String::from_utf8(reason.first()?.to_vec()).ok()
}

fn failure(error: &h2::Error) -> Failure {
    // A server of another kind breaks the rules of HTTP/2 at once.
    if error.is_library() && error.reason() == Some(h2::Reason::FRAME_SIZE_ERROR) {
        return Failure::Strange(error.to_string());
    }
    Failure::Broken(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_carries_the_reason_of_its_details() {
        // Status{code: 3, message: "m", details: [Any{".../google.rpc.ErrorInfo", {reason: "R"}}]}
        let url = b"type.googleapis.com/google.rpc.ErrorInfo";
        let any = [b"\x0a\x28".as_slice(), url, b"\x12\x03\x0a\x01R"].concat();
        let status = [b"\x08\x03\x12\x01m\x1a\x2f".as_slice(), &any].concat();
        let mut headers = HeaderMap::new();
        let details = STANDARD_NO_PAD.encode(status);
        headers.insert("grpc-status", HeaderValue::from_static("3"));
        headers.insert("grpc-message", HeaderValue::from_static("50%25 of %E5%90%83"));
        headers.insert("grpc-status-details-bin", details.parse().unwrap());
        let Err(Failure::Refused(refusal)) = check_status(&headers) else {
            panic!("a status of 3 is a refusal")
        };
        assert_eq!((refusal.code, refusal.reason.as_str()), (3, "R"));
        assert_eq!(refusal.message, "50% of 吃");
    }

    #[test]
    fn a_cut_or_compressed_frame_is_refused() {
        assert_eq!(unframe(Bytes::from_static(b"\0\0\0\0\x02ab")).unwrap(), "ab");
        for frame in [&b""[..], b"\0\0\0\0", b"\0\0\0\0\x03ab", b"\x01\0\0\0\x02ab"] {
            assert!(unframe(Bytes::from_static(frame)).is_err(), "{frame:?}");
        }
    }
}
