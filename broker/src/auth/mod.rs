//! Who a client is and what it may do: tokens and guests; and the broker's own signed texts, resume tokens and tickets.
//!
//! This module knows no sessions and no rooms. It answers questions: whether a token is good and whose it is ([`Authenticator`]), and
//! whether the broker itself has written a resume token or a ticket ([`Keys`]). Nothing here logs a token, whole or in part.

mod asked;
mod error;
mod identity;
mod jwt;
mod key_set;
mod keys;
mod source;
#[cfg(test)]
mod tests;
mod ticket;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parlor_protocol::{ErrorCode, Failure};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

pub use error::{AuthError, KeysError};
pub use identity::{Identity, Rights};
pub use keys::{Keys, ResumeClaim};
pub use ticket::{Issued, Ticket, TicketError};

use crate::config::Auth;
use error::TokenError;
use jwt::Rules;
use source::{KeySource, Source};

/// Largest token that is looked at.
pub const MAX_TOKEN_BYTES: usize = 8 << 10;
/// Shortest secret: as much as the MAC's own key.
const MIN_SECRET_BYTES: usize = 32;
/// Clocks that differ by more are a mistake to be corrected.
const MAX_LEEWAY_S: u64 = 600;
/// Largest file or answer with keys.
const MAX_KEYS_BYTES: usize = 64 << 10;
/// What the accounts of guests begin with.
const GUEST: &str = "guest-";
/// Time for a game's own check, within what a client waits for its welcome.
const HOOK_DEADLINE: Duration = Duration::from_secs(5);

/// The answer of a check that takes time. Dropping it ends the check.
pub type Pending = Pin<Box<dyn Future<Output = Result<Identity, Failure>> + Send>>;

/// A game's own check of a token, for instance against its database. It runs on the control runtime, where waiting harms no room; a
/// panic counts as a failure of the broker (`internal`).
pub type AuthHook = Arc<dyn Fn(String) -> Pending + Send + Sync>;

/// The check that a broker is to use beside what it does itself: the program's own, or that of `auth.url`.
///
/// # Errors
/// When there are both, or the address is none.
pub(crate) fn hook(
    config: &Auth,
    server_key: Option<&str>,
    own: Option<AuthHook>,
) -> Result<Option<AuthHook>, AuthError> {
    match (&config.url, own) {
        (Some(_), Some(_)) => Err(AuthError::TwoWays),
        (Some(url), None) => asked::hook(url, server_key).map(Some),
        (None, own) => Ok(own),
    }
}

/// What a check says, now or later.
#[must_use = "nobody is let in before it is looked at"]
pub enum Verdict {
    /// Known at once.
    Ready(Result<Identity, Failure>),
    /// Known when something has been fetched or asked. May be polled in any runtime with timers.
    Later(Pending),
}

impl Verdict {
    /// The answer, once it is there.
    ///
    /// # Errors
    /// As [`Authenticator::verify`].
    pub async fn wait(self) -> Result<Identity, Failure> {
        match self {
            Self::Ready(result) => result,
            Self::Later(result) => result.await,
        }
    }
}

impl std::fmt::Debug for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ready(result) => f.debug_tuple("Ready").field(result).finish(),
            Self::Later(_) => f.write_str("Later"),
        }
    }
}

/// Says who a client is. Shared by all sessions.
#[derive(Debug)]
pub struct Authenticator {
    guests: bool,
    check: Check,
}

/// How tokens are checked.
enum Check {
    /// By what is configured.
    Tokens(Arc<Tokens>),
    /// By the game's own code.
    Hook(Hooked),
}

#[derive(Debug)]
struct Tokens {
    rules: Rules,
    /// Whether there is anything that a token could be checked with.
    accepted: bool,
    source: Option<KeySource>,
}

#[derive(Clone)]
struct Hooked {
    hook: AuthHook,
    rules: Arc<Rules>,
    runtime: Handle,
}

impl Authenticator {
    /// Reads or fetches the keys, and keeps them fresh in a task of the runtime in which this is called, until it is dropped. With a hook,
    /// the hook checks all tokens.
    ///
    /// # Errors
    /// In one line, when the settings make no sense or the keys cannot be had.
    pub async fn start(config: &Auth, hook: Option<AuthHook>) -> Result<Self, AuthError> {
        let source = config.keys.as_deref().map(Source::parse).transpose()?;
        let pace = source.as_ref().map(Source::pace);
        Self::start_with(config, source.zip(pace), hook).await
    }

    async fn start_with(
        config: &Auth,
        source: Option<(Source, source::Pace)>,
        hook: Option<AuthHook>,
    ) -> Result<Self, AuthError> {
        sensible(config, hook.is_some())?;
        // Said once for the process. Without it the library would look at the features it was built with, and panic at the first token if
        // another crate of the program had asked for another provider. An error says that there is one already.
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let rules = Rules::new(config);
        let check = match hook {
            Some(hook) => Check::Hook(Hooked { hook, rules: Arc::new(rules), runtime: Handle::current() }),
            None => {
                let accepted = config.secret.is_some() || source.is_some();
                let source = match source {
                    Some((source, pace)) => Some(KeySource::start(source, pace).await?),
                    None => None,
                };
                Check::Tokens(Arc::new(Tokens { rules, accepted, source }))
            }
        };
        Ok(Self { guests: config.guests, check })
    }

    /// Says whose a token is, or refuses it. The answer is there at once unless keys have to be fetched or the game asked.
    ///
    /// # Errors
    /// `token_invalid`, `token_expired`, `auth_unavailable` (retryable when it is for the moment only), or what the game's own check says.
    pub fn verify(&self, token: &str) -> Verdict {
        match &self.check {
            Check::Hook(_) if token.len() > MAX_TOKEN_BYTES => Verdict::Ready(refused(TokenError::TooLarge)),
            Check::Hook(hooked) => Verdict::Later(Box::pin(hooked.clone().ask(token.to_owned()))),
            Check::Tokens(tokens) => match tokens.verify(token) {
                Err(TokenError::UnknownKey) => Verdict::Later(Box::pin(tokens.clone().verify_again(token.to_owned()))),
                Err(error) => Verdict::Ready(refused(error)),
                Ok(identity) => Verdict::Ready(Ok(identity)),
            },
        }
    }

    /// A client without a token, if such are let in. The number tells guests apart, and must not be given twice.
    pub fn guest(&self, number: u64) -> Option<Identity> {
        self.guests.then(|| Identity::new(format!("{GUEST}{number}")))
    }

    /// Whether anybody can get in at all: there are guests, or ways to check a token.
    pub fn admits_anybody(&self) -> bool {
        self.guests || !matches!(&self.check, Check::Tokens(tokens) if !tokens.accepted)
    }
}

/// Settings that contradict each other or leave a door open are better said at the start.
fn sensible(config: &Auth, hooked: bool) -> Result<(), AuthError> {
    let checks = config.secret.is_some() || config.keys.is_some();
    match &config.secret {
        _ if hooked && checks => Err(AuthError::TwoWays),
        _ if config.leeway_s > MAX_LEEWAY_S => Err(AuthError::Leeway),
        _ if !checks && (config.issuer.is_some() || config.audience.is_some()) => Err(AuthError::NothingToRestrict),
        Some(secret) if secret.len() < MIN_SECRET_BYTES => Err(AuthError::ShortSecret("auth.secret")),
        _ => Ok(()),
    }
}

fn refused(error: TokenError) -> Result<Identity, Failure> {
    tracing::debug!(%error, "a token is refused");
    Err(error.into())
}

impl Tokens {
    fn verify(&self, token: &str) -> Result<Identity, TokenError> {
        if !self.accepted {
            return Err(TokenError::NotAccepted);
        }
        let keys = self.source.as_ref().map(KeySource::keys);
        self.rules.verify(token, keys.as_deref())
    }

    /// Once more with newer keys, if there are any.
    async fn verify_again(self: Arc<Self>, token: String) -> Result<Identity, Failure> {
        let Some(source) = &self.source else { return refused(TokenError::UnknownKey) };
        source.refresh().await;
        match self.verify(&token) {
            Err(TokenError::UnknownKey) if source.is_failing() => refused(TokenError::NoKeys),
            Err(error) => refused(error),
            Ok(identity) => Ok(identity),
        }
    }
}

impl Hooked {
    async fn ask(self, token: String) -> Result<Identity, Failure> {
        // A set, because its tasks end with it when the session does not wait any more.
        let mut asked = JoinSet::new();
        let hook = self.hook;
        asked.spawn_on(async move { hook(token).await }, &self.runtime);
        match tokio::time::timeout(HOOK_DEADLINE, asked.join_next()).await {
            Ok(Some(Ok(answer))) => answer.and_then(|identity| {
                self.rules.admit(identity).or_else(|error| {
                    tracing::error!("the game's check of tokens gave out an account that cannot be one");
                    refused(error)
                })
            }),
            Ok(_) => {
                tracing::error!("the game's check of tokens has panicked");
                Err(ErrorCode::Internal.into())
            }
            Err(_) => {
                tracing::error!("the game's check of tokens takes too long");
                refused(TokenError::NoAnswer)
            }
        }
    }
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tokens(tokens) => tokens.fmt(f),
            Self::Hook(_) => f.write_str("Hook"),
        }
    }
}
