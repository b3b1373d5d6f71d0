//! A connection that the broker has welcomed: in turns, it reads what is there, has it handled, and writes what came of it.
//!
//! Reading does not wait for writing: a broker that writes to a full socket must find somebody who reads, or neither would ever go on.
//! What waits to be written stays within bounds all the same, since the broker gives each room one batch at a time.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use parlor_protocol::worker::{FromWorker, ToWorker, Welcome};
use tokio::time::{Interval, MissedTickBehavior};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::hook::Point;
use super::opening::{Lost, Socket, closed, read};
use super::rooms::{Rooms, Said};
use super::work::{Piece, Works, done};

/// How long a turn handles before it writes.
const TURN: Duration = Duration::from_millis(20);

/// How long the broker may take to close.
const FAREWELL: Duration = Duration::from_secs(1);

/// A connection with its rooms.
pub(super) struct Connection<'a> {
    number: u64,
    socket: Socket,
    rooms: Rooms,
    works: &'a mut Works,
    /// How long work may take to finish at the end.
    limit: Duration,
    lost_after: Duration,
    beat: Interval,
    /// When something was last written.
    said: Instant,
    /// When the broker was last known not to be silent.
    heard: Instant,
    /// The socket takes nothing at present.
    is_full: bool,
    /// Since when there is nothing left but work to finish.
    ending: Option<Instant>,
}

impl<'a> Connection<'a> {
    pub(super) fn new(
        number: u64,
        socket: Socket,
        welcome: &Welcome,
        rooms: Rooms,
        works: &'a mut Works,
        limit: Duration,
    ) -> Self {
        // Looked at twice as often as there has to be one, so that none is late.
        let mut beat = tokio::time::interval(Duration::from_millis(welcome.beat_ms.div_ceil(2).max(1)));
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (lost_after, now) = (Duration::from_millis(welcome.lost_after_ms), Instant::now());
        let (said, heard) = (now, now);
        Self { number, socket, rooms, works, limit, lost_after, beat, said, heard, is_full: false, ending: None }
    }

    /// Asks the broker to take the rooms back.
    pub(super) fn drain(&mut self) {
        self.rooms.say(FromWorker::Drain);
    }

    /// Takes turns until the broker has said that this is the end, and work is done.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        self.take_results(cx);
        self.take_frames(cx)?;
        self.watch(cx)?;
        self.write(cx)?;
        match self.ending {
            // Work that does not finish is noticed with a beat.
            Some(since) if self.works.at_rest() && !self.is_full || since.elapsed() >= self.limit => {
                Poll::Ready(Ok(()))
            }
            _ => Poll::Pending,
        }
    }

    /// Says goodbye.
    pub(super) async fn close(mut self) {
        let goodbye = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        let closing = async {
            if self.socket.close(Some(goodbye)).await.is_ok() {
                while let Some(Ok(_)) = self.socket.next().await {}
            }
        };
        // The process is to end, whatever the broker does.
        let _ = tokio::time::timeout(FAREWELL, closing).await;
    }

    fn take_results(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(ended) = self.works.poll_ended(cx) {
            // Rooms of an earlier connection are none of this one's.
            if ended.piece.connection == self.number {
                let done = done(ended, self.rooms.max_frame());
                self.rooms.say(done);
            }
        }
    }

    /// Handles what has come, for the length of a turn.
    fn take_frames(&mut self, cx: &mut Context<'_>) -> Result<(), Lost> {
        let began = Instant::now();
        let mut idle = true;
        loop {
            if self.rooms.is_busy() {
                self.rooms.step()?;
            } else {
                match self.socket.poll_next_unpin(cx) {
                    Poll::Ready(Some(message)) => self.take(message?)?,
                    Poll::Ready(None) => return Err(closed()),
                    Poll::Pending => break,
                }
            }
            idle = false;
            if began.elapsed() >= TURN {
                cx.waker().wake_by_ref();
                break;
            }
        }
        // Silence is what was listened to: while a handler runs, the broker may say what it likes.
        if !idle {
            self.heard = Instant::now();
        }
        Ok(())
    }

    fn take(&mut self, message: Message) -> Result<(), Lost> {
        let Some(frame) = read(message, self.rooms.max_frame())? else { return Ok(()) };
        match frame {
            ToWorker::Inputs { room, epoch, inputs } => self.rooms.take(room, epoch, inputs),
            ToWorker::Skip { room, epoch, input } => self.rooms.skip(room, epoch, &input)?,
            ToWorker::Open { room, epoch, kind, snapshot, .. } => self.rooms.open(room, epoch, &kind, snapshot),
            ToWorker::Snap { room, epoch, meant_for } => self.rooms.snap(room, epoch, meant_for.as_deref()),
            ToWorker::Close { room, epoch } => self.rooms.close(room, epoch),
            ToWorker::Run { room, epoch, id, key, name, arguments } => {
                if let Some(work) = self.rooms.work(room, epoch, id, &name) {
                    self.works.start(Piece { connection: self.number, room, epoch, id }, &key, &work, arguments);
                }
            }
            ToWorker::Beat => {}
            ToWorker::End => self.ending = Some(Instant::now()),
            ToWorker::Welcome(_) | ToWorker::Refused { .. } => {
                return Err(Lost::malformed("hello was answered already"));
            }
        }
        Ok(())
    }

    /// Looks from time to time whether either side has been silent for too long. Comes behind reading, so that what was there has been
    /// heard.
    fn watch(&mut self, cx: &mut Context<'_>) -> Result<(), Lost> {
        while self.beat.poll_tick(cx).is_ready() {
            if self.heard.elapsed() >= self.lost_after {
                return Err(Lost::Gone(format!("nothing was heard of the broker for {:?}", self.lost_after)));
            }
            // Behind what cannot be written no beat could be heard.
            if self.said.elapsed() >= self.beat.period() && !self.is_full {
                self.rooms.say(FromWorker::Beat);
            }
        }
        Ok(())
    }

    /// Writes all that there is, with one flush.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<(), Lost> {
        for said in self.rooms.take_said() {
            self.said = Instant::now();
            let (frame, halves) = match said {
                Said::Outcomes(frame) => (frame, self.rooms.hook().listens()),
                Said::Other(frame) => (frame.encode(), false),
            };
            if halves {
                self.write_half(cx, frame)?;
            } else {
                // The buffer takes whatever it is given; only the flush has to wait for the socket.
                self.socket.start_send_unpin(Message::Binary(frame.into()))?;
            }
        }
        match self.socket.poll_flush_unpin(cx) {
            Poll::Ready(flushed) => {
                flushed?;
                self.is_full = false;
            }
            Poll::Pending => self.is_full = true,
        }
        Ok(())
    }

    /// For tests: writes the first half of a frame, calls the hook, and goes on.
    fn write_half(&mut self, cx: &mut Context<'_>, frame: Vec<u8>) -> Result<(), Lost> {
        let half = frame.len().div_ceil(2);
        let free = self.socket.poll_flush_unpin(cx)?.is_ready();
        self.socket.start_send_unpin(Message::Binary(frame.into()))?;
        if free {
            self.socket.get_mut().allow(Some(half));
            let flushed = self.socket.poll_flush_unpin(cx)?;
            self.socket.get_mut().allow(None);
            if flushed.is_pending() {
                self.rooms.hook().at(Point::HalfSent);
            }
        }
        Ok(())
    }
}
