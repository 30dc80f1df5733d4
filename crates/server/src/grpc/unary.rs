//! Calls of one message each way: its frame, and the frames of the answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming};
use seqline_core::error::Error;
use tonic::Code;

use crate::convert::Status;
use crate::requests::{PageMemory, Place};

/// What a call holds until the client has taken its answer.
type Held = (Place, Option<PageMemory>);

/// Before each message: a byte that says whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// Refuses compressed requests: kratos' servers take none either.
pub(super) fn check_encoding(headers: &HeaderMap) -> Result<(), Status> {
    match headers.get("grpc-encoding") {
        None => Ok(()),
        Some(encoding) if encoding == "identity" => Ok(()),
        Some(encoding) => {
            let text = format!("requests compressed with {encoding:?} are not understood");
            Err(Status::plain(Code::Unimplemented, text))
        }
    }
}

/// The one message of a request, of at most `bytes_max` bytes. If it came in one frame, as
/// nearly all do, nothing is copied.
pub(super) async fn read(mut body: Incoming, bytes_max: usize) -> Result<Bytes, Status> {
    let mut whole = next_data(&mut body).await?;
    while whole.len() < PREFIX_BYTES {
        whole = joined(whole, &next_data(&mut body).await?, PREFIX_BYTES);
    }
    let compressed = whole.get_u8();
    let length = whole.get_u32() as usize;
    if compressed != 0 {
        return Err(internal("a message is compressed although no grpc-encoding was named"));
    }
    if length > bytes_max {
        return Err(too_large(length, bytes_max));
    }
    while whole.len() < length {
        let more = next_data(&mut body).await?;
        whole = joined(whole, &more, length);
    }
    let more = whole.len() > length || !ended(body).await?;
    if more { Err(internal("a call has one message, not several")) } else { Ok(whole) }
}

/// The next bytes, at least one.
async fn next_data(body: &mut Incoming) -> Result<Bytes, Status> {
    while let Some(frame) = body.frame().await {
        match frame.map_err(|_| broken())?.into_data() {
            Ok(data) if data.is_empty() => {}
            Ok(data) => return Ok(data),
            Err(_trailers) => {}
        }
    }
    Err(internal("the message is missing or incomplete"))
}

/// `first` and `second` in one piece. `length` is what will be needed in all, so that each
/// message is allocated for once.
fn joined(first: Bytes, second: &Bytes, length: usize) -> Bytes {
    let mut whole = first.try_into_mut().unwrap_or_else(|shared| {
        let mut own = BytesMut::with_capacity(length.max(shared.len() + second.len()));
        own.extend_from_slice(&shared);
        own
    });
    whole.extend_from_slice(second);
    whole.freeze()
}

/// Whether the client sends no more bytes.
async fn ended(mut body: Incoming) -> Result<bool, Status> {
    if body.is_end_stream() {
        return Ok(true);
    }
    while let Some(frame) = body.frame().await {
        if frame.map_err(|_| broken())?.data_ref().is_some_and(|data| !data.is_empty()) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn internal(text: &str) -> Status {
    Status::plain(Code::Internal, text)
}

fn broken() -> Status {
    Status::plain(Code::Cancelled, "the request broke off")
}

fn too_large(actual: usize, max: usize) -> Status {
    let limit = "grpc_request_bytes_max";
    let error = Error::TooLarge { field: "request", limit, max, actual, unit: "bytes" };
    // The code that gRPC itself has for this.
    Status { grpc: Code::ResourceExhausted, ..Status::from(error) }
}

/// Room for an answer: append the message, then [`reply`].
pub(super) fn begin() -> BytesMut {
    let mut out = BytesMut::with_capacity(PREFIX_BYTES + 16);
    out.put_bytes(0, PREFIX_BYTES);
    out
}

/// The answer whose message follows the room made by [`begin`]. What it holds is
/// free once the client has taken the answer.
pub(super) fn reply(mut message: BytesMut, held: Held) -> Result<Response<Reply>, Status> {
    let length = u32::try_from(message.len() - PREFIX_BYTES)
        .map_err(|_| Status::plain(Code::ResourceExhausted, "the answer has more than 4 GiB"))?;
    message[1..PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
    let mut response = Response::new(Reply { message: Some(message.freeze()), held: Some(held) });
    let kind = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

/// The body of an answer: the message, then the trailers that say it is well.
#[derive(Debug)]
pub(super) struct Reply {
    message: Option<Bytes>,
    held: Option<Held>,
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(message) = self.message.take() {
            return Poll::Ready(Some(Ok(Frame::data(message))));
        }
        Poll::Ready(self.held.take().map(|_| {
            let mut trailers = HeaderMap::with_capacity(1);
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            Ok(Frame::trailers(trailers))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_none()
    }
}
