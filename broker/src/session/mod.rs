//! A session: one client over one connection. It reads frames and passes them on, and writes what its outbox owes. It knows rooms by
//! their handles only.

mod conversation;
mod socket;
mod tls;
mod writer;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use dashmap::DashMap;
use futures_util::Stream;
use parlor_protocol::{CloseCode, Codec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, Sleep};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error as WsError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tracing::debug;

use crate::outbox::Outbox;
use crate::room::Registry;
use crate::shard::{Lodger, ShardNo, Shards};
use crate::telemetry::count;
use conversation::{Conversation, Next};
use socket::{Gate, Parked};
use writer::Writer;

pub use socket::Socket;
pub use tls::{Movable, Tls};

/// Frames that one wake-up may read, so that a flood leaves the thread to others in between.
const READS: usize = 64;
/// How long a connection that we close may take to notice, and what it may still send meanwhile.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 1 << 20;
/// How often deadlines are looked at.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// Whatever must live as long as the connection.
pub type Guard = Box<dyn std::any::Any + Send>;

/// All sessions of a broker, and what they need.
#[derive(Debug)]
pub struct Sessions {
    registry: Arc<Registry>,
    shards: Arc<Shards>,
    live: DashMap<u64, Arc<Outbox>>,
    next: AtomicU64,
    draining: std::sync::atomic::AtomicBool,
    gone: tokio::sync::Notify,
}

impl Sessions {
    /// No sessions yet.
    pub fn new(registry: Arc<Registry>, shards: Arc<Shards>) -> Self {
        let (live, next) = (DashMap::new(), AtomicU64::new(1));
        Self { registry, shards, live, next, draining: false.into(), gone: tokio::sync::Notify::new() }
    }

    /// Runs a connection whose WebSocket handshake is done, on a shard. `early` is what was read behind the handshake; `guard` is held
    /// for as long as the connection lives.
    ///
    /// # Errors
    /// When the socket cannot be taken from this thread's runtime.
    pub fn spawn(self: &Arc<Self>, socket: Socket, early: Bytes, codec: Codec, guard: Guard) -> io::Result<()> {
        let parked = Parked::park(socket)?;
        let (sessions, shard) = (self.clone(), self.shards.next(Lodger::Connection));
        self.shards.runtime(shard).spawn(async move {
            let session = Session::new(&sessions, parked, early, codec).await;
            run(session, sessions, shard, guard);
        });
        Ok(())
    }

    /// Lets no new session say hello.
    pub fn refuse_new(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Ends all sessions, after what they are owed.
    pub fn close_all(&self, code: CloseCode) {
        for outbox in self.live.iter() {
            outbox.close(code);
        }
    }

    /// Waits until no session is left.
    pub async fn empty(&self) {
        loop {
            let gone = self.gone.notified();
            if self.live.is_empty() {
                return;
            }
            gone.await;
        }
    }

    fn draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}

/// Runs a session on its shard, and again on another one whenever it moves.
fn run(mut session: Session, sessions: Arc<Sessions>, shard: ShardNo, guard: Guard) {
    let runtime = sessions.shards.runtime(shard).clone();
    runtime.spawn(async move {
        match session.run(shard).await {
            Step::Move(to) if session.ws.get_mut().depart().is_ok() => run(session, sessions, to, guard),
            Step::Move(_) => session.end(None, guard),
            Step::End(code) => {
                if code.is_some() {
                    // Its rooms need not wait for that.
                    session.talk.hang_up();
                    session.linger().await;
                }
                session.end(code, guard);
            }
        }
    });
}

struct Session {
    ws: WebSocketStream<Gate>,
    /// Whether tungstenite may hold frames that it has read already, which no readiness of the socket will announce.
    unread: bool,
    /// Nothing more is read: the end has been decided.
    deaf: bool,
    writer: Writer,
    outbox: Arc<Outbox>,
    talk: Conversation,
    since: Instant,
    heard: Instant,
    /// Something was read since the clock was last looked at.
    read: bool,
    pinged: bool,
    /// Since when the socket has taken nothing of what is owed.
    stuck_since: Option<Instant>,
    /// Since when the end has been waiting for the rest to be taken.
    closing_since: Option<Instant>,
    number: u64,
    sessions: Arc<Sessions>,
}

/// What a session does next.
enum Step {
    /// Goes on, on another shard.
    Move(ShardNo),
    /// Ends: by the broker's code, or `None` when the client or the network ended it.
    End(Option<CloseCode>),
}

impl Session {
    async fn new(sessions: &Arc<Sessions>, parked: Parked, early: Bytes, codec: Codec) -> Self {
        let limits = sessions.registry.limits();
        let config = WebSocketConfig::default()
            .read_buffer_size(4 << 10)
            // Control frames only, and they go no further than the gate.
            .write_buffer_size(0)
            .max_write_buffer_size(64 << 10)
            .max_message_size(Some(limits.hard_frame_bytes()))
            .max_frame_size(Some(limits.hard_frame_bytes()));
        let ws =
            WebSocketStream::from_partially_read(Gate::new(parked), early.into(), Role::Server, Some(config)).await;
        let outbox = Arc::new(Outbox::new(codec, limits));
        let number = sessions.next.fetch_add(1, Ordering::Relaxed);
        sessions.live.insert(number, outbox.clone());
        let now = Instant::now();
        Self {
            ws,
            unread: true,
            deaf: false,
            writer: Writer::default(),
            talk: Conversation::new(sessions.registry.clone(), outbox.clone(), number),
            outbox,
            since: now,
            heard: now,
            read: false,
            pinged: false,
            stuck_since: None,
            closing_since: None,
            number,
            sessions: sessions.clone(),
        }
    }

    async fn run(&mut self, shard: ShardNo) -> Step {
        if self.ws.get_mut().arrive().is_err() {
            return Step::End(None);
        }
        let mut housekeeping = Box::pin(tokio::time::sleep(HOUSEKEEPING));
        poll_fn(|cx| self.poll(cx, shard, housekeeping.as_mut())).await
    }

    /// One wake-up: reads what is there, writes what is owed, looks at the clock.
    fn poll(&mut self, cx: &mut Context<'_>, shard: ShardNo, housekeeping: Pin<&mut Sleep>) -> Poll<Step> {
        if let Poll::Ready(step) = self.poll_clock(cx, housekeeping) {
            return Poll::Ready(step);
        }
        let owed = loop {
            let choked = self.choked();
            if !choked && let Poll::Ready(code) = self.poll_read(cx) {
                return Poll::Ready(Step::End(code));
            }
            self.talk.count();
            let owed = self.writer.poll(cx, self.ws.get_mut(), &self.outbox);
            self.count_writes();
            // What was not read for that reason has to be read now: no wake-up will come for it.
            if !choked || self.choked() || owed.is_ready() {
                break owed;
            }
        };
        match owed {
            Poll::Ready(Ok(code)) => Poll::Ready(Step::End(code)),
            Poll::Ready(Err(_)) => Poll::Ready(Step::End(None)),
            // Only between frames, so that the socket can change hands.
            Poll::Pending => match self.talk.home().filter(|to| *to != shard && !self.writer.blocked()) {
                Some(to) => Poll::Ready(Step::Move(to)),
                None => Poll::Pending,
            },
        }
    }

    /// Whether the client makes us answer pings that it does not read: then it is not read either.
    fn choked(&self) -> bool {
        self.writer.blocked() && self.ws.get_ref().has_control()
    }

    /// Reads until the socket has no more, or this turn's share is used up. `Ready` ends the session.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Option<CloseCode>> {
        let mut left = READS;
        while !self.deaf && (self.unread || self.ws.get_mut().poll_read_ready(cx).is_ready()) {
            self.unread = true;
            while !self.deaf {
                if left == 0 {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                left -= 1;
                let Poll::Ready(read) = Pin::new(&mut self.ws).poll_next(cx) else {
                    self.unread = false;
                    break;
                };
                if let Poll::Ready(end) = self.handle_read(cx, read) {
                    return Poll::Ready(end);
                }
            }
            if matches!(self.ws.get_mut().socket(), Ok(Socket::Memory(_))) {
                // A pipe has no readiness to ask for; the read has registered for waking.
                break;
            }
        }
        Poll::Pending
    }

    fn handle_read(&mut self, cx: &mut Context<'_>, read: Option<Result<Message, WsError>>) -> Poll<Option<CloseCode>> {
        self.read = true;
        match read {
            Some(Ok(Message::Binary(frame))) => self.handle_frame(&frame, Codec::MsgPack),
            Some(Ok(Message::Text(text))) => self.handle_frame(&Bytes::from(text), Codec::Json),
            Some(Ok(Message::Close(_))) => {
                // Polled once more, tungstenite hands over its reply; one write is all that gets.
                let _ = Pin::new(&mut self.ws).poll_next(cx);
                let _ = self.writer.poll(cx, self.ws.get_mut(), &self.outbox);
                return Poll::Ready(None);
            }
            Some(Ok(_)) => {}
            Some(Err(WsError::Capacity(CapacityError::MessageTooLong { size, .. }))) => {
                self.talk.frame_too_large(size);
                self.close(CloseCode::FrameTooLarge);
            }
            // The socket ended without a goodbye: a client that is gone, not one that breaks the protocol.
            Some(Err(WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake))) => return Poll::Ready(None),
            Some(Err(error @ (WsError::Protocol(_) | WsError::Utf8(_)))) => {
                self.talk.unreadable(error.to_string());
                self.close(CloseCode::BadFrames);
            }
            Some(Err(_)) | None => return Poll::Ready(None),
        }
        Poll::Pending
    }

    fn handle_frame(&mut self, frame: &Bytes, codec: Codec) {
        match self.talk.handle(frame, codec, self.sessions.draining()) {
            Next::Listen => {}
            Next::Close(code) => self.close(code),
        }
    }

    /// Ends the session once it has been told everything.
    fn close(&mut self, code: CloseCode) {
        self.deaf = true;
        self.outbox.close(code);
    }

    /// Waits a moment for the client to take the goodbye: closing a socket with unread bytes in it would reset the connection, and
    /// what was just written could be lost.
    async fn linger(&mut self) {
        if self.writer.blocked() {
            return;
        }
        let Ok(socket) = self.ws.get_mut().socket() else { return };
        let gone = async {
            let mut scratch = vec![0; 4 << 10];
            let mut left = LINGER_BYTES;
            socket.shutdown().await?;
            while left > 0 {
                match socket.read(&mut scratch).await? {
                    0 => break,
                    count => left = left.saturating_sub(count),
                }
            }
            io::Result::Ok(())
        };
        // It has had its chance, however this ends.
        let _ = tokio::time::timeout(LINGER, gone).await;
    }

    /// Hello, silence and the write deadline, once a second. `Ready` ends the session.
    fn poll_clock(&mut self, cx: &mut Context<'_>, mut housekeeping: Pin<&mut Sleep>) -> Poll<Step> {
        while housekeeping.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            housekeeping.as_mut().reset(now + HOUSEKEEPING);
            let limits = self.sessions.registry.limits();
            if std::mem::take(&mut self.read) {
                (self.heard, self.pinged) = (now, false);
            }
            let silence = now.saturating_duration_since(self.heard).as_millis() as u64;
            let overdue = |since: &Instant| now.saturating_duration_since(*since) > limits.write_deadline();
            if self.stuck_since.as_ref().is_some_and(overdue) {
                return Poll::Ready(Step::End(Some(CloseCode::SlowConsumer)));
            }
            if let Some(code) = self.outbox.closing() {
                // It is no member any more, and does not get for ever to take the rest.
                self.deaf = true;
                self.talk.hang_up();
                if overdue(self.closing_since.get_or_insert(now)) {
                    return Poll::Ready(Step::End(Some(code)));
                }
                continue;
            }
            let age = now.saturating_duration_since(self.since).as_millis() as u64;
            if !self.talk.said_hello() && age >= limits.hello_timeout_ms {
                self.outbox.close(CloseCode::HelloTimeout);
            } else if silence >= limits.idle_timeout_ms {
                self.outbox.close(CloseCode::IdleTimeout);
            } else if silence >= limits.ping_after_ms && !self.pinged {
                const PING: &[u8] = &[0x89, 0];
                self.pinged = true;
                self.outbox.push(Bytes::from_static(PING));
            }
        }
        Poll::Pending
    }

    fn count_writes(&mut self) {
        let wrote = std::mem::take(&mut self.writer.wrote);
        // The clock is read for those who are behind only.
        if !self.writer.blocked() {
            self.stuck_since = None;
        } else if wrote.calls > 0 || self.stuck_since.is_none() {
            self.stuck_since = Some(Instant::now());
        }
        let metrics = self.sessions.registry.metrics();
        count(&metrics.writes, wrote.calls);
        count(&metrics.bytes_out, wrote.bytes);
    }

    /// Counts the end; dropping the guard counts the connection out.
    fn end(self, code: Option<CloseCode>, _guard: Guard) {
        debug!(session = self.number, cause = code.map_or("client", CloseCode::as_str), "connection ended");
        self.sessions.registry.metrics().close(code);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.sessions.live.remove(&self.number);
        self.sessions.gone.notify_waiters();
    }
}
