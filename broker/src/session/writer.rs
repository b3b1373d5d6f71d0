//! The only place that writes to a client's socket: everything that is owed, in one vectored write per wake-up.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use parlor_protocol::CloseCode;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode as WsCloseCode;

use super::reader::Reader;
use super::socket::Socket;
use crate::outbox::{Outbox, Taken};

/// Frames that one call may take; the kernel takes at most 1024 pieces.
const PIECES: usize = 64;

/// Frames on their way into the socket.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    frames: VecDeque<Bytes>,
    /// Whether the frame at the front is partly out.
    begun: bool,
    closing: Option<CloseCode>,
    /// What RFC 6455 says of a client that broke it, and that no code of ours says as well.
    fault: Option<WsCloseCode>,
    /// Whether the frame at the front is control frames; more of them wait until it is out, so that they cannot pile up here.
    control: bool,
    /// The client has said goodbye: the answer comes last.
    leaving: bool,
    /// Whether the stream itself may hold some of what it has taken, as TLS does.
    unflushed: bool,
    /// What has been done since it was last asked.
    pub(crate) wrote: Wrote,
}

/// Calls and bytes, for metrics and for the write deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wrote {
    pub(crate) calls: u64,
    pub(crate) bytes: u64,
}

impl Writer {
    /// Writes until nothing is owed or the socket takes no more. `Ready` means that everything is out that will ever be.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut Socket,
        reader: &mut Reader,
        outbox: &Outbox,
    ) -> Poll<io::Result<Option<CloseCode>>> {
        loop {
            // Between frames only: control frames must not cut into one.
            if !self.begun
                && !self.control
                && !self.leaving
                && self.closing.is_none()
                && let Some(control) = reader.take_control()
            {
                // The outbox did not count these bytes, and takes back all that is written.
                outbox.lend(control.len());
                self.frames.push_front(control);
                self.control = true;
            }
            if self.frames.len() < PIECES && self.closing.is_none() {
                let room = PIECES - self.frames.len();
                if let Poll::Ready(Taken::Close(code)) = outbox.poll_take(cx, &mut self.frames, room) {
                    self.closing = Some(code);
                    let last = self.last_frame(code);
                    outbox.lend(last.len());
                    self.frames.push_back(last);
                }
            }
            if self.frames.is_empty()
                && self.leaving
                && self.closing.is_none()
                && let Some(answer) = reader.take_control()
            {
                outbox.lend(answer.len());
                self.frames.push_back(answer);
            }
            if self.frames.is_empty() {
                if self.unflushed && self.poll_flush(cx, socket)?.is_pending() {
                    return Poll::Pending;
                }
                return self.closing.map_or(Poll::Pending, |code| Poll::Ready(Ok(Some(code))));
            }
            match self.poll_write(cx, socket)? {
                Poll::Ready(count) => outbox.written(count),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Whether something waits for the socket to take it.
    pub(crate) fn blocked(&self) -> bool {
        self.unflushed || !self.frames.is_empty()
    }

    /// The client has said goodbye. After the answer nothing may be sent any more (RFC 6455, section 5.5.1), so what is owed goes first.
    pub(crate) fn take_leave(&mut self) {
        self.leaving = true;
    }

    /// If the connection ends for bad frames, it was WebSocket itself that the client broke, in this way.
    pub(crate) fn blame(&mut self, fault: WsCloseCode) {
        self.fault = Some(fault);
    }

    fn last_frame(&self, code: CloseCode) -> Bytes {
        let fault = self.fault.filter(|_| code == CloseCode::BadFrames);
        close_frame(fault.map_or(code.number(), u16::from), code.as_str())
    }

    /// Has the stream pass on what it holds. What the network takes of that counts as a write: it moves the deadline.
    fn poll_flush(&mut self, cx: &mut Context<'_>, socket: &mut Socket) -> io::Result<Poll<()>> {
        let flushed = Pin::new(&mut *socket).poll_flush(cx)?;
        self.wrote.calls += u64::from(socket.take_progress());
        self.unflushed = flushed.is_pending();
        Ok(flushed)
    }

    /// The last words to a client whose session goes on elsewhere: the rest of the frame that has begun, and a close frame.
    pub(crate) async fn farewell(
        &mut self,
        socket: &mut Socket,
        reader: &mut Reader,
        code: CloseCode,
    ) -> io::Result<()> {
        let begun = self.frames.pop_front().filter(|_| self.begun);
        let pieces = [begun, reader.take_control(), Some(self.last_frame(code))];
        for piece in pieces.into_iter().flatten() {
            socket.write_all(&piece).await?;
        }
        socket.flush().await
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, socket: &mut Socket) -> io::Result<Poll<usize>> {
        let buffers = socket.buffers();
        let stream = Pin::new(&mut *socket);
        let written = if self.frames.len() == 1 {
            stream.poll_write(cx, &self.frames[0])
        } else {
            let mut pieces = [IoSlice::new(&[]); PIECES];
            let mut count = 0;
            for (piece, frame) in pieces.iter_mut().zip(&self.frames) {
                *piece = IoSlice::new(frame);
                count += 1;
            }
            stream.poll_write_vectored(cx, &pieces[..count])
        };
        // Of what it held before, the stream may have got rid of something even now.
        let progress = buffers && socket.take_progress();
        let Poll::Ready(result) = written else {
            self.wrote.calls += u64::from(progress);
            return Ok(Poll::Pending);
        };
        let count = result?;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.unflushed |= buffers;
        self.wrote.calls += 1;
        self.wrote.bytes += count as u64;
        self.advance(count);
        Ok(Poll::Ready(count))
    }

    fn advance(&mut self, mut count: usize) {
        self.begun = false;
        while let Some(front) = self.frames.front_mut() {
            if count < front.len() {
                front.advance(count);
                self.begun = count > 0;
                return;
            }
            count -= front.len();
            self.frames.pop_front();
            self.control = false;
        }
    }
}

/// A WebSocket close frame (RFC 6455, section 5.5.1): code and reason.
fn close_frame(number: u16, reason: &str) -> Bytes {
    const FIN_CLOSE: u8 = 0x88;
    let mut frame = vec![FIN_CLOSE, 2 + reason.len() as u8];
    frame.extend_from_slice(&number.to_be_bytes());
    frame.extend_from_slice(reason.as_bytes());
    frame.into()
}
