//! HTTP/1.1 with JSON bodies, one request at a time on one connection.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde::Deserialize;

use super::connection::{REPLY_BYTES_MAX, connect};
use super::failure::Refusal;
use super::{Endpoint, Failure};

/// Where a server says how it is.
const READY: &str = "/readyz";

/// One connection.
pub struct Http {
    endpoint: Arc<Endpoint>,
    sender: Option<SendRequest<Full<Bytes>>>,
    /// Whether anything ever came back; if not, it may be no HTTP server at all.
    answered: bool,
}

/// What every refusal looks like.
#[derive(Deserialize)]
struct ErrorBody {
    #[serde(default)]
    reason: String,
    message: String,
}

impl Http {
    /// A client that connects with its first call.
    pub fn new(endpoint: Arc<Endpoint>) -> Http {
        Http { endpoint, sender: None, answered: false }
    }

    /// A client with a connection of its own to the same server.
    pub fn share(&self) -> Http {
        Http::new(Arc::clone(&self.endpoint))
    }

    /// The server it speaks to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// One request, a `POST` if it has a body. Returns the body of the answer.
    pub async fn call(
        &mut self,
        target: &str,
        body: Option<&Bytes>,
        key: Option<&str>,
    ) -> Result<Bytes, Failure> {
        let answer = self.exchange(target, body, key).await;
        let (status, body) = answer.map_err(|failure| failure.doubted_unless(self.answered))?;
        if status.is_success() {
            return Ok(body);
        }
        match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(ErrorBody { reason, message }) => Err(Failure::Refused(Refusal {
                protocol: "HTTP",
                code: status.as_u16(),
                reason,
                message,
            })),
            Err(_) => Err(Failure::Strange(format!("HTTP status {status}"))),
        }
    }

    /// Whether the server takes sends, and the lines in which it says so.
    ///
    /// # Errors
    /// See [`Failure`]: there is no server, or it says neither.
    pub async fn takes_sends(&mut self) -> Result<(bool, String), Failure> {
        let limit = self.endpoint.timeout;
        let answer = tokio::time::timeout(limit, self.exchange(READY, None, None)).await;
        let (status, body) = answer.map_err(|_| Failure::Late(limit))??;
        match status {
            StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE => {
                Ok((status.is_success(), String::from_utf8_lossy(&body).trim_end().to_owned()))
            }
            _ => Err(Failure::Strange(format!("HTTP status {status}"))),
        }
    }

    async fn exchange(
        &mut self,
        target: &str,
        body: Option<&Bytes>,
        key: Option<&str>,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let request = self.request(target, body, key)?;
        let mut sender = self.ready().await?;
        let response = sender.send_request(request).await.map_err(|e| failure(&e))?;
        self.answered = true;
        let status = response.status();
        let body = Limited::new(response.into_body(), REPLY_BYTES_MAX).collect().await;
        let body = body.map_err(|e| Failure::Broken(e.to_string()))?.to_bytes();
        self.sender = Some(sender);
        Ok((status, body))
    }

    fn request(
        &self,
        target: &str,
        body: Option<&Bytes>,
        key: Option<&str>,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        // Of its health a server also speaks to people, in lines.
        let accept = if target == READY { "text/plain" } else { "application/json" };
        let mut request = Request::builder()
            .method(if body.is_some() { Method::POST } else { Method::GET })
            .uri(format!("{}{target}", self.endpoint.base_path))
            .header(HOST, &self.endpoint.authority)
            .header(ACCEPT, accept);
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let body = Full::new(body.cloned().unwrap_or_default());
        request.body(body).map_err(|e| Failure::Strange(e.to_string()))
    }

    /// Takes the connection out, ready for a request; a new one if the last one ended meanwhile.
    /// A call that fails or is dropped does not put it back: an answer may still be on its way.
    async fn ready(&mut self) -> Result<SendRequest<Full<Bytes>>, Failure> {
        if let Some(mut sender) = self.sender.take()
            && sender.ready().await.is_ok()
        {
            return Ok(sender);
        }
        let stream = connect(&self.endpoint).await?;
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|e| failure(&e))?;
        // Ends with the connection, which the next call notices.
        tokio::spawn(connection);
        Ok(sender)
    }
}

fn failure(error: &hyper::Error) -> Failure {
    if error.is_parse() {
        Failure::Strange(error.to_string())
    } else {
        Failure::Broken(error.to_string())
    }
}
