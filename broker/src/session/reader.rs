//! Reading from a socket: one call fills a buffer that all connections of a thread share, and tungstenite takes the messages out of
//! it. So a connection that says nothing has no buffer worth speaking of.
//!
//! What tungstenite wants to write (pongs, the close reply) is set aside here, so that it can never cut into one of our half-written
//! frames.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::error::Error as WsError;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};

use super::meter::Meter;
use super::socket::Socket;
use crate::config::Limits;

/// Bytes that one call may read: one TLS record, and a second's worth of what most clients may send.
const READ: usize = 16 << 10;
/// What tungstenite keeps for each connection: room for one message of the usual size.
const KEEP: usize = 256;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ]);
}

/// The reading half of a WebSocket.
#[derive(Debug)]
pub(crate) struct Reader {
    ws: WebSocketContext,
    /// What was read together with a message and comes behind it.
    rest: Bytes,
    /// Whether tungstenite may have more messages without being given anything.
    more: bool,
    control: BytesMut,
    pub(super) meter: Meter,
}

impl Reader {
    /// `early` is what has been read of the stream already.
    pub(crate) fn new(early: &[u8], limits: &Limits) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(KEEP)
            // Control frames only, and they go no further than here.
            .write_buffer_size(0)
            .max_write_buffer_size(64 << 10)
            .max_message_size(Some(limits.hard_frame_bytes()))
            .max_frame_size(Some(limits.hard_frame_bytes()));
        let mut meter = Meter::default();
        meter.see(early);
        let ws = WebSocketContext::new(Role::Server, Some(config));
        // Copied: what was read early is little, and lies in a buffer of the HTTP server's that would be kept with it.
        Self { ws, rest: Bytes::copy_from_slice(early), more: false, control: BytesMut::new(), meter }
    }

    /// The next message. `Pending` when the socket has no more.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>, socket: &mut Socket) -> Poll<Result<Message, WsError>> {
        if self.more || !self.rest.is_empty() {
            let mut rest = std::mem::take(&mut self.rest);
            let (read, used) = self.read(&rest, false);
            rest.advance(used);
            self.rest = rest;
            if let Some(read) = read {
                return Poll::Ready(read);
            }
        }
        SCRATCH.with_borrow_mut(|scratch| {
            loop {
                let mut buffer = ReadBuf::new(scratch);
                ready!(Pin::new(&mut *socket).poll_read(cx, &mut buffer))?;
                let fresh = buffer.filled();
                self.meter.see(fresh);
                let (read, used) = self.read(fresh, fresh.is_empty());
                if let Some(read) = read {
                    self.rest = Bytes::copy_from_slice(&fresh[used..]);
                    return Poll::Ready(read);
                }
            }
        })
    }

    /// Has what tungstenite answers to a goodbye set aside.
    pub(crate) fn acknowledge_goodbye(&mut self) {
        // Read once more, it hands the answer over, and has nothing else to say.
        let _ = self.read(&[], false);
    }

    /// Whether control frames wait to be written.
    pub(crate) fn has_control(&self) -> bool {
        !self.control.is_empty()
    }

    /// Control frames that tungstenite wants out, whole ones, to be written between ours.
    pub(crate) fn take_control(&mut self) -> Option<Bytes> {
        (!self.control.is_empty()).then(|| self.control.split().freeze())
    }

    /// One message out of these bytes, or `None` when there is none that is whole; and how many bytes that took.
    fn read(&mut self, bytes: &[u8], ended: bool) -> (Option<Result<Message, WsError>>, usize) {
        let mut source = Source { bytes, ended, control: &mut self.control };
        let read = match self.ws.read(&mut source) {
            Err(WsError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => None,
            read => Some(read),
        };
        let left = source.bytes.len();
        self.more = read.is_some();
        (read, bytes.len() - left)
    }
}

/// Bytes that have been read, as tungstenite's stream.
struct Source<'a> {
    bytes: &'a [u8],
    ended: bool,
    control: &'a mut BytesMut,
}

impl Read for Source<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.bytes.read(buf)? {
            0 if !self.ended => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl Write for Source<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.control.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
