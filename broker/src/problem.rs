//! Failures as answers over HTTP, and back: problem details (RFC 9457) with our stable code.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use parlor_protocol::{ErrorCode, Failure};
use serde::{Deserialize, Serialize};

/// A failure on its way to a REST caller.
#[derive(Debug)]
pub struct Problem(pub Failure);

#[derive(Serialize, Deserialize)]
struct Body {
    #[serde(default)]
    title: String,
    #[serde(default)]
    status: u16,
    #[serde(default)]
    detail: String,
    code: String,
    #[serde(default)]
    retryable: bool,
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    params: serde_json::Map<String, serde_json::Value>,
}

impl Problem {
    /// Reads what another server has said. None when it says no code.
    pub fn read(body: &[u8]) -> Option<Self> {
        let Body { detail, code, retryable, params, .. } = serde_json::from_slice(body).ok()?;
        let params = params.into_iter().map(|(name, value)| (name.into(), value)).collect();
        let known = Failure::from(ErrorCode::Internal);
        Some(Self(Failure { code: code.into(), text: detail.into(), retryable, params, ..known }))
    }

    /// The response with a status that does not go by the code.
    pub(crate) fn with_status(self, status: StatusCode) -> Response {
        let Failure { code, text, retryable, params, .. } = self.0;
        let params = params.into_iter().map(|(name, value)| (name.into_owned(), value)).collect();
        let title = status.canonical_reason().unwrap_or("Error").to_owned();
        let body = Body { title, status: status.as_u16(), detail: text.into(), code: code.into(), retryable, params };
        let mut response = (status, Json(body)).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}

impl<F: Into<Failure>> From<F> for Problem {
    fn from(failure: F) -> Self {
        Self(failure.into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = status(&self.0.code);
        self.with_status(status)
    }
}

fn status(code: &str) -> StatusCode {
    match ErrorCode::ALL.iter().find(|known| known.as_str() == code) {
        Some(ErrorCode::UnknownRoom | ErrorCode::UnknownKind) => StatusCode::NOT_FOUND,
        Some(ErrorCode::RoomFull | ErrorCode::RoomClosed | ErrorCode::RoomLocked) => StatusCode::CONFLICT,
        Some(ErrorCode::QueueFull | ErrorCode::SnapshotOverdue) => StatusCode::SERVICE_UNAVAILABLE,
        Some(ErrorCode::ServerFull | ErrorCode::NoWorker | ErrorCode::ShuttingDown) => StatusCode::SERVICE_UNAVAILABLE,
        Some(ErrorCode::Unauthorized) => StatusCode::UNAUTHORIZED,
        Some(ErrorCode::OriginDenied) => StatusCode::FORBIDDEN,
        Some(ErrorCode::TooManyConnections) => StatusCode::TOO_MANY_REQUESTS,
        Some(ErrorCode::BadRequest | ErrorCode::UnknownType) => StatusCode::BAD_REQUEST,
        Some(ErrorCode::Internal | ErrorCode::HandlerFailed | ErrorCode::HandlerPanicked | ErrorCode::RoomFailed) => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        // What is left is about what was asked: a payload, or the game's own refusal.
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}
