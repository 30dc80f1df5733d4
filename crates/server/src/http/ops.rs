//! What operators and their machines ask: is it alive, is it ready, how does it do.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::app::App;

/// The Prometheus text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `/healthz`, `/readyz` and `/metrics`.
pub fn router() -> Router<App> {
    Router::new()
        .route("/healthz", get(async || text(StatusCode::OK, "alive")))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
}

async fn ready(State(app): State<App>, headers: HeaderMap) -> Response {
    let health = app.health();
    let status = if health.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let wanted = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let json = wanted.is_some_and(|accept| accept.contains("application/json"));
    let mut answer = match serde_json::to_string(&health) {
        Ok(object) if json => {
            let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
            (status, headers, object).into_response()
        }
        _ => text(status, &health.text()),
    };
    answer.headers_mut().insert(VARY, HeaderValue::from_name(ACCEPT));
    answer
}

async fn metrics(State(app): State<App>) -> Response {
    ([(CONTENT_TYPE, METRICS_TYPE), (CACHE_CONTROL, "no-store")], app.render_metrics())
        .into_response()
}

fn text(status: StatusCode, lines: &str) -> Response {
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    (status, headers, format!("{lines}\n")).into_response()
}
