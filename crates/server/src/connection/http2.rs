//! HTTP/2 for gRPC: hyper in front of the gRPC services, with limits against floods.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
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

/// How long a client may take for an answer, from the request's last moment on.
const TAKE_TIMEOUT: Duration = Duration::from_secs(60);

/// Serves one connection until it ends.
pub(super) async fn serve(stream: TcpStream, routes: Routes, stop: CancellationToken) {
    let streams = Streams::new(routes.timeout());
    let builder = builder(streams.clone());
    let service = service_fn(move |request: http::Request<Incoming>| {
        streams.next_is_limited(Routes::is_limited(request.uri().path()));
        let routes = routes.clone();
        async move { Ok::<_, Infallible>(routes.answer(request).await) }
    });
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
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

/// Runs the requests of one connection, and ends those whose client never takes the answer: the
/// stream is reset and what it held is free.
#[derive(Clone)]
struct Streams {
    /// For a limited request, answer included; `None` is no limit.
    limit: Option<Duration>,
    /// Whether the request begun last is limited. For each request hyper calls the service and
    /// then, at once, [`Executor::execute`].
    limited: Arc<AtomicBool>,
}

impl Streams {
    fn new(timeout: Duration) -> Streams {
        let limit = (!timeout.is_zero()).then(|| timeout + TAKE_TIMEOUT);
        Streams { limit, limited: Arc::default() }
    }

    fn next_is_limited(&self, limited: bool) {
        self.limited.store(limited, Ordering::Relaxed);
    }
}

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, request: F) {
        match self.limit {
            Some(limit) if self.limited.load(Ordering::Relaxed) => {
                tokio::spawn(tokio::time::timeout(limit, request));
            }
            _ => {
                tokio::spawn(request);
            }
        }
    }
}

fn builder(streams: Streams) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(streams);
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test(start_paused = true)]
    async fn an_answer_nobody_takes_ends_in_time_unless_it_is_a_watch() {
        let streams = Streams::new(Duration::from_secs(10));
        let (limited, ended) = oneshot::channel::<()>();
        streams.next_is_limited(true);
        let hold = |kept| async move {
            std::future::pending::<()>().await;
            drop(kept);
        };
        streams.execute(hold(limited));
        let (watch, mut watched) = oneshot::channel::<()>();
        streams.next_is_limited(false);
        streams.execute(hold(watch));
        let begin = tokio::time::Instant::now();
        assert!(ended.await.is_err());
        assert_eq!(begin.elapsed().as_secs(), 70);
        assert!(watched.try_recv().is_err_and(|e| e == oneshot::error::TryRecvError::Empty));
    }
}
