//! A check of tokens that is made elsewhere: by the game's [services](crate::services), or by any backend that answers as they do.

use std::sync::Arc;
use std::time::Duration;

use hyper::{Method, StatusCode};
use parlor_protocol::Failure;
use serde_json::json;
use tokio::sync::Semaphore;

use super::error::TokenError;
use super::{AuthError, AuthHook, HOOK_DEADLINE, Identity};
use crate::fetch::{Address, Asked};
use crate::problem::Problem;

/// Bytes of an answer.
const MAX_ANSWER: usize = 64 << 10;
/// Questions under way at once: when thousands come back together, the others wait here, and not in the backlog of the one who is asked.
const UNDER_WAY: usize = 64;

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
        Box::pin(async move { asking.ask(&token, HOOK_DEADLINE).await })
    }))
}

impl Asking {
    async fn ask(&self, token: &str, deadline: Duration) -> Result<Identity, Failure> {
        let _turn = self.turns.acquire().await;
        let body = Some(json!({ "token": token }).to_string());
        let asked = Asked { method: Method::POST, key: self.key.clone(), body };
        let why = match self.address.ask(&asked, MAX_ANSWER, deadline).await {
            Ok((StatusCode::OK, answer)) => match serde_json::from_slice(&answer) {
                Ok(identity) => return Ok(identity),
                Err(error) => format!("the identity is not as it should be: {error}"),
            },
            Ok((StatusCode::UNPROCESSABLE_ENTITY, answer)) => match Problem::read(&answer) {
                Some(Problem(refusal)) => return Err(refusal),
                None => "the refusal has no code".to_owned(),
            },
            Ok((status, _)) => format!("the answer is {status}"),
            Err(error) => error.to_string(),
        };
        // What it said is not told: it may have the token in it.
        tracing::error!(address = %self.address, %why, "a token cannot be checked");
        Err(TokenError::NoAnswer.into())
    }
}
