//! The byte streams that a session runs on: a TCP socket, with TLS or without, or a pipe in memory for tests and bots.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::tls::Tls;

/// A stream that belongs to the runtime of the current thread.
#[derive(Debug)]
pub enum Socket {
    /// A real connection.
    Tcp(Tcp),
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

/// A TCP stream whose writing half may be lent.
#[derive(Debug)]
pub struct Tcp {
    read: OwnedReadHalf,
    write: Half,
}

/// A writing half that may be elsewhere.
#[derive(Debug)]
struct Half(Option<OwnedWriteHalf>);

impl Drop for Half {
    fn drop(&mut self) {
        // Both halves go, so that the socket is closed anyway: a call less.
        let _ = self.0.take().map(OwnedWriteHalf::forget);
    }
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        let (read, write) = stream.into_split();
        Self::Tcp(Tcp { read, write: Half(Some(write)) })
    }
}

impl Tcp {
    fn into_std(mut self) -> io::Result<std::net::TcpStream> {
        let write = self.write.0.take().ok_or(io::ErrorKind::NotConnected)?;
        self.read.reunite(write).map_err(io::Error::other)?.into_std()
    }

    /// Writes, whether the writing half is lent or not: who does so has seen to it that nobody else writes now.
    fn poll_write_with(
        &self,
        cx: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let stream: &TcpStream = self.read.as_ref();
        loop {
            ready!(stream.poll_write_ready(cx))?;
            match write(stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.write.0 {
            Some(write) => Pin::new(write).poll_shutdown(cx),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
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

    /// The writing half, of a stream that others may write to.
    pub(crate) fn lend(&mut self) -> Option<OwnedWriteHalf> {
        let Self::Tcp(stream) = self else { return None };
        stream.write.0.take()
    }

    /// Takes it back.
    pub(crate) fn reclaim(&mut self, half: OwnedWriteHalf) {
        if let Self::Tcp(stream) = self {
            stream.write.0 = Some(half);
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

    /// Registers it with the runtime of this thread.
    pub(crate) fn unpark(self) -> io::Result<Socket> {
        match self {
            Self::Tcp(stream) => TcpStream::from_std(stream).map(Socket::from),
            Self::Tls(mut stream) => stream.arrive().map(|()| Socket::Tls(stream)),
            Self::Memory(stream) => Ok(Socket::Memory(stream)),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(&mut stream.read).poll_read(cx, buf),
            Self::Tls(stream) => stream.stream().poll_read(cx, buf),
            Self::Memory(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => stream.poll_write_with(cx, |stream| stream.try_write(buf)),
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
            Self::Tcp(stream) => stream.poll_write_with(cx, |stream| stream.try_write_vectored(bufs)),
            Self::Tls(stream) => stream.stream().poll_write_vectored(cx, bufs),
            Self::Memory(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => stream.stream().poll_flush(cx),
            Self::Memory(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => stream.poll_shutdown(cx),
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

    /// One that belongs to the runtime of this thread.
    pub(crate) fn here(socket: Socket) -> Self {
        Self(Place::Here(socket))
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
