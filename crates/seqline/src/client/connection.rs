//! A connection of either protocol, made when first needed and made again after it broke.

use std::sync::Arc;

use tokio::net::TcpStream;

use super::grpc::Grpc;
use super::http::Http;
use super::{Endpoint, Failure, Protocol, Reply, Request};

/// Largest reply that is read, in bytes; a page of a server with default limits has 4 MiB.
pub const REPLY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Sends requests to one server.
pub enum Client {
    /// Over gRPC.
    Grpc(Grpc),
    /// Over HTTP.
    Http(Http),
}

impl Client {
    /// A client of the server at `endpoint`; it connects with its first call.
    pub fn new(endpoint: &Endpoint) -> Client {
        let endpoint = Arc::new(endpoint.clone());
        match endpoint.protocol {
            Protocol::Grpc => Client::Grpc(Grpc::new(endpoint)),
            Protocol::Http => Client::Http(Http::new(endpoint)),
        }
    }

    /// As many clients as there are workers. Over gRPC they share `connections`; over HTTP each
    /// has a connection of its own, since it carries one request at a time.
    pub fn many(endpoint: &Endpoint, workers: usize, connections: usize) -> Vec<Client> {
        let first: Vec<_> = (0..connections.max(1)).map(|_| Client::new(endpoint)).collect();
        (0..workers).map(|worker| first[worker % first.len()].share()).collect()
    }

    fn share(&self) -> Client {
        match self {
            Client::Grpc(grpc) => Client::Grpc(grpc.share()),
            Client::Http(http) => Client::Http(http.share()),
        }
    }

    /// The server it speaks to.
    pub fn endpoint(&self) -> &Endpoint {
        match self {
            Client::Grpc(grpc) => grpc.endpoint(),
            Client::Http(http) => http.endpoint(),
        }
    }

    /// The form its requests must have.
    pub fn protocol(&self) -> Protocol {
        self.endpoint().protocol
    }

    /// Sends `request` and waits for its answer.
    ///
    /// # Errors
    /// See [`Failure`]; after `Broken` and `Late` the next call connects again.
    pub async fn call(&mut self, request: &Request) -> Result<Reply, Failure> {
        self.call_once(request, None).await
    }

    /// As [`Client::call`]; with a key, a repeated send is not stored again.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn call_once(
        &mut self,
        request: &Request,
        key: Option<&str>,
    ) -> Result<Reply, Failure> {
        let limit = self.endpoint().timeout;
        let answer = match (&mut *self, request) {
            (Client::Grpc(grpc), Request::Grpc { method, body }) => {
                tokio::time::timeout(limit, grpc.call(method, body, key)).await
            }
            (Client::Http(http), Request::Http { target, body }) => {
                tokio::time::timeout(limit, http.call(target, body.as_ref(), key)).await
            }
            _ => return Err(Failure::Strange("a request of the other protocol".to_owned())),
        };
        let answer = answer.map_err(|_| Failure::Late(limit))?;
        Ok(Reply { protocol: self.protocol(), body: answer? })
    }
}

/// Opens a TCP connection to `endpoint`.
pub async fn connect(endpoint: &Endpoint) -> Result<TcpStream, Failure> {
    let unreachable = |error| Failure::unreachable(endpoint, &error);
    let stream = TcpStream::connect(&endpoint.authority).await.map_err(unreachable)?;
    // Requests are small and wait for nothing.
    stream.set_nodelay(true).map_err(unreachable)?;
    Ok(stream)
}
