//! How a client connects, and every bound and period it keeps, with its default.

use std::fmt;
use std::time::Duration;

use parlor_protocol::Codec;

/// How to connect. Made with [`Options::default`] (or [`Options::new`]) and changed with the methods of the same names.
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// The name that other players may see, at most 64 bytes. None by default.
    pub name: Option<String>,
    /// The game's version, at most 64 bytes. None by default.
    pub game: Option<String>,
    /// Proof of who the user is. None by default: a guest.
    pub token: Option<String>,
    /// How frames are written; MessagePack by default.
    pub codec: Codec,
    /// How long connecting, joining, a request or a subscription waits for its answer; 10 s by default.
    pub request_timeout: Duration,
    /// How often the round trip and the server's clock are measured; 2 s by default, zero for never.
    pub ping_every: Duration,
    /// Bytes that may wait to be written, counting 32 more for each frame; 1 MiB by default. Beyond it sending fails
    /// with [`BufferFull`](crate::ClientError::BufferFull). A frame that waits alone always fits.
    pub send_bytes: usize,
    /// Events of one room that may wait to be read; 65 536 by default. When this or
    /// [`event_bytes`](Self::event_bytes) is reached the client stops reading from the socket until half of it is free.
    pub event_count: usize,
    /// Payload bytes of one room's events that may wait to be read; 16 MiB by default.
    pub event_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: None,
            game: None,
            token: None,
            codec: Codec::MsgPack,
            request_timeout: Duration::from_secs(10),
            ping_every: Duration::from_secs(2),
            send_bytes: 1 << 20,
            event_count: 1 << 16,
            event_bytes: 16 << 20,
        }
    }
}

impl Options {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`name`](Self::name).
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets [`game`](Self::game).
    #[must_use]
    pub fn game(mut self, version: impl Into<String>) -> Self {
        self.game = Some(version.into());
        self
    }

    /// Sets [`token`](Self::token).
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Sets [`codec`](Self::codec).
    #[must_use]
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    /// Sets [`request_timeout`](Self::request_timeout).
    #[must_use]
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Sets [`ping_every`](Self::ping_every).
    #[must_use]
    pub fn ping_every(mut self, period: Duration) -> Self {
        self.ping_every = period;
        self
    }

    /// Sets [`send_bytes`](Self::send_bytes).
    #[must_use]
    pub fn send_bytes(mut self, bytes: usize) -> Self {
        self.send_bytes = bytes;
        self
    }

    /// Sets [`event_count`](Self::event_count) and [`event_bytes`](Self::event_bytes).
    #[must_use]
    pub fn event_bound(mut self, count: usize, bytes: usize) -> Self {
        self.event_count = count;
        self.event_bytes = bytes;
        self
    }
}

/// Shows everything but the token, because options end up in logs.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("name", &self.name)
            .field("game", &self.game)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("codec", &self.codec)
            .field("request_timeout", &self.request_timeout)
            .field("ping_every", &self.ping_every)
            .field("send_bytes", &self.send_bytes)
            .field("event_count", &self.event_count)
            .field("event_bytes", &self.event_bytes)
            .finish()
    }
}
