//! One connection from its first byte to its last, in either protocol.

mod activity;
mod http1;
mod http2;

use axum::Router;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::listener::Protocol;
use crate::{grpc, http};

/// What answers requests, one set a runtime.
#[derive(Clone)]
pub(crate) struct Services {
    http: Router,
    grpc: grpc::Routes,
}

impl Services {
    /// The services of both protocols.
    pub(crate) fn new(app: &App) -> Services {
        Services { http: http::router(app.clone()), grpc: grpc::routes(app.clone()) }
    }
}

/// Serves a connection until it ends. Once `stop` is cancelled it finishes what was begun.
pub(crate) async fn serve(
    protocol: Protocol,
    stream: TcpStream,
    services: Services,
    stop: CancellationToken,
) {
    match protocol {
        Protocol::Http => http1::serve(stream, services.http, stop).await,
        Protocol::Grpc => http2::serve(stream, services.grpc, stop).await,
    }
}
