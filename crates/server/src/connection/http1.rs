//! HTTP/1.1: hyper in front of the router, with the time limits of `activity`.

use std::convert::Infallible;
use std::pin::pin;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use super::activity::{Activity, Watched};

/// Largest request head. Two ids of 1,024 bytes, every byte escaped, take 6 KiB.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Most bytes hyper buffers for reading and for writing.
const BUFFER_BYTES_MAX: usize = 256 * 1024;

/// Serves one connection until it ends or does nothing for too long.
pub(super) async fn serve(stream: TcpStream, router: Router, stop: CancellationToken) {
    let activity = Activity::new();
    let noted = activity.clone();
    let service = service_fn(move |request: http::Request<Incoming>| {
        noted.request_begins();
        let (mut router, noted) = (router.clone(), noted.clone());
        async move {
            let response = router.call(request).await;
            noted.answer_begins();
            response.map_err(|never: Infallible| match never {})
        }
    });
    let mut builder = http1::Builder::new();
    // A client may end its side after its request and still gets the answer.
    builder.half_close(true).header_read_timeout(None);
    builder.max_buf_size(BUFFER_BYTES_MAX).max_header_size(HEAD_BYTES_MAX);
    let io = Watched::new(stream, activity.clone());
    let mut connection = pin!(builder.serve_connection(io, service));
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, protocol = "http", "a connection failed");
                }
                return;
            }
            () = activity.overdue() => return,
            () = stop.cancelled(), if !stopping => {
                connection.as_mut().graceful_shutdown();
                stopping = true;
            }
        }
    }
}
