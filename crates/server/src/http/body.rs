//! Request bodies: read whole, within limits for one and for all of them together.

use std::sync::Arc;

use axum::body::{Body, HttpBody as _};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use seqline_core::error::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::codec;
use crate::convert::Status;

/// How much of every body is not counted: with one for each connection, that is still bounded.
const FREE_BYTES: usize = 64 * 1024;
/// So many of the largest bodies fit in memory at a time.
const LARGEST_AT_A_TIME: usize = 16;

/// The memory for request bodies.
#[derive(Clone, Debug)]
pub struct Bodies {
    body_bytes_max: usize,
    memory: Arc<Semaphore>,
}

/// A body and its claim to memory; keep it until the request is answered.
#[derive(Debug)]
pub struct Whole {
    /// The body.
    pub bytes: Bytes,
    _memory: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    /// Memory for bodies of at most `body_bytes_max` bytes each.
    pub fn new(body_bytes_max: usize) -> Bodies {
        let bytes = body_bytes_max.saturating_mul(LARGEST_AT_A_TIME).min(Semaphore::MAX_PERMITS);
        Bodies { body_bytes_max, memory: Arc::new(Semaphore::new(bytes)) }
    }

    /// Reads a body. One that announces too many bytes is refused before its first, any other
    /// as soon as it has too many.
    ///
    /// # Errors
    /// If the body is too large, too many large ones are being read, or its client goes away.
    pub async fn read(&self, mut body: Body) -> Result<Whole, Status> {
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        self.check_size(announced)?;
        let (mut first, mut joined) = (Bytes::new(), BytesMut::new());
        let mut memory: Option<OwnedSemaphorePermit> = None;
        while let Some(frame) = body.frame().await {
            let failed = |_| codec::error("the body ended early".to_owned());
            let Ok(part) = frame.map_err(failed)?.into_data() else { continue };
            let total = first.len() + joined.len() + part.len();
            self.check_size(total)?;
            if total > FREE_BYTES {
                let claim = if memory.is_some() { part.len() } else { total };
                let claim = self.claim(claim)?;
                match &mut memory {
                    Some(memory) => memory.merge(claim),
                    None => memory = Some(claim),
                }
            }
            // Most bodies come in one part, and then nothing is copied.
            if first.is_empty() && joined.is_empty() {
                first = part;
            } else {
                joined.extend_from_slice(&std::mem::take(&mut first));
                joined.extend_from_slice(&part);
            }
        }
        let bytes = if joined.is_empty() { first } else { joined.freeze() };
        Ok(Whole { bytes, _memory: memory })
    }

    fn check_size(&self, actual: usize) -> Result<(), Status> {
        if actual <= self.body_bytes_max {
            return Ok(());
        }
        let (field, limit, unit) = ("body", "request_bytes_max", "bytes");
        Err(Error::TooLarge { field, limit, max: self.body_bytes_max, actual, unit }.into())
    }

    fn claim(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Status> {
        let overloaded = || Error::Overloaded { reason: "too many large requests at a time" };
        let bytes = u32::try_from(bytes).map_err(|_| overloaded())?;
        let claim = Arc::clone(&self.memory).try_acquire_many_owned(bytes);
        claim.map_err(|_| overloaded().into())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    const MAX: usize = 256 * 1024;

    fn parts(parts: impl IntoIterator<Item = usize>) -> Body {
        let parts: Vec<_> = parts
            .into_iter()
            .map(|length| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; length])))
            .collect();
        Body::from_stream(stream::iter(parts))
    }

    #[tokio::test]
    async fn a_body_in_parts_is_joined() {
        let bodies = Bodies::new(MAX);
        for lengths in [vec![], vec![7], vec![7, 0, 5], vec![FREE_BYTES, 1, MAX - FREE_BYTES - 1]] {
            let total: usize = lengths.iter().sum();
            assert_eq!(bodies.read(parts(lengths)).await.unwrap().bytes.len(), total);
        }
        assert_eq!(bodies.memory.available_permits(), MAX * LARGEST_AT_A_TIME);
    }

    #[tokio::test]
    async fn a_body_past_the_limit_is_refused_once_that_is_known() {
        let bodies = Bodies::new(MAX);
        let announced = bodies.read(Body::from(vec![0; MAX + 1])).await.unwrap_err();
        assert_eq!(announced.metadata[0], ("limit", "request_bytes_max".to_owned()));
        // An endless body, so this test ends only because reading does.
        let endless = parts(std::iter::repeat_n(1024, 1 << 16));
        assert_eq!(bodies.read(endless).await.unwrap_err().reason, "TIMELINE_INVALID_PARAM");
    }

    #[tokio::test]
    async fn large_bodies_share_bounded_memory_and_small_ones_always_pass() {
        let bodies = Bodies::new(MAX);
        let mut held = Vec::new();
        for _ in 0..LARGEST_AT_A_TIME {
            held.push(bodies.read(parts([MAX / 2, MAX / 2])).await.unwrap());
        }
        assert_eq!(bodies.read(parts([MAX])).await.unwrap_err().reason, "OVERLOADED");
        assert!(bodies.read(parts([FREE_BYTES])).await.is_ok());
        held.pop();
        assert!(bodies.read(parts([MAX])).await.is_ok());
    }

    #[tokio::test]
    async fn a_client_that_goes_away_is_an_error() {
        let gone: Vec<Result<Bytes, _>> = vec![Err(std::io::Error::other("reset"))];
        let answer = Bodies::new(MAX).read(Body::from_stream(stream::iter(gone))).await;
        assert_eq!(answer.unwrap_err().reason, "CODEC");
    }
}
