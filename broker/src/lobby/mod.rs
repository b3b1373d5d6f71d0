//! The lobby's REST: rooms to create, list, show and close, and events to raise in them; kinds and their versions; beside it health and
//! metrics.
//!
//! Handlers extract, call the registry, and convert. What changes something needs the server key.

mod kinds;
mod rooms;

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Serialize;

use crate::auth::Keys;
use crate::room::Registry;
use crate::telemetry::Metrics;

pub(crate) use rooms::{authorize, parse};

/// What REST handlers work with.
#[derive(Clone, Debug)]
pub(crate) struct Lobby {
    registry: Arc<Registry>,
    keys: Arc<Keys>,
    server_key: Option<Arc<str>>,
    started: Instant,
}

impl Lobby {
    pub(crate) fn new(registry: Arc<Registry>, keys: Arc<Keys>, server_key: Option<&str>) -> Self {
        Self { registry, keys, server_key: server_key.map(Arc::from), started: Instant::now() }
    }

    /// All routes.
    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/health", get(health))
            .route("/metrics", get(metrics))
            .route("/v1/kinds", get(kinds::list))
            .route("/v1/kinds/{kind}", get(kinds::show))
            .route("/v1/kinds/{kind}/rollout", put(kinds::roll_out))
            .route("/v1/rooms", get(rooms::list).post(rooms::create))
            .route("/v1/rooms/{id}", get(rooms::show).delete(rooms::close))
            .route("/v1/rooms/{id}/events", post(rooms::event))
            .route("/v1/rooms/{id}/set-aside", get(rooms::aside))
            .route("/v1/rooms/{id}/tickets", post(rooms::ticket))
            .with_state(self)
    }
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
    uptime_s: u64,
    rooms: usize,
    sessions: i64,
}

async fn health(State(lobby): State<Lobby>) -> Json<Health> {
    Json(Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
        uptime_s: lobby.started.elapsed().as_secs(),
        rooms: lobby.registry.len(),
        sessions: lobby.registry.metrics().sessions.get(),
    })
}

async fn metrics(State(lobby): State<Lobby>) -> Response {
    metrics_of(lobby.registry.metrics())
}

/// All metrics, as Prometheus reads them.
pub(crate) fn metrics_of(metrics: &Metrics) -> Response {
    let text = metrics.render();
    // The media type of the text that prometheus-client writes.
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    (StatusCode::OK, [(CONTENT_TYPE, OPEN_METRICS)], text).into_response()
}
