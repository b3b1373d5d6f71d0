//! The byte streams that a session runs on: a TCP socket, with TLS or without, or a pipe in memory for tests and bots.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;

use super::meter::Meter;
use super::tls::Tls;

/// A stream that belongs to the runtime of the current thread.
#[derive(Debug)]
pub enum Socket {
    /// A real connection.
    Tcp(TcpStream),
    /// The same with TLS; boxed, since it would make the others as large as itself.
    Tls(Box<Tls>),
    /// A pipe within this process.
    Memory(DuplexStream),
}

/// A stream on its way between runtimes.
#[derive(Debug)]
pub(crate) enum Parked {
    Tcp(std::net::TcpStream),
    Tls(Box<Tls>),
    Memory(DuplexStream),
}

impl Socket {
    /// Ready when a read may give something: asking first spares the reader a cleared buffer at every wake-up.
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            // An error shows when the stream is read.
            Self::Tcp(stream) => stream.poll_read_ready(cx).map(|_| ()),
            Self::Tls(stream) => stream.poll_read_ready(cx),
            Self::Memory(_) => Poll::Ready(()),
        }
    }

    /// Whether written bytes may stay in a buffer of the stream until it is flushed.
    pub(crate) fn buffers(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Whether the network has taken any of the buffered bytes since this was last asked.
    pub(crate) fn take_progress(&mut self) -> bool {
        match self {
            Self::Tls(stream) => stream.take_progress(),
            _ => false,
        }
    }

    fn park(self) -> io::Result<Parked> {
        match self {
            Self::Tcp(stream) => stream.into_std().map(Parked::Tcp),
            Self::Tls(mut stream) => stream.depart().map(|()| Parked::Tls(stream)),
            Self::Memory(stream) => Ok(Parked::Memory(stream)),
        }
    }
}

impl Parked {
    /// Takes a stream from the runtime of this thread.
    pub(crate) fn park(socket: Socket) -> io::Result<Self> {
        socket.park()
    }

    fn unpark(self) -> io::Result<Socket> {
        match self {
            Self::Tcp(stream) => TcpStream::from_std(stream).map(Socket::Tcp),
            Self::Tls(mut stream) => stream.arrive().map(|()| Socket::Tls(stream)),
            Self::Memory(stream) => Ok(Socket::Memory(stream)),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => stream.stream().poll_read(cx, buf),
            Self::Memory(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => stream.stream().poll_write(cx, buf),
            Self::Memory(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => stream.stream().poll_write_vectored(cx, bufs),
            Self::Memory(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => stream.stream().poll_flush(cx),
            Self::Memory(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => stream.stream().poll_shutdown(cx),
            Self::Memory(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// What tungstenite sees of a socket. It reads through; what it writes (pongs, the close reply) is set aside, so that it can never
/// cut into one of our half-written frames.
#[derive(Debug)]
pub(crate) struct Gate {
    place: Place,
    control: BytesMut,
    pub(super) meter: Meter,
}

#[derive(Debug)]
enum Place {
    Here(Socket),
    Away(Parked),
    /// Only while it is being moved.
    Nowhere,
}

impl Gate {
    /// `early` is what has been read of the stream already.
    pub(crate) fn new(parked: Parked, early: &[u8]) -> Self {
        let mut meter = Meter::default();
        meter.see(early);
        Self { place: Place::Away(parked), control: BytesMut::new(), meter }
    }

    /// Registers the socket with the runtime of this thread.
    pub(crate) fn arrive(&mut self) -> io::Result<()> {
        self.place = match std::mem::replace(&mut self.place, Place::Nowhere) {
            Place::Away(parked) => Place::Here(parked.unpark()?),
            here => here,
        };
        Ok(())
    }

    /// Takes the socket from the runtime of this thread.
    pub(crate) fn depart(&mut self) -> io::Result<()> {
        self.place = match std::mem::replace(&mut self.place, Place::Nowhere) {
            Place::Here(socket) => Place::Away(socket.park()?),
            away => away,
        };
        Ok(())
    }

    pub(crate) fn socket(&mut self) -> io::Result<&mut Socket> {
        match &mut self.place {
            Place::Here(socket) => Ok(socket),
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    pub(crate) fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.socket() {
            Ok(socket) => socket.poll_read_ready(cx),
            Err(_) => Poll::Ready(()),
        }
    }

    pub(crate) fn has_control(&self) -> bool {
        !self.control.is_empty()
    }

    /// Control frames that tungstenite wants out, whole ones, to be written between ours.
    pub(crate) fn take_control(&mut self) -> Option<Bytes> {
        (!self.control.is_empty()).then(|| self.control.split().freeze())
    }
}

impl AsyncRead for Gate {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let gate = self.get_mut();
        let before = buf.filled().len();
        let read = Pin::new(gate.socket()?).poll_read(cx, buf);
        gate.meter.see(&buf.filled()[before..]);
        read
    }
}

impl AsyncWrite for Gate {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().control.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
