//! A check of tokens that is made elsewhere: by the game's [services](crate::services), or by any backend that answers as they do.

use std::sync::Arc;
use std::time::Duration;

use hyper::{Method, StatusCode};
use parlor_protocol::Failure;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::error::TokenError;
use super::{AuthError, AuthHook, HOOK_DEADLINE, Identity};
use crate::fetch::{Address, Asked};
use crate::problem::Problem;

/// Bytes of an answer.
const MAX_ANSWER: usize = 16 << 10;
/// Questions under way at once: when thousands come back together, the others wait here, and not in the backlog of the one who is asked.
const UNDER_WAY: usize = 64;

/// Time for a turn and an answer: somewhat less than the check has, so that it is known what was wrong.
const DEADLINE: Duration = HOOK_DEADLINE.saturating_sub(Duration::from_millis(250));

/// What is needed to ask.
struct Asking {
    address: Address,
    key: Option<String>,
    turns: Semaphore,
}

/// Asks `url`, showing it the server key, so that it can tell a broker from anybody else.
///
/// # Errors
/// When it is no address.
pub(super) fn hook(url: &str, key: Option<&str>) -> Result<AuthHook, AuthError> {
    let address = Address::parse(url).map_err(AuthError::Url)?;
    if address.is_exposed() {
        tracing::warn!(%address, "tokens and the server key are sent without TLS");
    }
    let asking = Asking { address, key: key.map(str::to_owned), turns: Semaphore::new(UNDER_WAY) };
    let asking = Arc::new(asking);
    Ok(Arc::new(move |token| {
        let asking = asking.clone();
        Box::pin(async move { asking.ask(&token).await })
    }))
}

impl Asking {
    async fn ask(&self, token: &str) -> Result<Identity, Failure> {
        let body = Some(json!({ "token": token }).to_string());
        let asked = Asked { method: Method::POST, key: self.key.clone(), body };
        let end = Instant::now() + DEADLINE;
        let answer = match timeout_at(end, self.turns.acquire()).await {
            Ok(_turn) => self.address.ask(&asked, MAX_ANSWER, end.saturating_duration_since(Instant::now())).await,
            Err(_) => return unavailable(&self.address, "too many others are being checked"),
        };
        // Nothing of what was answered is logged: it may have the token in it.
        let why = match answer {
            Ok((StatusCode::OK, answer)) => match Identity::read(&answer) {
                Some(identity) => return Ok(identity),
                None => "the identity is not as it should be".to_owned(),
            },
            Ok((StatusCode::UNPROCESSABLE_ENTITY, answer)) => match Problem::read(&answer) {
                Some(Problem(refusal)) => return Err(refusal),
                None => "the refusal has no code".to_owned(),
            },
            Ok((status, _)) => format!("the answer is {status}"),
            Err(error) => error.to_string(),
        };
        unavailable(&self.address, &why)
    }
}

fn unavailable(address: &Address, why: &str) -> Result<Identity, Failure> {
    tracing::error!(%address, why, "a token cannot be checked");
    Err(TokenError::NoAnswer.into())
}
