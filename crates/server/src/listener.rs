//! Listening: addresses, the limit on open connections, and the loop that takes them.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use metrics::{Gauge, counter, gauge};
use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics::{CONNECTIONS, CONNECTIONS_REFUSED};
use crate::runtime::{Incoming, Runtimes};

/// Connections the kernel may hold ready until they are taken.
const BACKLOG: i32 = 4_096;
/// Pause after the system refused a new connection, for example for want of file descriptors.
const REFUSED_PAUSE: Duration = Duration::from_millis(50);

/// What an HTTP client hears past `limits.connections_max`, whatever it meant to ask: a new
/// connection's send buffer always holds it. HTTP/2 has no answer that fits, so gRPC clients see
/// the connection closed, which they take as `UNAVAILABLE`.
const NO_PLACE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
Content-Type: application/json\r\nContent-Length: 111\r\nConnection: close\r\n\r\n\
{\"code\":503,\"reason\":\"OVERLOADED\",\"message\":\"too many open connections\",\
\"metadata\":{\"limit\":\"connections_max\"}}";

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http,
    /// gRPC over HTTP/2.
    Grpc,
}

impl Protocol {
    /// Its name in settings and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Http => "http",
            Protocol::Grpc => "grpc",
        }
    }
}

/// A server cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr} (server.{}.addr): {source}; {}", protocol.name(), advice(source))]
pub struct BindError {
    protocol: Protocol,
    addr: String,
    source: io::Error,
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program has this port: stop it, or choose another port (0 picks a free one)"
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address: choose one it has",
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need more rights: choose a larger port or grant CAP_NET_BIND_SERVICE"
        }
        _ => "the address must be HOST:PORT, for example 127.0.0.1:8000",
    }
}

/// Listens on `addr`, `HOST:PORT`; an empty host means all addresses of the machine.
///
/// # Errors
/// [`BindError`] says which setting to change.
pub fn bind(protocol: Protocol, addr: &str) -> Result<std::net::TcpListener, BindError> {
    let failed = |source| BindError { protocol, addr: addr.to_owned(), source };
    let candidates: Vec<SocketAddr> = match addr.strip_prefix(':') {
        Some(port) => {
            let port = port.parse().map_err(|_| failed(io::ErrorKind::InvalidInput.into()))?;
            let v6 = SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port));
            // A machine without IPv6 has only the second.
            vec![v6, SocketAddr::from((std::net::Ipv4Addr::UNSPECIFIED, port))]
        }
        None => addr.to_socket_addrs().map_err(failed)?.collect(),
    };
    let mut last = io::Error::from(io::ErrorKind::InvalidInput);
    for candidate in candidates {
        match listen(candidate) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

fn listen(addr: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    // A restart must not wait for the last one's connections to leave TIME_WAIT.
    socket.set_reuse_address(true)?;
    if addr.ip().is_unspecified() && addr.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// The places for open connections, shared by both protocols.
#[derive(Clone, Debug)]
pub struct Connections {
    places: Arc<Semaphore>,
}

/// One open connection's place; dropping it frees the place.
pub struct ConnectionPlace {
    _permit: OwnedSemaphorePermit,
    open: Gauge,
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        self.open.decrement(1.0);
    }
}

impl Connections {
    /// Places for `max` connections at a time.
    pub fn new(max: usize) -> Connections {
        Connections { places: Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS))) }
    }

    fn enter(&self, protocol: Protocol) -> Option<ConnectionPlace> {
        let permit = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let open = gauge!(CONNECTIONS, "protocol" => protocol.name());
        open.increment(1.0);
        Some(ConnectionPlace { _permit: permit, open })
    }
}

/// Takes connections and deals them to the runtimes, until it is dropped.
pub(crate) async fn accept(
    protocol: Protocol,
    listener: TcpListener,
    connections: Connections,
    runtimes: &Runtimes,
) {
    let refused = counter!(CONNECTIONS_REFUSED, "protocol" => protocol.name());
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // The client left before it was its turn.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => {
                tracing::warn!(%error, protocol = protocol.name(), "no connection can be taken");
                tokio::time::sleep(REFUSED_PAUSE).await;
                continue;
            }
        };
        let Some(place) = connections.enter(protocol) else {
            // Told and closed: a client with nobody to answer it should know at once.
            if protocol == Protocol::Http {
                let _ = stream.try_write(NO_PLACE);
            }
            refused.increment(1);
            continue;
        };
        // Replies are small and must not wait for each other.
        let _ = stream.set_nodelay(true);
        if let Ok(stream) = stream.into_std() {
            runtimes.deal(Incoming { protocol, stream, place });
        }
    }
}

/// Raises this process's limit on open files to the highest it may set itself, since each
/// connection takes one.
pub fn raise_open_files_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit on open files stays as it was");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_what_to_do() {
        let taken = bind(Protocol::Grpc, "127.0.0.1:0").unwrap();
        let addr = taken.local_addr().unwrap().to_string();
        let text = bind(Protocol::Grpc, &addr).unwrap_err().to_string();
        assert!(text.contains(&addr) && text.contains("server.grpc.addr"), "{text}");
        assert!(text.contains("0 picks a free one"), "{text}");
    }

    #[test]
    fn an_empty_host_means_all_addresses() {
        let all = bind(Protocol::Http, ":0").unwrap();
        assert!(all.local_addr().unwrap().ip().is_unspecified());
    }

    #[test]
    fn nonsense_is_refused_with_an_example() {
        for addr in ["", "localhost", ":x", "127.0.0.1:99999"] {
            let text = bind(Protocol::Http, addr).unwrap_err().to_string();
            assert!(text.contains("HOST:PORT"), "{text}");
        }
    }

    #[test]
    fn a_connection_past_the_limit_finds_no_place() {
        let connections = Connections::new(1);
        let first = connections.enter(Protocol::Http);
        assert!(first.is_some() && connections.enter(Protocol::Grpc).is_none());
        drop(first);
        assert!(connections.enter(Protocol::Grpc).is_some());
    }
}
