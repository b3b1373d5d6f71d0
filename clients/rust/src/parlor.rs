//! The connection as the application sees it.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use parlor_protocol::ClientFrame;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::actor;
use crate::error::ClientError;
use crate::join::JoinRequest;
use crate::lifecycle::Lifecycle;
use crate::link::{Answer, Handle, Phase};
use crate::options::Options;
use crate::room::Room;
use crate::socket::{Address, begin};

/// A connection to a broker, and the session on it. Cheap to clone.
///
/// It stays open as long as there is a `Parlor`, a [`Room`] or a [`RoomSender`](crate::RoomSender) of it.
#[derive(Clone, Debug)]
pub struct Parlor {
    handle: Arc<Handle>,
}

impl Parlor {
    /// Connects to `ws://host[:port][/path]`, the path being `/ws` when none is given, and begins a session.
    ///
    /// # Errors
    /// [`ClientError::Invalid`] for a bad URL, [`ClientError::Io`], [`ClientError::Http`], [`ClientError::Refused`] (the
    /// token, for instance), [`ClientError::Closed`], [`ClientError::Protocol`], and [`ClientError::Timeout`] when all of it
    /// together takes longer than [`Options::request_timeout`].
    pub async fn connect(url: &str, options: Options) -> Result<Self, ClientError> {
        let address = Address::parse(url)?;
        in_time(options.request_timeout, async {
            let stream = address.open().await?;
            Self::start(&address, stream, options).await
        })
        .await
    }

    /// Begins a session over a stream that is connected already. The WebSocket handshake is still made.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn over<S>(stream: S, options: Options) -> Result<Self, ClientError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        in_time(options.request_timeout, Self::start(&Address::none(), stream, options)).await
    }

    async fn start<S>(address: &Address, stream: S, options: Options) -> Result<Self, ClientError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (socket, shared) = begin(address, stream, options).await?;
        let shared = Arc::new(shared);
        tokio::spawn(actor::run(socket, Arc::clone(&shared)));
        Ok(Self { handle: Arc::new(Handle { shared }) })
    }

    /// Joins an open room of this kind, or else a new one. `options` is what the game's handlers get; `&()` says nothing.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub async fn join_or_create(&self, kind: &str, options: &(impl Serialize + ?Sized)) -> Result<Room, ClientError> {
        self.join(JoinRequest::find_or_create(kind).options(options)).await
    }

    /// Joins a new room of this kind.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub async fn create(&self, kind: &str, options: &(impl Serialize + ?Sized)) -> Result<Room, ClientError> {
        self.join(JoinRequest::create(kind).options(options)).await
    }

    /// Joins the room with this id (a text, or a [`RoomId`](crate::RoomId)).
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub async fn join_by_id(&self, id: impl Display, options: &(impl Serialize + ?Sized)) -> Result<Room, ClientError> {
        self.join(JoinRequest::by_id(id).options(options)).await
    }

    /// Joins a room. When the future is dropped, or times out, and the join succeeds afterwards, the room is left again.
    ///
    /// # Errors
    /// [`ClientError::Refused`] (`room_full`, `unknown_kind`, the game's own …), [`ClientError::Closed`],
    /// [`ClientError::Timeout`], [`ClientError::Invalid`] and [`ClientError::BufferFull`].
    pub async fn join(&self, request: JoinRequest) -> Result<Room, ClientError> {
        let (join, options) = request.into_parts()?;
        let frame = |id| ClientFrame::Join { id, join, options };
        match self.handle.shared.ask(None, frame).await? {
            Answer::Joined(seat) => Ok(Room::new(seat, Arc::clone(&self.handle))),
            _ => Err(ClientError::Protocol("a join was answered by something else".to_owned())),
        }
    }

    /// The session's name.
    pub fn session(&self) -> &str {
        &self.handle.shared.welcome.session
    }

    /// The user's account.
    pub fn account(&self) -> &str {
        &self.handle.shared.welcome.account
    }

    /// The broker and its version.
    pub fn server(&self) -> &str {
        &self.handle.shared.welcome.server
    }

    /// The smoothed round trip; none until the first ping was answered.
    pub fn rtt(&self) -> Option<Duration> {
        self.handle.shared.clock.lock().rtt()
    }

    /// The server's clock now, in milliseconds since 1970, as well as it can be known: by the fastest of the last exchanges.
    /// An estimate, which a better one may set back a little.
    pub fn server_now(&self) -> u64 {
        let shared = &self.handle.shared;
        shared.clock.lock().server_now(shared.now())
    }

    /// What happens to the connection as a whole, from now on.
    pub fn lifecycle(&self) -> Lifecycle {
        Lifecycle::new(Arc::clone(&self.handle.shared))
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.handle.shared.has_reached(Phase::Ended)
    }

    /// Writes what is queued, says goodbye and waits until the socket is closed, for at most about two seconds. Every
    /// room of the connection ends with it. Does nothing when the connection has ended already.
    pub async fn close(&self) {
        self.handle.shared.advance(Phase::Closing);
        self.handle.shared.reached(Phase::Gone).await;
    }
}

async fn in_time<T>(limit: Duration, work: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
    timeout(limit, work).await.unwrap_or(Err(ClientError::Timeout))
}
