//! What a game has beside its rooms, served by a process of its own: its routes and pages, and its check of tokens, which brokers ask
//! for over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{DefaultBodyLimit, FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tracing::info;

use crate::auth::{AuthHook, Authenticator, MAX_TOKEN_BYTES};
use crate::broker::StartError;
use crate::config::{Auth, Config, ConfigError};
use crate::listener::{self, Entrance, Handshakes, Listener};
use crate::lobby;
use crate::problem::Problem;
use crate::shard::Shards;
use crate::telemetry::Metrics;

/// Where brokers ask whose a token is: their `auth.url` ends with it.
pub const IDENTITY_PATH: &str = "/v1/identity";
/// A token as JSON may write it, six characters for each of its own, and what is around it.
const MAX_QUESTION: usize = 6 * MAX_TOKEN_BYTES + 1024;

/// Services that run. Dropping them ends them.
#[derive(Debug)]
pub struct Services {
    addr: SocketAddr,
    accept: Vec<JoinHandle<()>>,
    /// Looks after the certificate.
    watch: Option<JoinHandle<()>>,
}

#[derive(Clone)]
struct Desk {
    auth: Option<Arc<Authenticator>>,
    server_key: Option<Arc<str>>,
    metrics: Metrics,
    started: Instant,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    token: String,
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
    uptime_s: u64,
}

impl Services {
    /// Serves `pages`, and `hook` to those who show the server key, on the address of the configuration, with its TLS and its bounds on
    /// connections; of the rest of the configuration, nothing is used. Its own paths (`/health`, `/metrics`, `/v1/identity`) win.
    ///
    /// # Errors
    /// [`StartError`], in one line.
    pub async fn start(config: &Config, pages: Router, hook: Option<AuthHook>) -> Result<Self, StartError> {
        config.check()?;
        if hook.is_some() && config.server_key.is_none() {
            let why = "server_key is not set, by which those are known who ask for the game's check of tokens";
            return Err(ConfigError::Contradictory(why.to_owned()).into());
        }
        let auth = match hook {
            Some(hook) => Some(Arc::new(Authenticator::start(&Auth::default(), Some(hook)).await?)),
            None => None,
        };
        let entrance = Arc::new(Entrance::new(config).map_err(StartError::Origin)?);
        let (tls, watch) = Handshakes::new(&config.tls).map_err(StartError::Tls)?.unzip();
        let metrics = Metrics::default();
        let server_key = config.server_key.as_deref().map(Arc::from);
        let desk = Desk { auth, server_key, metrics: metrics.clone(), started: Instant::now() };
        let router = Router::new()
            .route("/health", get(health))
            .route("/metrics", get(async |State(desk): State<Desk>| lobby::metrics_of(&desk.metrics)))
            .route(IDENTITY_PATH, post(identity).layer(DefaultBodyLimit::max(MAX_QUESTION)))
            .with_state(desk)
            .fallback_service(pages);
        let listener = Listener::new(router, entrance, Arc::new(metrics.clone()), &config.limits).with_tls(tls);
        let refused = |error| StartError::Listen(config.listen, error);
        // Nothing here has to share a thread with a room.
        let here = Shards::here();
        let (addr, sockets) = listener::bind(config.listen, here.all().len()).map_err(refused)?;
        let accept = listener.start(sockets, &here);
        let watch = watch.map(|watch| tokio::spawn(watch.run(metrics)));
        info!(%addr, "listening");
        Ok(Self { addr, accept, watch })
    }

    /// Where they listen.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        self.accept.iter().chain(&self.watch).for_each(JoinHandle::abort);
    }
}

async fn health(State(desk): State<Desk>) -> Json<Health> {
    let uptime_s = desk.started.elapsed().as_secs();
    Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION"), uptime_s })
}

/// `POST /v1/identity`: whose a token is, or why it is refused.
async fn identity(_: Authorized, State(desk): State<Desk>, body: Bytes) -> Result<Response, Problem> {
    let Question { token } = lobby::parse(&body)?;
    // Without a check there is nothing to be had here.
    let Some(auth) = &desk.auth else { return Ok(StatusCode::NOT_FOUND.into_response()) };
    match auth.verify(&token).wait().await {
        Ok(identity) => Ok(Json(identity).into_response()),
        // One status for all that the game says, whatever its code: others are about the question.
        Err(refusal) => Ok(Problem(refusal).with_status(StatusCode::UNPROCESSABLE_ENTITY)),
    }
}

/// The caller has the server key. Asked before the body is read.
struct Authorized;

impl FromRequestParts<Desk> for Authorized {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Problem> {
        lobby::authorize(desk.server_key.as_deref(), &parts.headers)?;
        Ok(Self)
    }
}
