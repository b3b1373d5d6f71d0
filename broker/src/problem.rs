//! Failures as answers over HTTP, and back: problem details (RFC 9457) with our stable code.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use parlor_protocol::{ErrorCode, Failure};
use serde::Serialize;
use serde_json::Value;

/// A failure on its way to a REST caller.
#[derive(Debug)]
pub struct Problem(pub Failure);

/// Bytes of a code, and of a text, that another server may say.
const MAX_CODE: usize = 64;
const MAX_TEXT: usize = 1024;

#[derive(Serialize)]
struct Body {
    title: &'static str,
    status: u16,
    detail: String,
    code: String,
    retryable: bool,
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    params: serde_json::Map<String, Value>,
}

impl Problem {
    /// Reads what another server has said: its `code`, and `detail`, `retryable` and `params` where these are as they should be. None
    /// without a code of 1 to 64 bytes. A text is cut to 1,024 bytes.
    pub fn read(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let code = body["code"].as_str().filter(|code| (1..=MAX_CODE).contains(&code.len()))?.to_owned();
        let mut text = body["detail"].as_str().unwrap_or_default().to_owned();
        let end = (0..=MAX_TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        text.truncate(end);
        let params = body["params"].as_object().filter(|params| params.values().all(|value| !is_nested(value)));
        let params = params.into_iter().flatten().map(|(name, value)| (name.clone().into(), value.clone())).collect();
        let retryable = body["retryable"].as_bool().unwrap_or_default();
        let some = Failure::from(ErrorCode::Internal);
        Some(Self(Failure { code: code.into(), text: text.into(), retryable, params, ..some }))
    }

    /// The response with a status that does not go by the code.
    pub(crate) fn with_status(self, status: StatusCode) -> Response {
        let Failure { code, text, retryable, params, .. } = self.0;
        let params = params.into_iter().map(|(name, value)| (name.into_owned(), value)).collect();
        let title = status.canonical_reason().unwrap_or("Error");
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
        let status = status(&self.0);
        self.with_status(status)
    }
}

/// Whether it is more than a list or a map of plain values, such as no failure of ours has for a parameter.
fn is_nested(value: &Value) -> bool {
    let has_more = |value: &Value| value.is_array() || value.is_object();
    match value {
        Value::Array(list) => list.iter().any(has_more),
        Value::Object(map) => map.values().any(has_more),
        _ => false,
    }
}

fn status(failure: &Failure) -> StatusCode {
    match ErrorCode::ALL.iter().find(|known| known.as_str() == failure.code) {
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
        // Neither of a broker nor of a game: somebody between is not there.
        None if failure.retryable && !failure.code.starts_with("app.") => StatusCode::SERVICE_UNAVAILABLE,
        // What is left is about what was asked: a payload, or the game's own refusal.
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(body: Value) -> Option<Failure> {
        Problem::read(body.to_string().as_bytes()).map(|Problem(failure)| failure)
    }

    #[test]
    fn what_was_said_is_read_again() {
        let failure = Failure::app("banned", "no").with("until", "never").with("by", ["a", "b"]).retry();
        let body = json!({"code": "app.banned", "detail": "no", "retryable": true, "params": {"until": "never", "by": ["a", "b"]}});
        assert_eq!(read(body), Some(failure));
    }

    #[test]
    fn a_code_counts_whatever_stands_beside_it() {
        let bare = Failure { text: "".into(), ..Failure::app("banned", "") };
        for beside in [
            json!({"title": 5, "status": "422"}),
            json!({"detail": null, "params": []}),
            json!({"retryable": "yes", "params": {"deep": [[1]]}}),
        ] {
            let mut body = json!({"code": "app.banned"});
            body.as_object_mut().unwrap().extend(beside.as_object().unwrap().clone());
            assert_eq!(read(body.clone()), Some(bare.clone()), "{body}");
        }
        let long = read(json!({"code": "x", "detail": "é".repeat(2_000)})).unwrap();
        assert_eq!(long.text.len(), 1_024);
        for body in [json!({}), json!([]), json!({"code": ""}), json!({"code": 5}), json!({"code": "x".repeat(65)})] {
            assert_eq!(read(body.clone()), None, "{body}");
        }
        assert!(Problem::read(b"not JSON").is_none());
    }

    #[test]
    fn who_cannot_be_reached_is_not_the_caller_s_mistake() {
        let unreachable = |retryable| Failure { code: "unreachable".into(), retryable, ..Failure::app("", "") };
        assert_eq!(status(&unreachable(true)), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status(&unreachable(false)), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(status(&Failure::app("busy", "").retry()), StatusCode::UNPROCESSABLE_ENTITY);
    }
}
