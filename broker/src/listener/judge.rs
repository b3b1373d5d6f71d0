//! What the head of a request decides by itself, for fuzzing: it comes from anybody, before anything is known of them.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue};
use parlor_protocol::Codec;

use super::Entrance;
use super::origin::Way;
use super::upgrade;
use crate::config::Config;

/// What becomes of a request for a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[doc(hidden)]
pub struct Judgement {
    /// Whose it counts as.
    pub client: IpAddr,
    /// Whether its page may connect.
    pub allowed: bool,
    /// The codec that it asks for, if it is a handshake at all.
    pub codec: Option<Option<Codec>>,
    /// What its key is answered with, if it has one.
    pub accept: Option<HeaderValue>,
}

/// Judges these headers of a request from `peer`. None if the configuration itself is wrong.
#[doc(hidden)]
pub fn judge(config: &Config, peer: IpAddr, secure: bool, headers: &HeaderMap) -> Option<Judgement> {
    let entrance = Entrance::new(config).ok()?;
    let proxied = entrance.proxies.trust(peer);
    Some(Judgement {
        client: entrance.proxies.client(peer, headers),
        allowed: entrance.origins.allow(headers, Way { secure, proxied }),
        codec: upgrade::negotiate(headers).ok(),
        accept: upgrade::answer(headers).ok(),
    })
}
