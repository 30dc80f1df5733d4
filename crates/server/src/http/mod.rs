//! HTTP: the routes of `timeline.v1` and what operators ask.

use axum::Router;

use crate::app::App;

/// All routes.
pub fn router(app: App) -> Router {
    crate::page::router().with_state(app)
}
