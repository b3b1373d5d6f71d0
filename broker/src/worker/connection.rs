//! The connection of one worker: what rooms say goes out with one write a turn, and what it answers is laid down at their desks.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, Stream};
use parlor_protocol::Failure;
use parlor_protocol::msgpack;
use parlor_protocol::worker::{FromWorker, ToWorker, WorkerFrameError, WorkerRoom};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::desk::Breach;
use super::roster::Worker;
use crate::config::Workers;
use crate::shard;

/// Messages that one turn reads, so that the other tasks of the thread have theirs.
const READ: usize = 64;
/// Looks at the time limits in the shortest of them.
const LOOKS: u32 = 8;

/// Why a worker's connection is over.
#[derive(Debug)]
pub(super) enum End {
    /// It has said goodbye, or was let go.
    Closed,
    /// The socket broke, which is how the end of its process shows.
    Broken(WsError),
    /// Nothing was heard of it for too long.
    Silent,
    /// It took too long over what it was given, or has forgotten some of it.
    Hanging,
    /// It said what it may not say.
    Breach(String),
}

impl End {
    /// For counting.
    pub(super) fn cause(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Broken(_) => "broken",
            Self::Silent => "silent",
            Self::Hanging => "hanging",
            Self::Breach(_) => "breach",
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("it has left"),
            Self::Broken(error) => write!(f, "its connection broke: {error}"),
            Self::Silent => f.write_str("nothing was heard of it any more"),
            Self::Hanging => f.write_str("an answer of its is missing: it hangs, or has forgotten a room"),
            Self::Breach(what) => write!(f, "it broke the protocol: {what}"),
        }
    }
}

impl From<WorkerFrameError> for End {
    fn from(error: WorkerFrameError) -> Self {
        Self::Breach(error.to_string())
    }
}

impl From<Breach> for End {
    fn from(breach: Breach) -> Self {
        Self::Breach(breach.to_string())
    }
}

/// Speaks with a worker that was let in, until that ends.
pub(super) async fn run<S>(mut socket: WebSocketStream<S>, worker: &Worker, terms: &Workers) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let now = Instant::now();
    let shortest = Duration::from_millis(terms.beat_ms.min(terms.time_limit_ms).min(terms.lost_after_ms));
    let mut looks = interval((shortest / LOOKS).max(Duration::from_millis(1)));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let frames = VecDeque::new();
    let mut talk =
        Talk { worker, terms, looks, frames, heard: now, said: now, owed_since: None, asked: now, ending: false };
    poll_fn(|cx| talk.poll(&mut socket, cx)).await
}

struct Talk<'a> {
    worker: &'a Worker,
    terms: &'a Workers,
    looks: Interval,
    /// Taken from the line, and not yet from here.
    frames: VecDeque<Bytes>,
    heard: Instant,
    said: Instant,
    /// Since when it has owed an answer and said nothing.
    owed_since: Option<Instant>,
    /// When its rooms were last asked whether one of them is forgotten.
    asked: Instant,
    /// Whether it has been told that it may end.
    ending: bool,
}

impl Talk<'_> {
    fn poll<S>(&mut self, socket: &mut WebSocketStream<S>, cx: &mut Context<'_>) -> Poll<End>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let now = Instant::now();
        if let Err(end) = self.read(socket, cx, now) {
            return Poll::Ready(end);
        }
        while self.looks.poll_tick(cx).is_ready() {
            if let Err(end) = self.look(now) {
                return Poll::Ready(end);
            }
        }
        if self.worker.is_draining() && self.worker.rooms() == 0 && !self.ending {
            self.ending = true;
            self.worker.line.push(ToWorker::End.encode());
        }
        match self.write(socket, cx, now) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(End::Broken(error)),
        }
    }

    fn read<S>(&mut self, socket: &mut WebSocketStream<S>, cx: &mut Context<'_>, now: Instant) -> Result<(), End>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        for _ in 0..READ {
            let message = match Pin::new(&mut *socket).poll_next(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(None) => return Err(End::Closed),
                Poll::Ready(Some(Err(error))) => return Err(End::Broken(error)),
                Poll::Ready(Some(Ok(message))) => message,
            };
            self.heard = now;
            match message {
                Message::Binary(frame) => self.take(&frame, now)?,
                Message::Ping(_) | Message::Pong(_) => {}
                Message::Close(_) => return Err(End::Closed),
                Message::Text(_) | Message::Frame(_) => return Err(End::Breach("a frame is a binary message".into())),
            }
        }
        shard::again(cx);
        Ok(())
    }

    /// Deals with one frame.
    fn take(&mut self, frame: &Bytes, now: Instant) -> Result<(), End> {
        let worker = self.worker;
        let frame = match FromWorker::decode(frame, self.terms.max_frame_bytes) {
            Ok(frame) => frame,
            Err(WorkerFrameError::UnknownOp(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        // A beat shows that it lives, and not that it gets on.
        if frame != FromWorker::Beat {
            self.owed_since = worker.owes().then_some(now);
        }
        let desk = |room: WorkerRoom, epoch| worker.desk(room, epoch);
        let settled = match frame {
            FromWorker::Outcomes { room, epoch, first, outcomes } => {
                desk(room, epoch).map(|desk| desk.answered(first, outcomes))
            }
            FromWorker::Opened { room, epoch, result } => desk(room, epoch).map(|desk| desk.opened(result)),
            FromWorker::Snapshot { room, epoch, seq, state } => desk(room, epoch).map(|desk| desk.saved(seq, state)),
            FromWorker::WorkDone { room, epoch, id, result } => {
                let result = checked(result)?;
                if let Some(desk) = desk(room, epoch) {
                    desk.work_done(id, result);
                }
                None
            }
            FromWorker::Drain => {
                worker.drain();
                None
            }
            FromWorker::Beat => None,
            FromWorker::Hello(_) => return Err(End::Breach("hello was said already".into())),
        };
        if let Some(answers) = settled {
            worker.settle(answers?);
        }
        Ok(())
    }

    /// Whether it is still to be waited for, and a beat if it is time for one.
    fn look(&mut self, now: Instant) -> Result<(), End> {
        let since = |then: Instant| now.saturating_duration_since(then);
        let of = Duration::from_millis;
        if !self.worker.owes() {
            self.owed_since = None;
        } else if since(*self.owed_since.get_or_insert(now)) > of(self.terms.time_limit_ms) {
            return Err(End::Hanging);
        }
        // Seldom, because there may be thousands of rooms.
        let limit = of(self.terms.time_limit_ms);
        if since(self.asked) > limit {
            self.asked = now;
            if self.worker.forgets(now, limit) {
                return Err(End::Hanging);
            }
        }
        // A thread that handles inputs says nothing meanwhile, for as long as it may.
        if self.owed_since.is_none() && since(self.heard) > of(self.terms.lost_after_ms) {
            return Err(End::Silent);
        }
        // Behind what cannot be written a beat says nothing.
        if since(self.said) * 2 > of(self.terms.beat_ms) && self.frames.is_empty() {
            self.worker.line.push(ToWorker::Beat.encode());
        }
        Ok(())
    }

    fn write<S>(&mut self, socket: &mut WebSocketStream<S>, cx: &mut Context<'_>, now: Instant) -> Result<(), WsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut socket = Pin::new(socket);
        // What a socket does not take stays where it is.
        while !self.frames.is_empty() || self.worker.line.poll_take(cx, &mut self.frames).is_ready() {
            if socket.as_mut().poll_ready(cx)?.is_pending() {
                return Ok(());
            }
            if let Some(frame) = self.frames.pop_front() {
                socket.as_mut().start_send(Message::Binary(frame))?;
                self.said = now;
            }
        }
        let _ = socket.poll_flush(cx)?;
        Ok(())
    }
}

/// What work brings is a payload: it goes to the room's handler, wherever that is then.
fn checked(result: Result<Bytes, Failure>) -> Result<Result<Bytes, Failure>, End> {
    if let Ok(payload) = &result {
        msgpack::check(payload).map_err(|error| End::Breach(format!("the result of work: {error}")))?;
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::worker::desk::Desk;
    use futures_util::{SinkExt, StreamExt};
    use parlor_protocol::Seq;
    use parlor_protocol::room::{Fault, Outcome};
    use parlor_protocol::worker::Hello;
    use tokio_tungstenite::tungstenite::protocol::Role;

    const LIMIT: Duration = Duration::from_millis(200);

    /// How it ends with a worker that has two rooms and answers all inputs of the second, and of the first if it does not forget it.
    async fn end(forgets: bool) -> Option<End> {
        let text = || "x".to_owned();
        let hello = Hello { token: text(), name: text(), version: text(), sdk: text(), capacity: 2, kinds: Vec::new() };
        let worker = Arc::new(Worker::new(1, &hello));
        let terms = Workers { time_limit_ms: 200, ..Workers::default() };
        let desks = [(); 2].map(|()| Arc::new(Desk::new(1, Seq(0), worker.ask())));
        let rooms = [0, 1].map(|room| {
            let room_no = worker.enlist(desks[room].clone());
            worker.settle(desks[room].opened(Ok(())).unwrap());
            room_no
        });
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let ours = WebSocketStream::from_raw_socket(ours, Role::Server, None).await;
        let mut theirs = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
        let answering = async {
            assert!(desks[0].give(Seq(1), worker.ask()));
            for seq in 1.. {
                assert!(desks[1].give(Seq(seq), worker.ask()));
                tokio::time::sleep(LIMIT / 4).await;
                let answered = if forgets || seq > 1 { &rooms[1..] } else { &rooms[..] };
                for room in answered {
                    let outcomes = vec![Outcome::failed(Fault::Refused(parlor_protocol::ErrorCode::Internal.into()))];
                    let frame = FromWorker::Outcomes { room: *room, epoch: 1, first: Seq(seq), outcomes };
                    theirs.send(Message::Binary(frame.encode().into())).await.unwrap();
                }
            }
            while theirs.next().await.is_some() {}
        };
        tokio::select! {
            end = run(ours, &worker, &terms) => Some(end),
            () = answering => None,
            () = tokio::time::sleep(10 * LIMIT) => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_forgets_a_room_while_it_answers_others_is_ended() {
        assert!(matches!(end(true).await, Some(End::Hanging)));
        assert!(end(false).await.is_none());
    }
}
