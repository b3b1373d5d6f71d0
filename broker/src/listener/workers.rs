//! `GET /worker`: the WebSocket handshake of a worker, after which it speaks with the broker's [`Gate`].

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use axum::http::{Method, StatusCode, Version};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use parlor_protocol::worker::SUBPROTOCOL;
use parlor_protocol::{ErrorCode, Failure};
use tracing::debug;

use super::Connected;
use super::patience::Patient;
use super::upgrade;
use crate::problem::Problem;
use crate::worker::Gate;

/// Answers a request at the workers' path.
pub(crate) async fn workers(State(gate): State<Arc<Gate>>, mut request: Request) -> Response {
    let accept = match check(&request) {
        Ok(accept) => accept,
        Err(why) => return Problem(Failure::from(ErrorCode::BadRequest).because(why)).into_response(),
    };
    let connected = request.extensions_mut().remove::<Arc<Connected>>();
    let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
        return Problem(ErrorCode::BadRequest.into()).into_response();
    };
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let Ok(parts) = upgraded.downcast::<TokioIo<Patient>>() else { return };
        let socket = parts.io.into_inner().into_inner();
        if let Err(error) = gate.begin(socket, parts.read_buf.to_vec(), Box::new(connected)) {
            debug!(%error, "socket lost in a worker's handshake");
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    response
}

fn check(request: &Request) -> Result<HeaderValue, &'static str> {
    if request.method() != Method::GET || request.version() != Version::HTTP_11 {
        return Err("this is a WebSocket endpoint: it is asked with GET and HTTP/1.1");
    }
    upgrade::check_websocket(request.headers())?;
    if !upgrade::offers(request.headers(), SUBPROTOCOL) {
        return Err("workers offer the sub-protocol parlor.worker.v1");
    }
    upgrade::answer(request.headers())
}
