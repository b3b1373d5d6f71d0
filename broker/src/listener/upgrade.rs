//! `GET /ws`: checks the WebSocket handshake (RFC 6455, section 4.2), answers it, and hands the raw stream to a session.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    ALLOW, CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use parlor_protocol::{Codec, ErrorCode, Failure};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tracing::{debug, warn};

use super::address::Seat;
use super::origin::Way;
use super::patience::Patient;
use super::{Connected, Entrance};
use crate::problem::Problem;
use crate::session::Sessions;
use crate::telemetry::Metrics;

/// Where it is asked for.
pub(crate) const PATH: &str = "/ws";
/// Bytes of sub-protocol names that a client may offer.
const MAX_OFFERED: usize = 512;
/// Bytes of the random key that a client sends.
const KEY: usize = 16;

/// What an upgrade needs.
#[derive(Clone)]
pub(crate) struct Upgrades {
    pub(crate) entrance: Arc<Entrance>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) metrics: Arc<Metrics>,
}

/// A handshake that is to be answered with a session.
pub(super) struct Accepted {
    pub(super) accept: HeaderValue,
    /// `None` when the client asked for none in particular.
    pub(super) codec: Option<Codec>,
    /// To be held for as long as the connection lives; none for pipes within the process.
    pub(super) seat: Option<Seat>,
}

/// The WebSocket of a request that hyper has read.
struct Pending {
    upgrade: OnUpgrade,
    connected: Option<Arc<Connected>>,
}

/// Answers a request for a session, whatever its method.
pub(crate) async fn upgrade(State(upgrades): State<Upgrades>, request: Request) -> Response {
    let method = request.method().clone();
    let (Accepted { accept, codec, seat }, Pending { upgrade, connected }) = match upgrades.check_request(request) {
        Ok(accepted) => accepted,
        Err(problem) => return refusal(&upgrades.metrics, &method, problem),
    };
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            begin(&upgrades.sessions, upgraded, codec.unwrap_or(Codec::MsgPack), (connected, seat));
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(codec) = codec {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(codec.subprotocol()));
    }
    response
}

/// Counts a refusal, and says it.
fn refusal(metrics: &Metrics, method: &Method, failure: Failure) -> Response {
    metrics.failure(&failure.code);
    debug!(code = %failure.code, why = %failure.text, "no session for this request");
    if method == Method::GET {
        Problem(failure).into_response()
    } else {
        // As for all other addresses.
        (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET")]).into_response()
    }
}

impl Upgrades {
    fn check_request(&self, mut request: Request) -> Result<(Accepted, Pending), Failure> {
        let bad = |why| Failure::from(ErrorCode::BadRequest).because(why);
        if request.method() != Method::GET || request.version() != Version::HTTP_11 {
            return Err(bad("this is a WebSocket endpoint: it is asked with GET and HTTP/1.1"));
        }
        let connected = request.extensions_mut().remove::<Arc<Connected>>();
        let (peer, secure) = connected.as_ref().map_or((None, false), |connected| (connected.peer, connected.secure));
        let accepted = self.check(request.headers(), peer, secure)?;
        let upgrade = request.extensions_mut().remove::<OnUpgrade>();
        let upgrade = upgrade.ok_or_else(|| bad("this connection cannot become a WebSocket"))?;
        Ok((accepted, Pending { upgrade, connected }))
    }

    /// Judges a GET of HTTP/1.1 by its headers and by where it comes from.
    pub(super) fn check(&self, headers: &HeaderMap, peer: Option<IpAddr>, secure: bool) -> Result<Accepted, Failure> {
        let bad = |why| Failure::from(ErrorCode::BadRequest).because(why);
        let codec = negotiate(headers).map_err(bad)?;
        let accept = answer(headers).map_err(bad)?;
        let proxied = peer.is_some_and(|peer| self.entrance.proxies.trust(peer));
        if !self.entrance.origins.allow(headers, Way { secure, proxied }) {
            return Err(ErrorCode::OriginDenied.into());
        }
        let seat = match peer.map(|peer| self.entrance.proxies.client(peer, headers)) {
            Some(client) => {
                let seat = self.entrance.sessions.enter(client);
                Some(seat.ok_or_else(|| {
                    debug!(%client, "too many connections from there");
                    Failure::from(ErrorCode::TooManyConnections)
                })?)
            }
            // From within this process.
            None => None,
        };
        Ok(Accepted { accept, codec, seat })
    }
}

/// The answer to a handshake, as it goes over the wire.
pub(super) fn switching(accept: &HeaderValue, codec: Option<Codec>) -> Vec<u8> {
    let mut out = b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n".to_vec();
    let protocol = codec.map(|codec| codec.subprotocol().as_bytes());
    let lines = [("sec-websocket-accept", Some(accept.as_bytes())), ("sec-websocket-protocol", protocol)];
    for (name, value) in lines.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

fn begin(sessions: &Arc<Sessions>, upgraded: Upgraded, codec: Codec, held: (Option<Arc<Connected>>, Option<Seat>)) {
    // The raw socket comes back, with whatever was sent behind the handshake.
    match upgraded.downcast::<TokioIo<Patient>>() {
        Ok(parts) => {
            let socket = parts.io.into_inner().into_inner();
            if let Err(error) = sessions.spawn(socket, parts.read_buf, codec, Box::new(held)) {
                debug!(%error, "socket lost between handshake and session");
            }
        }
        Err(_) => warn!("an upgraded connection was not one of ours"),
    }
}

/// The one value of a header.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// What proves to the client that its handshake was understood.
pub(super) fn answer(headers: &HeaderMap) -> Result<HeaderValue, &'static str> {
    const WRONG: &str = "a WebSocket handshake needs one key, 16 bytes in base64";
    let key = only(headers, SEC_WEBSOCKET_KEY).ok_or(WRONG)?.as_bytes();
    if !STANDARD.decode(key).is_ok_and(|random| random.len() == KEY) {
        return Err(WRONG);
    }
    HeaderValue::from_str(&derive_accept_key(key)).map_err(|_| WRONG)
}

/// Whether a request asks for a WebSocket of the version that there is.
pub(super) fn check_websocket(headers: &HeaderMap) -> Result<(), &'static str> {
    if !has(headers, UPGRADE, "websocket") || !has(headers, CONNECTION, "upgrade") {
        return Err("this is a WebSocket endpoint");
    }
    if only(headers, SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err("WebSocket version 13 is spoken here");
    }
    Ok(())
}

/// Whether the client offers a sub-protocol.
pub(super) fn offers(headers: &HeaderMap, subprotocol: &str) -> bool {
    has(headers, SEC_WEBSOCKET_PROTOCOL, subprotocol)
}

fn has(headers: &HeaderMap, name: HeaderName, wanted: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|token| token.trim().eq_ignore_ascii_case(wanted))
}

/// The codec that the client asks for; `None` when it asks for nothing.
pub(super) fn negotiate(headers: &HeaderMap) -> Result<Option<Codec>, &'static str> {
    check_websocket(headers)?;
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL);
    if offered.iter().map(HeaderValue::len).sum::<usize>() > MAX_OFFERED {
        return Err("more sub-protocols are offered than are worth reading");
    }
    if offered.iter().any(|value| value.to_str().is_err()) {
        return Err("sub-protocols have names in ASCII");
    }
    if offered.iter().next().is_none() {
        return Ok(None);
    }
    let codec = Codec::ALL.into_iter().find(|codec| offers(headers, codec.subprotocol()));
    codec.map(Some).ok_or("none of the sub-protocols offered is known: parlor.v1.msgpack, parlor.v1.json")
}
