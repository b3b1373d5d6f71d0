//! The one port: accepts connections, speaks HTTP on them, and turns those that ask for it into WebSockets.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use parlor_protocol::Codec;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tower::ServiceExt;
use tracing::{debug, warn};

use crate::config::Limits;
use crate::session::{Sessions, Socket};
use crate::telemetry::Metrics;

/// Bytes of a request head that are read at most.
const MAX_HEAD: usize = 8 << 10;

/// What turns a byte stream into requests and sessions.
#[derive(Clone)]
pub(crate) struct Listener {
    router: Router,
    permits: Arc<Semaphore>,
    metrics: Metrics,
    header_timeout: Duration,
}

/// One connection counted; dropping it counts it out.
pub(crate) struct Connected {
    metrics: Metrics,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.metrics.connections.dec();
    }
}

impl Listener {
    pub(crate) fn new(router: Router, limits: &Limits, metrics: Metrics) -> Self {
        let permits = Arc::new(Semaphore::new(limits.connections));
        Self { router, permits, metrics, header_timeout: Duration::from_millis(limits.header_timeout_ms) }
    }

    /// Accepts until dropped.
    pub(crate) async fn run(self, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    // Small frames must not wait for each other.
                    let _ = stream.set_nodelay(true);
                    self.serve(Socket::Tcp(stream));
                }
                // Out of file descriptors, mostly: they come back when connections end.
                Err(error) => {
                    warn!(%error, "accept failed");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// Serves one connection in a task of its own, so that a slow handshake holds up nobody.
    pub(crate) fn serve(&self, socket: Socket) {
        let Ok(permit) = self.permits.clone().try_acquire_owned() else {
            self.metrics.connections_refused.inc();
            return;
        };
        self.metrics.connections.inc();
        let connected = Arc::new(Connected { metrics: self.metrics.clone(), _permit: permit });
        let service = self.router.clone().map_request(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(connected.clone());
            request.map(Body::new)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.header_timeout)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(socket), TowerToHyperService::new(service))
            .with_upgrades();
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "connection failed before it became a session");
            }
        });
    }
}

/// `GET /ws`: checks the handshake (RFC 6455, section 4.2), answers it, and hands the raw stream to a session.
pub(crate) async fn upgrade(State(sessions): State<Arc<Sessions>>, mut request: Request) -> Response {
    let codec = match negotiate(request.headers()) {
        Ok(codec) => codec,
        Err(why) => return (StatusCode::BAD_REQUEST, why).into_response(),
    };
    let Some(accept) = request.headers().get(SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes())) else {
        return (StatusCode::BAD_REQUEST, "a WebSocket handshake needs a key").into_response();
    };
    let connected = request.extensions_mut().remove::<Arc<Connected>>();
    let Some(pending) = request.extensions_mut().remove::<OnUpgrade>() else {
        return (StatusCode::UPGRADE_REQUIRED, "this is a WebSocket endpoint").into_response();
    };
    tokio::spawn(async move {
        if let Ok(upgraded) = pending.await {
            begin(&sessions, upgraded, codec.unwrap_or(Codec::MsgPack), connected);
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some(codec) = codec {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(codec.subprotocol()));
    }
    response
}

fn begin(sessions: &Arc<Sessions>, upgraded: Upgraded, codec: Codec, connected: Option<Arc<Connected>>) {
    // The raw socket comes back, with whatever was sent behind the handshake.
    match upgraded.downcast::<TokioIo<Socket>>() {
        Ok(parts) => {
            if let Err(error) = sessions.spawn(parts.io.into_inner(), parts.read_buf, codec, Box::new(connected)) {
                debug!(%error, "socket lost between handshake and session");
            }
        }
        Err(_) => warn!("an upgraded connection was not one of ours"),
    }
}

/// The codec that the client asks for; `None` when it asks for nothing.
fn negotiate(headers: &HeaderMap) -> Result<Option<Codec>, &'static str> {
    let has = |name, wanted: &str| {
        let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|token| token.trim().eq_ignore_ascii_case(wanted))
    };
    if !has(UPGRADE, "websocket") || !has(CONNECTION, "upgrade") {
        return Err("this is a WebSocket endpoint");
    }
    if headers.get("sec-websocket-version").is_none_or(|version| version != "13") {
        return Err("WebSocket version 13 is spoken here");
    }
    if !headers.contains_key(SEC_WEBSOCKET_PROTOCOL) {
        return Ok(None);
    }
    let codec = Codec::ALL.into_iter().find(|codec| has(SEC_WEBSOCKET_PROTOCOL, codec.subprotocol()));
    codec.map(Some).ok_or("none of the sub-protocols offered is known: parlor.v1.msgpack, parlor.v1.json")
}
