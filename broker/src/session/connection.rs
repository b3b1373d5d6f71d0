//! One socket of a session: reading from it, and what it is owed in time.

use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use parlor_protocol::{CloseCode, Codec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error as WsError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode as WsCloseCode;

use super::rate::{Bucket, Rate};
use super::reader::Reader;
use super::socket::Berth;
use super::writer::Writer;
use super::{Guard, Turn};
use crate::config::Limits;
use crate::outbox::{Outbox, Pen};

/// How long a connection that we close may take to notice, and what it may still send meanwhile.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 1 << 20;

/// A socket and all that ends with it.
pub(crate) struct Connection {
    berth: Berth,
    reader: Reader,
    /// Nothing more is read: the end has been decided.
    pub(crate) deaf: bool,
    pub(crate) writer: Writer,
    pub(crate) since: Instant,
    heard: Instant,
    /// Something was read since the clock was last looked at.
    read: bool,
    pinged: bool,
    /// Since when the socket has taken nothing of what is owed.
    stuck_since: Option<Instant>,
    /// Since when the end has been waiting for the rest to be taken.
    closing_since: Option<Instant>,
    /// The message that has begun and not ended, and since when.
    unfinished: Option<(u64, Instant)>,
    controls: Bucket,
    looked: Instant,
    /// Until the client's first message has been answered.
    turn: Turn,
    _guard: Guard,
}

/// What was read.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A message; the codec is what its WebSocket type stands for.
    Frame(Bytes, Codec),
    /// Something that is no concern of the session's.
    Nothing,
    /// A message too large to be read.
    TooLarge(usize),
    /// What is no WebSocket any more.
    Nonsense(String),
    /// The client says goodbye, for good or not.
    Goodbye { for_good: bool },
    /// The socket has ended.
    Lost,
}

/// What the clock says of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    /// The client is to be asked whether it is there.
    Ping,
    /// The end, after what is owed.
    Close(CloseCode),
    /// The end, now.
    End(CloseCode),
}

impl Connection {
    /// `early` is what has been read of the stream already.
    pub(crate) fn new(berth: Berth, early: &[u8], limits: &Limits, guard: Guard) -> Self {
        let now = Instant::now();
        Self {
            berth,
            reader: Reader::new(early, limits),
            deaf: false,
            writer: Writer::default(),
            since: now,
            heard: now,
            read: false,
            pinged: false,
            stuck_since: None,
            closing_since: None,
            unfinished: None,
            controls: Bucket::new(limits.control_frames_per_s),
            looked: now,
            turn: None,
            _guard: guard,
        }
    }

    /// The same for a client that others wait for to be let in.
    pub(crate) fn with_turn(self, turn: Turn) -> Self {
        Self { turn, ..self }
    }

    /// Makes way for others.
    pub(crate) fn end_turn(&mut self) {
        self.turn = None;
    }

    /// Where the socket is.
    pub(crate) fn berth(&mut self) -> &mut Berth {
        &mut self.berth
    }

    /// Takes the socket from its runtime's hands into this one's, and lets what is added to the outbox on this thread be written at once.
    ///
    /// # Errors
    /// When the runtime does not take it.
    pub(crate) fn arrive(&mut self, outbox: &Outbox) -> io::Result<()> {
        self.berth.arrive()?;
        if let Some(half) = self.berth.socket()?.lend() {
            outbox.lend_pen(Pen::new(half));
        }
        Ok(())
    }

    /// The end of that: only this connection itself writes to its socket from now on.
    pub(crate) fn withdraw(&mut self, outbox: &Outbox) {
        if let Ok(socket) = self.berth.socket() {
            self.writer.take_pen(socket, outbox);
        }
    }

    /// Takes a turn at writing what is owed.
    pub(crate) fn poll_owed(&mut self, cx: &mut Context<'_>, outbox: &Outbox) -> Poll<io::Result<Option<CloseCode>>> {
        self.writer.poll(cx, self.berth.socket()?, &mut self.reader, outbox)
    }

    /// Whether the client makes us answer pings that it does not read: then it is not read either.
    pub(crate) fn choked(&self) -> bool {
        self.writer.blocked() && self.reader.has_control()
    }

    /// The next thing that was said. `Pending` when the socket has no more.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Heard> {
        let Ok(socket) = self.berth.socket() else { return Poll::Ready(Heard::Lost) };
        let read = ready!(self.reader.poll_next(cx, socket));
        self.read = true;
        Poll::Ready(self.hear(read))
    }

    fn hear(&mut self, read: Result<Message, WsError>) -> Heard {
        match read {
            Ok(Message::Binary(frame)) => Heard::Frame(frame, Codec::MsgPack),
            Ok(Message::Text(text)) => Heard::Frame(Bytes::from(text), Codec::Json),
            Ok(Message::Close(frame)) => {
                self.reader.acknowledge_goodbye();
                self.writer.take_leave();
                // A page that is left or loaded again says 1001 (RFC 6455, section 7.4.1).
                Heard::Goodbye { for_good: frame.is_some_and(|frame| frame.code == WsCloseCode::Normal) }
            }
            Ok(_) => Heard::Nothing,
            Err(WsError::Capacity(CapacityError::MessageTooLong { size, .. })) => Heard::TooLarge(size),
            // The socket ended without a goodbye: a client that is gone, not one that breaks the protocol.
            Err(WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => Heard::Lost,
            Err(error @ WsError::Utf8(_)) => self.nonsense(&error, WsCloseCode::Invalid),
            Err(error @ WsError::Protocol(_)) => self.nonsense(&error, WsCloseCode::Protocol),
            Err(_) => Heard::Lost,
        }
    }

    fn nonsense(&mut self, error: &WsError, fault: WsCloseCode) -> Heard {
        self.writer.blame(fault);
        Heard::Nonsense(error.to_string())
    }

    /// Too many fragments in one message.
    pub(crate) fn in_shreds(&self, limits: &Limits) -> bool {
        self.reader.meter.most_fragments() > limits.max_fragments
    }

    /// Silence, deadlines and floods of control frames, once a second.
    pub(crate) fn look_at_clock(&mut self, now: Instant, limits: &Limits, closing: Option<CloseCode>) -> Due {
        if std::mem::take(&mut self.read) {
            (self.heard, self.pinged) = (now, false);
        }
        let overdue = |since: &Instant| now.saturating_duration_since(*since) > limits.write_deadline();
        if self.stuck_since.as_ref().is_some_and(overdue) {
            return Due::End(CloseCode::SlowConsumer);
        }
        if let Some(code) = closing {
            self.deaf = true;
            // It does not get for ever to take the rest.
            return if overdue(self.closing_since.get_or_insert(now)) { Due::End(code) } else { Due::Close(code) };
        }
        self.controls.refill(now.saturating_duration_since(std::mem::replace(&mut self.looked, now)));
        if self.controls.take(self.reader.meter.take_controls() as usize) != Rate::Within {
            return Due::Close(CloseCode::RateLimited);
        }
        if self.is_unfinished_for(Duration::from_millis(limits.frame_timeout_ms), now) {
            return Due::Close(CloseCode::FrameTimeout);
        }
        let silence = now.saturating_duration_since(self.heard).as_millis() as u64;
        if silence >= limits.idle_timeout_ms {
            Due::Close(CloseCode::IdleTimeout)
        } else if silence >= limits.ping_after_ms && !std::mem::replace(&mut self.pinged, true) {
            Due::Ping
        } else {
            Due::Nothing
        }
    }

    fn is_unfinished_for(&mut self, limit: Duration, now: Instant) -> bool {
        let message = self.reader.meter.unfinished();
        self.unfinished = match (message, self.unfinished) {
            (Some(number), Some((before, since))) if number == before => Some((before, since)),
            (Some(number), _) => Some((number, now)),
            (None, _) => None,
        };
        self.unfinished.is_some_and(|(_, since)| now.saturating_duration_since(since) >= limit)
    }

    /// Remembers since when the client takes nothing of what it is owed.
    pub(crate) fn note_progress(&mut self, calls: u64) {
        // The clock is read for those who are behind only.
        if !self.writer.blocked() {
            self.stuck_since = None;
        } else if calls > 0 || self.stuck_since.is_none() {
            self.stuck_since = Some(Instant::now());
        }
    }

    /// Says goodbye to a client whose session goes on without this connection, and waits a moment for it to hear that.
    pub(crate) async fn part(mut self, code: CloseCode) {
        let Ok(socket) = self.berth.socket() else { return };
        let told = self.writer.farewell(socket, &mut self.reader, code);
        if let Ok(Ok(())) = tokio::time::timeout(LINGER, told).await {
            self.linger().await;
        }
    }

    /// Waits a moment for the client to take the goodbye: closing a socket with unread bytes in it would reset the connection, and
    /// what was just written could be lost.
    pub(crate) async fn linger(mut self) {
        let Ok(socket) = self.berth.socket() else { return };
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
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("since", &self.since).finish_non_exhaustive()
    }
}
