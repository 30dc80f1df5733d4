//! What an HTTP/1.1 connection is doing, so that one that does nothing is closed in time.
//!
//! The reading half notes the first byte of a request, the service notes its beginning and end,
//! the writing half notes when all of it is written. A request being answered has no limit here:
//! its deadline is the handler's.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

/// A whole request head must arrive within this time of its first byte, or of the connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may wait for its next request. Longer than the 60 s after which common
/// proxies and clients give up, so that they close first.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// How long a client may take for an answer, however slowly: its page holds memory that others
/// wait for.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a connection is looked at, at least; less than half of the shortest limit.
const LOOK_INTERVAL: Duration = Duration::from_secs(4);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Head,
    Busy,
    Writing,
}

/// What one connection does, and since when.
#[derive(Clone, Debug)]
pub(super) struct Activity(Arc<Mutex<(Phase, Instant)>>);

impl Activity {
    /// A connection that owes its first request.
    pub(super) fn new() -> Activity {
        Activity(Arc::new(Mutex::new((Phase::Head, Instant::now()))))
    }

    /// Returns once the connection has done nothing for too long.
    pub(super) async fn overdue(&self) {
        loop {
            let now = Instant::now();
            let next = now + LOOK_INTERVAL;
            let wake = match self.deadline() {
                Some(deadline) if deadline <= now => return,
                Some(deadline) => deadline.min(next),
                None => next,
            };
            sleep_until(wake).await;
        }
    }

    /// When the connection has done nothing for too long; `None` while a request is answered.
    fn deadline(&self) -> Option<Instant> {
        let (phase, since) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match phase {
            Phase::Idle => Some(since + IDLE_TIMEOUT),
            Phase::Head => Some(since + HEAD_TIMEOUT),
            Phase::Busy => None,
            Phase::Writing => Some(since + WRITE_TIMEOUT),
        }
    }

    /// A request's head is complete.
    pub(super) fn request_begins(&self) {
        self.enter(Phase::Busy);
    }

    /// Its answer is ready to be written.
    pub(super) fn answer_begins(&self) {
        self.enter(Phase::Writing);
    }

    fn enter(&self, phase: Phase) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (phase, Instant::now());
    }

    fn enter_from(&self, from: Phase, phase: Phase) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.0 == from {
            *now = (phase, Instant::now());
        }
    }
}

/// A connection's socket, noting what passes through it.
#[derive(Debug)]
pub(super) struct Watched {
    io: TokioIo<TcpStream>,
    activity: Activity,
}

impl Watched {
    pub(super) fn new(stream: TcpStream, activity: Activity) -> Watched {
        Watched { io: TokioIo::new(stream), activity }
    }
}

impl Read for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.io).poll_read(cx, buf);
        if result.is_ready() {
            self.activity.enter_from(Phase::Idle, Phase::Head);
        }
        result
    }
}

impl Write for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    // Called by hyper once everything it had to write is written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.io).poll_flush(cx);
        if result.is_ready() {
            self.activity.enter_from(Phase::Writing, Phase::Idle);
        }
        result
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_overdue_at_its_deadline_although_that_came_nearer_meanwhile() {
        let activity = Activity::new();
        activity.enter(Phase::Idle);
        let start = Instant::now();
        let noted = activity.clone();
        let begin = async {
            tokio::time::sleep(Duration::from_secs(30)).await;
            noted.enter_from(Phase::Idle, Phase::Head);
        };
        tokio::join!(activity.overdue(), begin);
        assert_eq!(start.elapsed().as_secs(), 40);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_being_answered_has_no_limit_here_and_the_rest_has() {
        let activity = Activity::new();
        let now = Instant::now();
        assert_eq!(activity.deadline(), Some(now + HEAD_TIMEOUT));
        activity.request_begins();
        assert_eq!(activity.deadline(), None);
        activity.answer_begins();
        assert_eq!(activity.deadline(), Some(now + WRITE_TIMEOUT));
        activity.enter_from(Phase::Writing, Phase::Idle);
        assert_eq!(activity.deadline(), Some(now + IDLE_TIMEOUT));
    }
}
