//! One connection: two loops, one that reads and one that writes, as long as both go well.
//!
//! They run side by side in one task so that a slow peer never makes one wait for the other: while writing is blocked,
//! what arrives is still read, and while an application is slow to read, what it sends still goes out. Knows nothing of
//! other connections; what comes after this one is up to `life`.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use parlor_protocol::{ClientFrame, Codec};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use crate::inbox::Inbox;
use crate::lifecycle::{End, close};
use crate::link::{Phase, Shared, encode};
use crate::positions::Out;
use crate::silence::{Silence, watch};
use crate::socket::is_cut;
use crate::token::keep_fresh;

/// How long the goodbye may take: writing what is queued, and the peer's close frame.
pub(crate) const GOODBYE: Duration = Duration::from_secs(1);

/// The longest reason that fits into a close frame.
const MAX_REASON: usize = 123;

/// Serves a connection on which hello was answered, until it ends.
pub(crate) async fn serve<S>(socket: &mut WebSocketStream<S>, inbox: &mut Inbox, shared: &Shared) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    shared.silence.restart();
    let (mut sink, mut stream) = socket.split();
    tokio::select! {
        // Always in the same order, so that a simulation can be repeated. Reading comes last: what there is to write is bounded, what
        // there is to read is not, and one turn of the task may do only so much.
        biased;
        end = watch(shared) => end,
        end = overdue(shared) => end,
        end = write_loop(&mut sink, shared) => end,
        end = read_loop(&mut stream, inbox, &shared.silence) => end,
        never = keep_fresh(shared) => match never {},
    }
}

/// Reads until the connection ends. Stops, without reading on, while a room has more events than it may keep.
async fn read_loop(
    stream: &mut (impl Stream<Item = Result<Message, WsError>> + Unpin),
    inbox: &mut Inbox,
    silence: &Silence,
) -> End {
    loop {
        let frame = match next_frame(stream, inbox.codec()).await {
            Ok(frame) => frame,
            Err(end) => return end,
        };
        silence.broken();
        match inbox.handle(&frame) {
            Ok(None) => {}
            Ok(Some(full)) => silence.deaf_while(full.events.half_free()).await,
            Err(violation) => return End::protocol(&violation),
        }
    }
}

/// The next message that holds a frame, or how the connection ended.
pub(crate) async fn next_frame(
    stream: &mut (impl Stream<Item = Result<Message, WsError>> + Unpin),
    codec: Codec,
) -> Result<Bytes, End> {
    loop {
        match (stream.next().await, codec) {
            (Some(Ok(Message::Binary(bytes))), Codec::MsgPack) => return Ok(bytes),
            (Some(Ok(Message::Text(text))), Codec::Json) => return Ok(text.into()),
            (Some(Ok(Message::Binary(_) | Message::Text(_))), _) => {
                return Err(End::protocol(&"a message of the wrong kind for the sub-protocol"));
            }
            (Some(Ok(Message::Close(Some(frame)))), _) => {
                return Err(End::by_peer(frame.code.into(), frame.reason.as_str()));
            }
            (Some(Ok(Message::Close(None))) | None, _) => return Err(End::broken(&"the broker closed the connection")),
            // tungstenite answers pings by itself.
            (Some(Ok(_)), _) => {}
            (Some(Err(error)), _) => return Err(End::from(&error)),
        }
    }
}

/// Writes whatever is queued, with one flush for each wake-up, and the pings.
async fn write_loop(sink: &mut (impl Sink<Message, Error = WsError> + Unpin), shared: &Shared) -> End {
    match write_until_closing(sink, shared).await {
        Ok(end) => end,
        Err(error) => {
            // A broker that closes stops taking what we write; why it did so is still to be read.
            sleep(GOODBYE).await;
            End::from(&error)
        }
    }
}

async fn write_until_closing(
    sink: &mut (impl Sink<Message, Error = WsError> + Unpin),
    shared: &Shared,
) -> Result<End, WsError> {
    let mut pings = Pings::new(shared.options.ping_every);
    loop {
        // Asked before the queue is emptied: everything queued before the request to close is written.
        let closing = shared.has_reached(Phase::Closing);
        write_queued(sink, shared).await?;
        if closing {
            return Ok(End::by_us());
        }
        tokio::select! {
            biased;
            () = pings.next() => {
                shared.ask_ack();
                feed_ping(sink, shared).await?;
            }
            () = shared.wake.notified() => {
                if shared.silence.take_probe() {
                    feed_ping(sink, shared).await?;
                }
            }
        }
    }
}

async fn write_queued(
    sink: &mut (impl Sink<Message, Error = WsError> + Unpin),
    shared: &Shared,
) -> Result<(), WsError> {
    while let Some(out) = shared.next_out() {
        let message = match out {
            Out::Frame(message) => message,
            // It has no payload that could fail to be written.
            Out::Ack(received) => match encode(shared.options.codec, &ClientFrame::Ack { received }) {
                Ok(ack) => ack,
                Err(_) => continue,
            },
        };
        sink.feed(message).await?;
    }
    sink.flush().await
}

/// Pings do not go through the queue: while it is stuck they would pile up, and measure only the queue.
async fn feed_ping(sink: &mut (impl Sink<Message, Error = WsError> + Unpin), shared: &Shared) -> Result<(), WsError> {
    let time = shared.now();
    shared.clock.lock().ping(time);
    match encode(shared.options.codec, &ClientFrame::Ping { time }) {
        Ok(ping) => sink.feed(ping).await,
        Err(_) => Ok(()),
    }
}

/// Ends the connection although the queue could not be written in time after a request to close.
async fn overdue(shared: &Shared) -> End {
    shared.reached(Phase::Closing).await;
    sleep(GOODBYE).await;
    End::by_us()
}

/// Says why the connection ends, where that is for us to say, and waits for the peer to have read everything.
pub(crate) async fn goodbye<S>(mut socket: WebSocketStream<S>, end: &End)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if matches!(end.code, close::NORMAL | close::PROTOCOL) {
        // Every one of our own reasons is short; one that quotes the broker may not be.
        let reason = if end.reason.len() <= MAX_REASON { end.reason.as_str() } else { "protocol" };
        let frame = CloseFrame { code: end.code.into(), reason: reason.into() };
        // Fails when the peer closed first, with one of these codes: its close is answered already.
        let _ = socket.send(Message::Close(Some(frame))).await;
    } else {
        let _ = socket.flush().await;
    }
    while let Some(Ok(_)) = socket.next().await {}
}

/// The ticks of the ping period; none when it is zero.
struct Pings(Option<Interval>);

impl Pings {
    fn new(every: Duration) -> Self {
        let ticks = (!every.is_zero()).then(|| interval(every));
        Self(ticks.map(|mut ticks| {
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        }))
    }

    async fn next(&mut self) {
        match &mut self.0 {
            Some(ticks) => {
                ticks.tick().await;
            }
            None => std::future::pending().await,
        }
    }
}

impl From<&WsError> for End {
    fn from(error: &WsError) -> Self {
        match error {
            error if is_cut(error) => Self::broken(error),
            WsError::Protocol(_) | WsError::Capacity(_) | WsError::Utf8(_) => Self::protocol(error),
            _ => Self::broken(error),
        }
    }
}
