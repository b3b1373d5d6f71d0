//! A connection with an echo where a session has its conversation, for conformance suites: what reads, what waits and what writes is the
//! same as for every session, and so is what becomes of nonsense.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use parlor_protocol::{CloseCode, Codec};
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::Socket;
use super::connection::{Connection, Due, Heard};
use super::socket::{Berth, Parked};
use crate::config::Limits;
use crate::outbox::{Frame, Outbox};
use crate::shard;
use crate::wire;

/// As many messages at a time as a session reads.
const READS: usize = 64;
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// Gives each message back as it came, over a socket whose handshake is done; `early` is what was read behind that. The result is why
/// the connection was closed, none if the client or the network ended it.
///
/// # Errors
/// When the socket cannot be used in this runtime.
#[doc(hidden)]
pub async fn echo(socket: Socket, early: Bytes, limits: &Limits) -> io::Result<Option<CloseCode>> {
    let mut connection = Connection::new(Berth::new(Parked::park(socket)?), &early, limits, Box::new(()));
    connection.berth().arrive()?;
    let mut clock = tokio::time::interval(HOUSEKEEPING);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut echo = Echo { connection, outbox: Outbox::new(Codec::MsgPack, limits), limits };
    let closed = poll_fn(|cx| echo.poll(cx, &mut clock)).await;
    if closed.is_some() && !echo.connection.writer.blocked() {
        echo.connection.linger().await;
    }
    Ok(closed)
}

struct Echo<'l> {
    connection: Connection,
    outbox: Outbox,
    limits: &'l Limits,
}

impl Echo<'_> {
    /// One wake-up, in the order of a session's.
    fn poll(&mut self, cx: &mut Context<'_>, clock: &mut Interval) -> Poll<Option<CloseCode>> {
        while clock.poll_tick(cx).is_ready() {
            if let Poll::Ready(code) = self.look_at_clock() {
                return Poll::Ready(Some(code));
            }
        }
        loop {
            let choked = self.connection.choked();
            if !choked && self.poll_read(cx).is_ready() {
                let _ = self.connection.poll_owed(cx, &self.outbox);
                return Poll::Ready(None);
            }
            let owed = self.connection.poll_owed(cx, &self.outbox);
            let wrote = std::mem::take(&mut self.connection.writer.wrote);
            self.connection.note_progress(wrote.calls);
            if !choked || self.connection.choked() || owed.is_ready() {
                return owed.map(Result::unwrap_or_default);
            }
        }
    }

    /// Ready when the client is gone.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..READS {
            if self.connection.deaf {
                return Poll::Pending;
            }
            let Poll::Ready(heard) = self.connection.poll_next(cx) else { return Poll::Pending };
            match heard {
                Heard::Frame(message, codec) => {
                    self.outbox.push(Frame::kept(wire::message(codec, &message)));
                }
                Heard::Nothing => {}
                Heard::TooLarge(_) => self.close(CloseCode::FrameTooLarge),
                Heard::Nonsense(_) => self.close(CloseCode::BadFrames),
                Heard::Goodbye { .. } | Heard::Lost => return Poll::Ready(()),
            }
            if !self.connection.deaf && self.connection.in_shreds(self.limits) {
                self.close(CloseCode::BadFrames);
            }
        }
        shard::again(cx);
        Poll::Pending
    }

    fn look_at_clock(&mut self) -> Poll<CloseCode> {
        const PING: &[u8] = &[0x89, 0];
        match self.connection.look_at_clock(Instant::now(), self.limits, self.outbox.closing()) {
            Due::End(code) => return Poll::Ready(code),
            Due::Close(code) => self.outbox.close(code),
            Due::Ping => {
                self.outbox.push(Frame::passing(Bytes::from_static(PING)));
            }
            Due::Nothing => {}
        }
        Poll::Pending
    }

    fn close(&mut self, code: CloseCode) {
        self.connection.deaf = true;
        self.outbox.close(code);
    }
}
