//! What a configuration may not say although each of its values is of the right type: contradictions, and numbers that make no
//! sense. Each is told in one line that names the keys.

use std::collections::HashSet;

use axum::http::uri::Authority;
use parlor_protocol::limits::{MAX_NAME, MAX_UINT};
use serde_json::Value;

use super::{Auth, BURST_S, Config, ConfigError, Limits};

/// Bytes of a secret that cannot be guessed.
const SECRET_BYTES: usize = 32;
/// hyper reads heads into a buffer that is never smaller.
const LEAST_HEAD_BYTES: usize = 8 << 10;
/// More threads than any machine has cores for.
const MOST_SHARDS: usize = 1024;
/// Numbers that may be 0: nothing of the kind is kept, made, followed, gathered or waited for. With any other at 0 nobody could play.
const MAY_BE_ZERO: [&str; 5] = ["sessions_away", "rooms", "subscriptions", "gather_members", "drain_ms"];

/// Whether the program checks tokens by itself, in code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnCheck {
    /// It has a check, and that looks at all tokens: `auth.secret`, `auth.keys` and `auth.url` must not be set then. `auth.guests` holds as
    /// ever.
    Installed,
    /// It has not.
    None,
}

impl Config {
    /// Whether a broker can run with this. [`Broker::start`](crate::Broker::start) asks too.
    ///
    /// # Errors
    /// The first thing that is wrong, in one line.
    pub fn check(&self) -> Result<(), ConfigError> {
        let all = [
            self.check_texts(),
            self.check_tls(),
            self.auth.check(self.server_key.is_some()),
            self.origins.iter().try_for_each(|origin| check_origin(origin)),
            self.check_numbers(),
            self.limits.check(),
            self.workers.check(&self.limits),
            self.check_relays(),
        ];
        all.into_iter().collect::<Result<(), String>>().map_err(ConfigError::Contradictory)
    }

    /// Whether there is any way to get in.
    ///
    /// # Errors
    /// When there is none.
    pub fn check_entry(&self, own: OwnCheck) -> Result<(), ConfigError> {
        let Auth { guests, secret, keys, url, .. } = &self.auth;
        let checked = secret.is_some() || keys.is_some() || url.is_some() || own == OwnCheck::Installed;
        let why = "nobody can get in: set auth.guests, auth.secret, auth.keys or auth.url";
        let open = *guests || checked;
        ensure(open, || why.to_owned()).map_err(ConfigError::Contradictory)
    }

    fn check_texts(&self) -> Result<(), String> {
        let Auth { secret, keys, url, issuer, audience, .. } = &self.auth;
        for (name, text) in [("secret", &self.secret), ("auth.secret", secret)] {
            let bytes = text.as_ref().map_or(SECRET_BYTES, String::len);
            ensure(bytes >= SECRET_BYTES, || format!("{name} has {bytes} bytes; it needs at least {SECRET_BYTES}"))?;
        }
        let texts = [
            ("server_key", &self.server_key),
            ("auth.keys", keys),
            ("auth.url", url),
            ("auth.issuer", issuer),
            ("auth.audience", audience),
        ];
        let empty = texts.iter().find(|(_, text)| text.as_ref().is_some_and(String::is_empty));
        empty.map_or(Ok(()), |(name, _)| Err(format!("{name} is empty; leave it out instead")))
    }

    fn check_tls(&self) -> Result<(), String> {
        match (&self.tls.certificate, &self.tls.key) {
            (Some(_), None) => Err("tls.certificate is set, but not tls.key".to_owned()),
            (None, Some(_)) => Err("tls.key is set, but not tls.certificate".to_owned()),
            _ => Ok(()),
        }
    }

    fn check_numbers(&self) -> Result<(), String> {
        let shards = self.shards;
        ensure(shards <= MOST_SHARDS, || format!("shards is {shards}; it must be at most {MOST_SHARDS}"))?;
        check_section("limits", serde_json::to_value(&self.limits))?;
        check_section("workers", serde_json::to_value(&self.workers))?;
        check_size("auth.leeway_s", &self.auth.leeway_s.into())
    }

    fn check_relays(&self) -> Result<(), String> {
        let mut kinds = HashSet::new();
        for super::RelayConfig { kind, policy } in &self.relay {
            let of = |why: String| format!("relay `{kind}`: {why}");
            let fits = (1..=MAX_NAME).contains(&kind.len());
            ensure(fits, || of(format!("the name of a kind has 1 to {MAX_NAME} bytes")))?;
            ensure(kinds.insert(kind), || format!("two relays have the kind `{kind}`"))?;
            policy.check().map_err(of)?;
            let policy = serde_json::to_value(policy).map_err(|error| of(error.to_string()))?;
            for (name, value) in policy.as_object().into_iter().flatten() {
                check_size(name, value).map_err(of)?;
            }
        }
        Ok(())
    }
}

impl Auth {
    fn check(&self, has_server_key: bool) -> Result<(), String> {
        let asked = self.url.is_some();
        ensure(!asked || has_server_key, || {
            "auth.url is set, but not server_key, by which those who are asked there know the broker".to_owned()
        })?;
        let both = [("secret", self.secret.is_some()), ("keys", self.keys.is_some())]
            .into_iter()
            .find(|(_, set)| asked && *set);
        both.map_or(Ok(()), |(name, _)| {
            Err(format!("auth.url and auth.{name} are both set; tokens are checked in one way"))
        })?;
        let of_tokens = [
            ("issuer", self.issuer.is_some()),
            ("audience", self.audience.is_some()),
            ("leeway_s", self.leeway_s != Self::default().leeway_s),
        ];
        let idle = of_tokens.iter().find(|(_, set)| *set).filter(|_| self.secret.is_none() && self.keys.is_none());
        let why = "neither auth.secret nor auth.keys is, so that no token is looked at";
        idle.map_or(Ok(()), |(name, _)| Err(format!("auth.{name} is set, but {why}")))
    }
}

impl Limits {
    fn check(&self) -> Result<(), String> {
        let Self { idle_timeout_ms: idle, ping_after_ms: ping, max_head_bytes: head, .. } = self;
        ensure(idle > ping, || {
            format!(
                "limits.idle_timeout_ms ({idle}) must be above limits.ping_after_ms ({ping}), or no ping is ever answered in time"
            )
        })?;
        ensure(*head >= LEAST_HEAD_BYTES, || {
            format!("limits.max_head_bytes is {head}; it must be at least {LEAST_HEAD_BYTES}")
        })?;
        let (frame, rate) = (self.max_frame_bytes, u64::from(self.bytes_per_s));
        ensure(rate * BURST_S >= frame as u64, || {
            format!(
                "limits.bytes_per_s ({rate}) must be at least a fifth of limits.max_frame_bytes ({frame}), \
                 or the largest frames are always refused"
            )
        })
    }
}

/// Whatever is a number: a new key must not be forgotten here.
fn check_section(section: &str, keys: serde_json::Result<Value>) -> Result<(), String> {
    let keys = keys.map_err(|error| error.to_string())?;
    for (name, value) in keys.as_object().into_iter().flatten() {
        let zero = value.as_u64() == Some(0) && !MAY_BE_ZERO.contains(&name.as_str());
        ensure(!zero, || format!("{section}.{name} must be at least 1"))?;
        check_size(&format!("{section}.{name}"), value)?;
    }
    Ok(())
}

/// Numbers are told to clients, and added to clocks, where larger ones do not fit.
fn check_size(name: &str, value: &Value) -> Result<(), String> {
    let fits = value.as_u64().is_none_or(|number| number <= MAX_UINT);
    ensure(fits, || format!("{name} must be at most {MAX_UINT}"))
}

/// An origin is compared with what browsers send, so it is written as they do: no path, lower case, no port that goes without saying.
fn check_origin(origin: &str) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("origins: `{origin}` {why}"));
    if origin == "*" {
        return Ok(());
    }
    let Some((scheme, host)) = origin.split_once("://") else {
        return wrong("is not scheme://host[:port] or *");
    };
    let named = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    // An authority by itself: with a path behind it, it does not parse.
    let authority = host.parse::<Authority>().ok().filter(|authority| {
        let port = authority.as_str().strip_prefix(authority.host()).unwrap_or("@");
        !authority.host().is_empty() && (port.is_empty() || authority.port_u16().is_some())
    });
    let Some(authority) = authority.filter(|_| named) else {
        return wrong("is not scheme://host[:port] or *");
    };
    if origin.chars().any(|c| c.is_ascii_uppercase()) {
        return wrong("has capitals, which browsers do not send");
    }
    match (scheme, authority.port_u16()) {
        ("http", Some(80)) | ("https", Some(443)) => wrong("names the usual port, which browsers leave out"),
        _ => Ok(()),
    }
}

pub(super) fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}
