//! What an operator may set, and the one table of defaults of the broker itself (a room kind's are in its policy).
//!
//! `keys` is the one table of names and meanings. `read` turns a file into a [`Config`], `check` finds what contradicts itself,
//! `print` writes a file again.

mod check;
mod keys;
mod networks;
mod print;
mod read;
mod workers;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use parlor_protocol::Policy;
use serde::{Deserialize, Serialize};

pub use check::OwnCheck;
pub use keys::{KEYS, Key};
pub use workers::Workers;
pub(crate) use workers::words;

/// How many seconds' worth of messages, bytes and control frames may come at once.
pub(crate) const BURST_S: u64 = 5;

/// The broker's configuration. Every key may stand in the TOML file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address and port for WebSocket, REST and pages. Default 127.0.0.1:7373; port 0 takes any free one.
    pub listen: SocketAddr,
    /// The key that REST calls which change something must carry as `Authorization: Bearer …`. Default none: they are refused.
    #[serde(serialize_with = "print::hidden")]
    pub server_key: Option<String>,
    /// Threads that run rooms and their connections. Default 0: one per core.
    pub shards: usize,
    /// From which the keys for tickets and resume tokens are derived; at least 32 bytes. Default none: a random one, so that tickets end
    /// with the process. Resume tokens do so in any case, since sessions do.
    #[serde(serialize_with = "print::hidden")]
    pub secret: Option<String>,
    /// Origins of pages, such as `https://game.example`, that may connect beside those of this server itself; `*` lets in all.
    pub origins: Vec<String>,
    /// Addresses or networks (`10.0.0.0/8`) of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed. Default none.
    #[serde(with = "networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// Certificates, for `wss://` and `https://` without a proxy.
    pub tls: Tls,
    /// Who may connect.
    pub auth: Auth,
    /// Bounds on what a peer may cost.
    pub limits: Limits,
    /// Processes that run the handlers of rooms.
    pub workers: Workers,
    /// Relay rooms to offer, kinds without a handler.
    pub relay: Vec<RelayConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7373),
            server_key: None,
            shards: 0,
            secret: None,
            origins: Vec::new(),
            trusted_proxies: Vec::new(),
            tls: Tls::default(),
            auth: Auth::default(),
            limits: Limits::default(),
            workers: Workers::default(),
            relay: Vec::new(),
        }
    }
}

/// Where the certificate is. Both or neither are set; the files are read again when they change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Tls {
    /// PEM file with the certificate and its chain.
    pub certificate: Option<PathBuf>,
    /// PEM file with the private key.
    pub key: Option<PathBuf>,
}

/// Who may connect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Auth {
    /// Whether clients without a token are let in, each under an account of its own. Default false.
    pub guests: bool,
    /// The secret of tokens signed with HS256, at least 32 bytes. Default none.
    #[serde(serialize_with = "print::hidden")]
    pub secret: Option<String>,
    /// Public keys of tokens signed with EdDSA or RS256: a PEM or JWKS file, or the URL of a JWKS. Default none.
    pub keys: Option<String>,
    /// Where tokens are checked by the game's services, or any backend that answers as they do: the URL to ask, which is shown the server
    /// key. Default none.
    pub url: Option<String>,
    /// What the token's `iss` must be. Default: not looked at.
    pub issuer: Option<String>,
    /// What the token's `aud` must contain. Default: not looked at.
    pub audience: Option<String>,
    /// By how many seconds clocks may differ.
    pub leeway_s: u64,
}

impl Default for Auth {
    fn default() -> Self {
        Self { guests: false, secret: None, keys: None, url: None, issuer: None, audience: None, leeway_s: 30 }
    }
}

/// A relay kind: its name and its policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(expecting = "a table")]
pub struct RelayConfig {
    /// What clients ask for.
    pub kind: String,
    /// How its rooms behave.
    #[serde(flatten)]
    pub policy: Policy,
}

/// Bounds on what a peer may cost. The unit is in the name, or it is a count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Limits {
    /// Largest frame taken from a client. Four times as much is still read and refused; beyond that the connection ends.
    pub max_frame_bytes: usize,
    /// Fragments of one message.
    pub max_fragments: u32,
    /// Bytes of the HTTP request head of a new connection.
    pub max_head_bytes: usize,
    /// Time for the HTTP request head of a new connection, and for its TLS handshake.
    pub header_timeout_ms: u64,
    /// Time to finish a message once it has begun.
    pub frame_timeout_ms: u64,
    /// Time from the upgrade to the first frame.
    pub hello_timeout_ms: u64,
    /// Silence after which the broker pings.
    pub ping_after_ms: u64,
    /// Silence after which a connection counts as dead.
    pub idle_timeout_ms: u64,
    /// How long a connection may take nothing while something is owed to it.
    pub write_deadline_ms: u64,
    /// Frames that may wait for a connection.
    pub outbox_frames: usize,
    /// Bytes that may wait for a connection.
    pub outbox_bytes: usize,
    /// Malformed frames after which a connection ends.
    pub bad_frames: u32,
    /// Frames a second that one session may send; five seconds' worth may come at once.
    pub messages_per_s: u32,
    /// The same in bytes.
    pub bytes_per_s: u32,
    /// WebSocket control frames (ping, pong) a second that one connection may send; five seconds' worth may come at once.
    pub control_frames_per_s: u32,
    /// Connections at a time.
    pub connections: usize,
    /// Connections at a time from one address; an IPv6 network of 64 bits counts as one.
    pub connections_per_address: usize,
    /// Sessions without a connection that are kept for their clients to come back.
    pub sessions_away: usize,
    /// Rooms at a time.
    pub rooms: usize,
    /// Rooms that one session may be in.
    pub rooms_per_session: usize,
    /// Topics of its own choice that one session may follow, in all its rooms.
    pub subscriptions: usize,
    /// Members beyond which a room no longer draws connections to its own thread.
    pub gather_members: u32,
    /// Time for rooms to end themselves when the broker shuts down.
    pub drain_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_frame_bytes: 16 << 10, // moves and commands are far smaller
            max_fragments: 64,
            max_head_bytes: 8 << 10,
            header_timeout_ms: 5_000,
            frame_timeout_ms: 10_000,
            hello_timeout_ms: 5_000,
            ping_after_ms: 9_000,
            idle_timeout_ms: 14_000, // looked at once a second, so that a dead link is noticed within 15 s
            write_deadline_ms: 2_000,
            outbox_frames: 4_096,
            outbox_bytes: 256 << 10, // a few seconds of a busy room
            bad_frames: 32,
            messages_per_s: 120, // twice what a game that sends at 60 Hz needs
            bytes_per_s: 128 << 10,
            control_frames_per_s: 10,
            connections: 10_000,
            connections_per_address: 64, // a household or a class room behind one address
            sessions_away: 10_000,
            rooms: 100_000,
            rooms_per_session: 16,
            subscriptions: 32,
            gather_members: 128, // one thread should not have to write a large crowd alone
            drain_ms: 8_000,     // leaves two of the ten seconds in which the process must be gone
        }
    }
}

impl Limits {
    /// Largest message read at all.
    pub(crate) fn hard_frame_bytes(&self) -> usize {
        self.max_frame_bytes.saturating_mul(4)
    }

    /// The write deadline as a duration.
    pub(crate) fn write_deadline(&self) -> Duration {
        Duration::from_millis(self.write_deadline_ms)
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read config {0}: {1}")]
    Unreadable(PathBuf, std::io::Error),
    /// The file is not what is expected; the text names the line.
    #[error("config {0}: {1}")]
    Invalid(PathBuf, String),
    /// What it says, wherever it says it, does not go together.
    #[error("config: {0}")]
    Contradictory(String),
    /// It cannot be written as a file.
    #[error("config cannot be printed: {0}")]
    Unprintable(String),
}
