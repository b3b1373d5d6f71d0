//! The byte streams that a session runs on: a TCP socket, with TLS or without, or a pipe in memory for tests and bots.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;

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

/// A socket, here or on its way to another runtime.
#[derive(Debug)]
pub(crate) struct Berth(Place);

#[derive(Debug)]
enum Place {
    Here(Socket),
    Away(Parked),
    /// Only while it is being moved.
    Nowhere,
}

impl Berth {
    pub(crate) fn new(parked: Parked) -> Self {
        Self(Place::Away(parked))
    }

    /// Registers the socket with the runtime of this thread.
    pub(crate) fn arrive(&mut self) -> io::Result<()> {
        self.0 = match std::mem::replace(&mut self.0, Place::Nowhere) {
            Place::Away(parked) => Place::Here(parked.unpark()?),
            here => here,
        };
        Ok(())
    }

    /// Takes the socket from the runtime of this thread.
    pub(crate) fn depart(&mut self) -> io::Result<()> {
        self.0 = match std::mem::replace(&mut self.0, Place::Nowhere) {
            Place::Here(socket) => Place::Away(socket.park()?),
            away => away,
        };
        Ok(())
    }

    pub(crate) fn socket(&mut self) -> io::Result<&mut Socket> {
        match &mut self.0 {
            Place::Here(socket) => Ok(socket),
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}
