//! `grpc.health.v1.Health`: the server as a whole, under the empty name, and nothing else.

use std::pin::Pin;

use futures_util::stream::{self, Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{self, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower::util::BoxCloneSyncService;

use super::Side;

/// The service; not serving once `stopping` is cancelled.
pub(super) fn service(stopping: CancellationToken) -> Side {
    let server = HealthServer::new(Health { stopping });
    ("grpc.health.v1.Health", BoxCloneSyncService::new(server))
}

struct Health {
    stopping: CancellationToken,
}

impl Health {
    fn now(&self) -> HealthCheckResponse {
        answer(match self.stopping.is_cancelled() {
            true => ServingStatus::NotServing,
            false => ServingStatus::Serving,
        })
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

type Changes = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

#[tonic::async_trait]
impl health_server::Health for Health {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match request.get_ref().service.as_str() {
            "" => Ok(Response::new(self.now())),
            _ => Err(Status::not_found("unknown service")),
        }
    }

    type WatchStream = Changes;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Changes>, Status> {
        let known = request.get_ref().service.is_empty();
        let first = if known { self.now() } else { answer(ServingStatus::ServiceUnknown) };
        let stopping = self.stopping.clone();
        // The stream ends with the server's life, so that a watcher does not hold up a stop.
        let last = stream::once(async move {
            stopping.cancelled_owned().await;
            known.then(|| answer(ServingStatus::NotServing))
        });
        let changes = stream::once(async move { Some(first) }).chain(last);
        Ok(Response::new(changes.filter_map(|change| async move { change.map(Ok) }).boxed()))
    }
}
