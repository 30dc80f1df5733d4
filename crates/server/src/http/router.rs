//! All routes, behind one layer that browsers need.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::{ACCEPT, HeaderValue, ORIGIN, VARY};

use super::cors::Cors;
use super::ops;
use super::timeline::{Timeline, dispatch, method_not_allowed, not_found};
use crate::app::App;
use crate::page;

/// All routes.
pub fn router(app: App) -> Router {
    let cors = Cors::new(&app.config.cors.allowed_origins);
    // Shared, because axum clones its state for every request.
    let timeline = Arc::new(Timeline::new(app.clone(), cors.clone()));
    ops::router()
        .with_state(app)
        .merge(page::router().layer(from_fn(people)))
        .method_not_allowed_fallback(method_not_allowed)
        // The API finds its own paths: their fixed parts may be escaped, which routes cannot say.
        .fallback_service(Router::new().fallback(dispatch).with_state(timeline))
        .layer(from_fn_with_state(Arc::new(cors), browsers))
}

/// Answers preflights, and marks every reply for the origin it goes to.
async fn browsers(State(cors): State<Arc<Cors>>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(ORIGIN).cloned();
    let preflight = Cors::is_preflight(request.method(), request.headers());
    let mut response = match preflight {
        true => StatusCode::NO_CONTENT.into_response(),
        false => next.run(request).await,
    };
    cors.mark(origin.as_ref(), preflight, response.headers_mut());
    response
}

/// Shows the page at `/` to whoever takes HTML. Clients of the API, which name no type or their
/// own, find nothing there, as they always did.
async fn people(request: Request, next: Next) -> Response {
    if request.uri().path() != "/" {
        return next.run(request).await;
    }
    let lines = request.headers().get_all(ACCEPT).into_iter();
    let mut types = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    let html = types.any(|one| {
        let name = one.split(';').next().unwrap_or_default().trim();
        ["text/html", "text/*", "*/*"].iter().any(|taken| name.eq_ignore_ascii_case(taken))
    });
    let mut response = if html { next.run(request).await } else { not_found() };
    response.headers_mut().append(VARY, HeaderValue::from_static("Accept"));
    response
}
