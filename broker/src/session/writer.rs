//! Writes what a session owes its client, in one vectored write per wake-up. Whatever can be written without waiting while the session
//! sleeps, its [outbox](crate::outbox) has written already.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use parlor_protocol::CloseCode;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode as WsCloseCode;

use super::reader::Reader;
use super::socket::Socket;
use crate::outbox::{Hand, Outbox, PIECES, Taken, Wrote};

/// Frames on their way into the socket.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    hand: Hand,
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
            if !self.control && !self.leaving && self.closing.is_none() && reader.has_control() {
                self.put_control_first(reader, outbox);
            }
            if self.hand.frames.len() < PIECES && self.closing.is_none() {
                let room = PIECES - self.hand.frames.len();
                if let Poll::Ready(Taken::Close(code)) = outbox.poll_take(cx, &mut self.hand, room) {
                    self.closing = Some(code);
                    let last = self.last_frame(code);
                    self.add(last, outbox);
                }
            }
            if self.hand.frames.is_empty()
                && self.leaving
                && self.closing.is_none()
                && let Some(answer) = reader.take_control()
            {
                outbox.get_up(&mut self.hand);
                self.add(answer, outbox);
            }
            if self.hand.frames.is_empty() {
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

    /// Control frames go before what waits, but must not cut into a frame.
    fn put_control_first(&mut self, reader: &mut Reader, outbox: &Outbox) {
        if self.hand.frames.is_empty() {
            outbox.get_up(&mut self.hand);
        }
        if !self.hand.begun
            && let Some(control) = reader.take_control()
        {
            outbox.lend(control.len());
            self.hand.frames.push_front(control);
            self.control = true;
        }
    }

    /// Adds a frame that the outbox did not count, and will take back as written.
    fn add(&mut self, frame: Bytes, outbox: &Outbox) {
        outbox.lend(frame.len());
        self.hand.frames.push_back(frame);
    }

    /// Ends the [lending](Outbox::lend_pen) of the socket's writing half.
    pub(crate) fn take_pen(&mut self, socket: &mut Socket, outbox: &Outbox) {
        // Who has something in hand has got up, and so there is nothing else.
        let mut left = Hand::default();
        if let Some(pen) = outbox.return_pen(&mut left) {
            socket.reclaim(pen.into_socket());
        }
        if self.hand.frames.is_empty() {
            self.hand = left;
        }
    }

    /// Whether something waits for the socket to take it.
    pub(crate) fn blocked(&self) -> bool {
        self.unflushed || !self.hand.frames.is_empty()
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
        let begun = self.hand.frames.pop_front().filter(|_| self.hand.begun);
        let pieces = [begun, reader.take_control(), Some(self.last_frame(code))];
        for piece in pieces.into_iter().flatten() {
            socket.write_all(&piece).await?;
        }
        socket.flush().await
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, socket: &mut Socket) -> io::Result<Poll<usize>> {
        let buffers = socket.buffers();
        let stream = Pin::new(&mut *socket);
        let written = if self.hand.frames.len() == 1 {
            stream.poll_write(cx, &self.hand.frames[0])
        } else {
            let (pieces, count) = self.hand.pieces();
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
        if self.hand.advance(count) {
            self.control = false;
        }
        Ok(Poll::Ready(count))
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
