//! The proof of who the user is, and keeping it fresh.

use std::convert::Infallible;
use std::fmt;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parlor_protocol::ClientFrame;
use tokio::time::{sleep, timeout};

use crate::error::ClientError;
use crate::lifecycle::LifecycleEvent;
use crate::link::Shared;

/// A fresh token is brought so long before the old one ends, or a quarter of its time before when that is less.
const AHEAD: Duration = Duration::from_secs(30);

/// The shortest pause between two attempts to bring a fresh one.
const SHORTEST: Duration = Duration::from_secs(1);

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Provided = Pin<Box<dyn Future<Output = Result<String, BoxError>> + Send>>;

/// Where the token comes from: a text that is always the same, or a function that gets a fresh one.
#[derive(Clone)]
pub struct Token(Source);

#[derive(Clone)]
enum Source {
    Fixed(String),
    Provider(Arc<dyn Fn() -> Provided + Send + Sync>),
}

impl Token {
    /// A token that is asked for at each connect, and again before it expires.
    pub fn provider<F, Fut, E>(provider: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        Self(Source::Provider(Arc::new(move || {
            let token = provider();
            Box::pin(async { token.await.map_err(Into::into) })
        })))
    }

    /// Whether another token may come of asking again.
    pub(crate) fn can_be_fresh(&self) -> bool {
        matches!(self.0, Source::Provider(_))
    }

    /// The token as of now.
    pub(crate) async fn get(&self) -> Result<String, ClientError> {
        match &self.0 {
            Source::Fixed(token) => Ok(token.clone()),
            Source::Provider(provider) => provider().await.map_err(|error| ClientError::Token(error.to_string())),
        }
    }
}

impl From<String> for Token {
    fn from(token: String) -> Self {
        Self(Source::Fixed(token))
    }
}

impl From<&str> for Token {
    fn from(token: &str) -> Self {
        token.to_owned().into()
    }
}

impl From<&String> for Token {
    fn from(token: &String) -> Self {
        token.clone().into()
    }
}

/// Shows nothing of the token, because options end up in logs.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.can_be_fresh() { "Token(provider)" } else { "Token(…)" })
    }
}

/// Brings a fresh token each time before the one in force ends, as long as the connection lasts.
pub(crate) async fn keep_fresh(shared: &Shared) -> Infallible {
    let welcome = shared.welcome();
    let token = shared.options.token.as_ref().filter(|token| token.can_be_fresh());
    let (Some(token), Some(expires)) = (token, welcome.expires) else { return pending().await };
    let mut expires = expires;
    loop {
        let rest = Duration::from_millis(expires.saturating_sub(shared.server_now()));
        sleep(pause(rest)).await;
        match bring(shared, token).await {
            // Nobody says when this one ends; that it lasts as long as the first did is the best guess. Should it be wrong,
            // the broker closes with 4004, and the session comes back with yet another one.
            Ok(()) => expires = shared.server_now() + welcome.expires.unwrap_or_default().saturating_sub(welcome.time),
            Err(error) => shared.tell(LifecycleEvent::TokenFailed { reason: error.to_string() }),
        }
    }
}

fn pause(rest: Duration) -> Duration {
    (rest - AHEAD.min(rest / 4)).max(SHORTEST)
}

async fn bring(shared: &Shared, token: &Token) -> Result<(), ClientError> {
    let limit = shared.options.request_timeout;
    let token = timeout(limit, token.get()).await.unwrap_or(Err(ClientError::Timeout))?;
    shared.ask_session(|id| ClientFrame::Token { id, token }).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_brought_ahead_of_time() {
        let seconds = Duration::from_secs;
        assert_eq!(pause(seconds(3600)), seconds(3570));
        assert_eq!(pause(seconds(8)), seconds(6));
        // Never in a tight loop, even after the end.
        assert_eq!(pause(Duration::ZERO), seconds(1));
    }

    #[test]
    fn tokens_are_not_shown() {
        assert_eq!(format!("{:?}", Token::from("secret")), "Token(…)");
    }
}
