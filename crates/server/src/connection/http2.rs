//! HTTP/2 for gRPC: hyper in front of the gRPC services, with limits against floods.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::grpc::Routes;

/// Window of one connection: sixteen large group sends may be on their way at once.
const CONNECTION_WINDOW_BYTES: u32 = 8 * 1024 * 1024;
/// Window of one request: a group send of thousands of members arrives without a pause.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// Largest frame a client may send.
const FRAME_BYTES_MAX: u32 = 256 * 1024;
/// Requests one connection may have in flight.
const STREAMS_MAX: u32 = 4_096;
/// Most bytes of one answer that are handed to the connection before the client takes them.
const SEND_BUFFER_BYTES_MAX: usize = 256 * 1024;
/// Largest list of headers of one request.
const HEADERS_BYTES_MAX: u32 = 32 * 1024;
/// Streams a client may reset before they were looked at; more is an attack ("rapid reset").
const PENDING_RESETS_MAX: usize = 64;
/// Streams the server may have had to reset because of the client's errors.
const ERROR_RESETS_MAX: usize = 256;
/// How often a silent client is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(60);
/// How long it may take to answer that.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Serves one connection until it ends.
pub(super) async fn serve(stream: TcpStream, routes: Routes, stop: CancellationToken) {
    let service = service_fn(move |request: http::Request<Incoming>| {
        let routes = routes.clone();
        async move { Ok::<_, Infallible>(routes.answer(request).await) }
    });
    let mut connection = pin!(builder().serve_connection(TokioIo::new(stream), service));
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, protocol = "grpc", "a connection failed");
                }
                return;
            }
            () = stop.cancelled(), if !stopping => {
                connection.as_mut().graceful_shutdown();
                stopping = true;
            }
        }
    }
}

fn builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_concurrent_streams(STREAMS_MAX)
        .max_send_buf_size(SEND_BUFFER_BYTES_MAX)
        .max_header_list_size(HEADERS_BYTES_MAX)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(ERROR_RESETS_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .auto_date_header(false);
    builder
}
