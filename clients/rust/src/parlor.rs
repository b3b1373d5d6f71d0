//! The client as the application sees it.

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parlor_protocol::ClientFrame;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::connector::{By, ByUrl, Connector, Only};
use crate::error::ClientError;
use crate::join::JoinRequest;
use crate::life::Life;
use crate::lifecycle::Lifecycle;
use crate::link::{Answer, Handle, Phase};
use crate::options::Options;
use crate::room::Room;

/// A session with a broker, on one connection after the other. Cheap to clone.
///
/// It stays open as long as there is a `Parlor`, a [`Room`] or a [`RoomSender`](crate::RoomSender) of it.
#[derive(Clone, Debug)]
pub struct Parlor {
    handle: Arc<Handle>,
}

impl Parlor {
    /// Connects to `ws://host[:port][/path]` (or `wss://…`, with the feature `tls`), the path being `/ws` when none is
    /// given, and begins a session. When the connection is lost the client connects to the same URL again.
    ///
    /// # Errors
    /// [`ClientError::Invalid`] for a bad URL, [`ClientError::Io`], [`ClientError::Http`], [`ClientError::Refused`] (the
    /// token, for instance), [`ClientError::Closed`], [`ClientError::Protocol`], [`ClientError::Token`], and
    /// [`ClientError::Timeout`] when all of it together takes longer than [`Options::request_timeout`]. The first connection
    /// is tried once.
    pub async fn connect(url: &str, options: Options) -> Result<Self, ClientError> {
        Self::start(ByUrl::new(url, &options)?, options).await
    }

    /// Begins a session over the streams that a function makes: the first one now, and another whenever one is lost. For
    /// brokers in memory, proxies and tests. The WebSocket handshake is still made.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn through<C, F, S>(connector: C, options: Options) -> Result<Self, ClientError>
    where
        C: FnMut() -> F + Send + 'static,
        F: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Self::start(By(connector), options).await
    }

    /// Begins a session over a stream that is connected already. The WebSocket handshake is still made. There is no other
    /// stream to come back on, so the session ends with this one.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn over<S>(stream: S, options: Options) -> Result<Self, ClientError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Self::start(Only(Some(stream)), options).await
    }

    async fn start<C: Connector>(connector: C, options: Options) -> Result<Self, ClientError> {
        let (life, socket) = Life::begin(connector, options).await?;
        let shared = life.shared();
        tokio::spawn(life.run(socket));
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
    /// [`ClientError::Lost`], [`ClientError::Timeout`], [`ClientError::Invalid`] and [`ClientError::BufferFull`].
    pub async fn join(&self, request: JoinRequest) -> Result<Room, ClientError> {
        let (join, options) = request.into_parts()?;
        let frame = |id| ClientFrame::Join { id, join, options };
        match self.handle.shared.ask_session(frame).await? {
            Answer::Joined(seat) => Ok(Room::new(seat, Arc::clone(&self.handle))),
            _ => Err(ClientError::Protocol("a join was answered by something else".to_owned())),
        }
    }

    /// The session's name. It changes only when the session is lost and another begins.
    pub fn session(&self) -> String {
        self.handle.shared.welcome().session.clone()
    }

    /// The user's account.
    pub fn account(&self) -> String {
        self.handle.shared.welcome().account.clone()
    }

    /// The broker and its version.
    pub fn server(&self) -> String {
        self.handle.shared.welcome().server.clone()
    }

    /// The smoothed round trip; none until the first ping was answered.
    pub fn rtt(&self) -> Option<Duration> {
        self.handle.shared.clock.lock().rtt()
    }

    /// The server's clock now, in milliseconds since 1970, as well as it can be known: by the fastest of the last exchanges.
    /// An estimate, which a better one may set back a little.
    pub fn server_now(&self) -> u64 {
        self.handle.shared.server_now()
    }

    /// What happens to the session as a whole, from now on.
    pub fn lifecycle(&self) -> Lifecycle {
        Lifecycle::new(Arc::clone(&self.handle.shared))
    }

    /// Whether the client has ended. One that is about to come back has not.
    pub fn is_closed(&self) -> bool {
        self.handle.shared.has_reached(Phase::Ended)
    }

    /// Writes what is queued, says goodbye and waits until the socket is closed, for at most about two seconds. The session
    /// and every room of it end with it. While the connection is lost there is nobody to say it to: the client just ends,
    /// and the broker finds out after the time that it waits. Does nothing when the client has ended already.
    pub async fn close(&self) {
        self.handle.shared.advance(Phase::Closing);
        self.handle.shared.reached(Phase::Gone).await;
    }
}
