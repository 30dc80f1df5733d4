//! gRPC: the timeline service and what its clients expect beside it.

use hyper::body::Incoming;
use tonic::body::Body;

use crate::app::App;

/// All services of the gRPC side; cheap to clone.
#[derive(Clone)]
pub struct Routes {
    app: App,
}

/// The services over `app`.
pub fn routes(app: App) -> Routes {
    Routes { app }
}

impl Routes {
    /// Answers one request.
    pub async fn answer(&self, request: http::Request<Incoming>) -> http::Response<Body> {
        let service = request.uri().path().split('/').nth(1).unwrap_or_default();
        let _ = &self.app;
        tonic::Status::unimplemented(format!("unknown service {service}")).into_http()
    }
}
