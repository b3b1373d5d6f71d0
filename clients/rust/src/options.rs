//! How a client connects, and every bound and period it keeps, with its default.

use std::time::Duration;

use parlor_protocol::Codec;

use crate::token::Token;

/// What the loss of a connection means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLoss {
    /// The client connects again by itself and takes its session up where it was.
    #[default]
    ComeBack,
    /// The session, its rooms and the [`Parlor`](crate::Parlor) end with their connection.
    End,
}

/// How to connect. Made with [`Options::default`] (or [`Options::new`]) and changed with the methods of the same names.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The name that other players may see, at most 64 bytes. None by default.
    pub name: Option<String>,
    /// The game's version, at most 64 bytes. None by default.
    pub game: Option<String>,
    /// Proof of who the user is: a fixed text, or a provider that is asked at each connect and again before the token
    /// expires. None by default: a guest.
    pub token: Option<Token>,
    /// How frames are written; MessagePack by default.
    pub codec: Codec,
    /// How long connecting, joining, a request or a subscription waits for its answer; 10 s by default.
    pub request_timeout: Duration,
    /// How often the round trip and the server's clock are measured; 2 s by default, zero for never. However it is set, a
    /// client that comes back notices within 12 s that nothing is heard any more.
    pub ping_every: Duration,
    /// Whether the client comes back when its connection is lost; it does by default.
    pub on_loss: OnLoss,
    /// The longest pause before the first attempt to connect again; 200 ms by default. It doubles with each attempt, up to
    /// [`backoff_max`](Self::backoff_max); how much of it is waited is left to chance each time.
    pub backoff_first: Duration,
    /// The longest pause between two attempts to connect again; 10 s by default.
    pub backoff_max: Duration,
    /// How long after a loss attempts to connect again are made before the session is given up; 60 s by default. (A broker
    /// keeps a room's seat for 30 s unless the game chose otherwise.)
    pub reconnect_for: Duration,
    /// Frames that may wait to be written or acknowledged; 512 by default. Beyond it sending fails with
    /// [`BufferFull`](crate::ClientError::BufferFull). A broker acknowledges each 32. Without bound in a session that ends with
    /// its connection: there nothing is acknowledged.
    pub send_frames: usize,
    /// Bytes that may wait to be written or acknowledged, counting 32 more for each frame; 1 MiB by default. Beyond it sending
    /// fails in the same way. A frame that waits alone always fits.
    pub send_bytes: usize,
    /// Events of one room that may wait to be read; 65 536 by default. When this or
    /// [`event_bytes`](Self::event_bytes) is reached the client stops reading from the socket until half of it is free.
    pub event_count: usize,
    /// Payload bytes of one room's events that may wait to be read; 16 MiB by default.
    pub event_bytes: usize,
    /// Certificates of authorities that are trusted for `wss://` besides the system's, as PEM. None by default.
    #[cfg(feature = "tls")]
    pub roots: Vec<String>,
    /// Makes the pauses of the back-off the same each time, for tests.
    #[doc(hidden)]
    pub seed: Option<u64>,
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
            on_loss: OnLoss::ComeBack,
            backoff_first: Duration::from_millis(200),
            backoff_max: Duration::from_secs(10),
            reconnect_for: Duration::from_secs(60),
            send_frames: 512,
            send_bytes: 1 << 20,
            event_count: 1 << 16,
            event_bytes: 16 << 20,
            #[cfg(feature = "tls")]
            roots: Vec::new(),
            seed: None,
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

    /// Sets [`token`](Self::token): a text, or a [`Token`].
    #[must_use]
    pub fn token(mut self, token: impl Into<Token>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Sets [`token`](Self::token) to a provider: a function that gets a fresh token, such as
    /// `|| async { sign_in().await }`. It is called at each connect and before the token in force expires.
    #[must_use]
    pub fn token_provider<F, Fut, E>(self, provider: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.token(Token::provider(provider))
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

    /// One connection and no other: sets [`on_loss`](Self::on_loss) to [`OnLoss::End`].
    #[must_use]
    pub fn once(mut self) -> Self {
        self.on_loss = OnLoss::End;
        self
    }

    /// Sets [`backoff_first`](Self::backoff_first) and [`backoff_max`](Self::backoff_max).
    #[must_use]
    pub fn backoff(mut self, first: Duration, max: Duration) -> Self {
        self.backoff_first = first;
        self.backoff_max = max;
        self
    }

    /// Sets [`reconnect_for`](Self::reconnect_for).
    #[must_use]
    pub fn reconnect_for(mut self, limit: Duration) -> Self {
        self.reconnect_for = limit;
        self
    }

    /// Sets [`send_frames`](Self::send_frames).
    #[must_use]
    pub fn send_frames(mut self, frames: usize) -> Self {
        self.send_frames = frames;
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

    /// Adds to [`roots`](Self::roots): one certificate or several, as PEM.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn root_certificate(mut self, pem: impl Into<String>) -> Self {
        self.roots.push(pem.into());
        self
    }

    #[doc(hidden)]
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }
}
