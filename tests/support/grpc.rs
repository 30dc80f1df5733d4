//! A gRPC client that sends exactly the bytes it is told, right or wrong.

use std::collections::HashMap;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

/// One connection.
pub struct Grpc {
    addr: SocketAddr,
    runtime: Runtime,
    sender: SendRequest<Full<Bytes>>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub http: u16,
    /// The gRPC code; 0 is `OK`. `None` without one: the server does not take it for gRPC.
    pub code: Option<i32>,
    /// The gRPC message, as it stands in the trailer.
    pub text: String,
    /// The reason of its `ErrorInfo`, if there is one.
    pub reason: Option<String>,
    /// The metadata of its `ErrorInfo`.
    pub metadata: HashMap<String, String>,
    /// The data, with the frames' heads.
    pub body: Bytes,
}

impl Answer {
    /// The one message of a good answer.
    pub fn message<T: prost::Message + Default>(&self) -> T {
        assert_eq!(self.code, Some(0), "{self:?}");
        T::decode(&self.body[5..]).unwrap()
    }
}

/// One message in a frame.
pub fn frame(message: &[u8]) -> Vec<u8> {
    raw_frame(0, u32::try_from(message.len()).unwrap(), message)
}

/// A frame with any flag and any length before its data.
pub fn raw_frame(flag: u8, length: u32, data: &[u8]) -> Vec<u8> {
    [&[flag][..], &length.to_be_bytes(), data].concat()
}

impl Grpc {
    /// Connects.
    pub fn connect(addr: SocketAddr) -> Grpc {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let sender = runtime.block_on(async {
            let stream = TcpStream::connect(addr).await.unwrap();
            // A call is two small writes; the second must not wait for the first one's receipt.
            stream.set_nodelay(true).unwrap();
            let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
            builder.initial_stream_window_size(8 << 20).initial_connection_window_size(64 << 20);
            let (sender, connection) =
                builder.handshake(TokioIo::new(stream)).await.expect("the server speaks HTTP/2");
            tokio::spawn(connection);
            sender
        });
        Grpc { addr, runtime, sender }
    }

    /// A good call: `method` is one of `timeline.v1.Timeline`.
    pub fn call(&mut self, method: &str, request: &impl prost::Message) -> Answer {
        self.call_raw(&path(method), &[], frame(&request.encode_to_vec()))
    }

    /// Any bytes to any path with any further headers (the same name may come twice).
    pub fn call_raw(&mut self, path: &str, headers: &[(&str, &[u8])], body: Vec<u8>) -> Answer {
        let mut request = hyper::Request::builder()
            .method("POST")
            .uri(format!("http://{}{path}", self.addr))
            .header("te", "trailers");
        if headers.iter().all(|(name, _)| *name != "content-type") {
            request = request.header("content-type", "application/grpc");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        self.request(request).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    /// Any request.
    pub fn request(&mut self, request: hyper::Request<Full<Bytes>>) -> hyper::Result<Answer> {
        let sender = &mut self.sender;
        self.runtime.block_on(async {
            sender.ready().await?;
            let response = sender.send_request(request).await?;
            let http = response.status().as_u16();
            let mut headers = response.headers().clone();
            let collected = response.into_body().collect().await?;
            headers.extend(collected.trailers().cloned().unwrap_or_default());
            let text = |name: &str| {
                headers.get(name).map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned())
            };
            let info = text("grpc-status-details-bin").and_then(|details| error_info(&details));
            Ok(Answer {
                http,
                code: text("grpc-status").map(|code| code.parse().unwrap()),
                text: text("grpc-message").unwrap_or_default(),
                reason: info.as_ref().map(|info| info.reason.clone()),
                metadata: info.map(|info| info.metadata).unwrap_or_default(),
                body: collected.to_bytes(),
            })
        })
    }
}

/// The path of a method of `timeline.v1.Timeline`.
pub fn path(method: &str) -> String {
    format!("/timeline.v1.Timeline/{method}")
}

/// `google.rpc.Status`, as far as it is needed.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.ErrorInfo`.
#[derive(Clone, PartialEq, prost::Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(map = "string, string", tag = "3")]
    metadata: HashMap<String, String>,
}

fn error_info(details: &str) -> Option<ErrorInfo> {
    use base64::Engine as _;
    let unpadded = base64::engine::general_purpose::STANDARD_NO_PAD;
    let bytes = unpadded.decode(details.trim_end_matches('=')).expect("details are base64");
    let status = RpcStatus::decode(&bytes[..]).expect("details are a google.rpc.Status");
    let info = status.details.iter().find(|any| any.type_url.ends_with("/google.rpc.ErrorInfo"))?;
    Some(ErrorInfo::decode(&info.value[..]).expect("an ErrorInfo"))
}
