//! A TLS stream that can change its runtime, and says what is left in its buffer.
//!
//! It knows nothing of certificates: whoever accepts connections has made the handshake.

use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// A TCP stream that can be taken out of one runtime and put into another while the TLS state around it stays where it is.
#[derive(Debug)]
pub struct Movable {
    place: Place,
    /// Whether the socket has taken anything since it was last asked.
    progress: bool,
}

#[derive(Debug)]
enum Place {
    Here(TcpStream),
    Away(std::net::TcpStream),
    /// Only while it is being moved.
    Nowhere,
}

impl Movable {
    /// A stream of this thread's runtime.
    pub fn new(stream: TcpStream) -> Self {
        Self { place: Place::Here(stream), progress: false }
    }

    fn arrive(&mut self) -> io::Result<()> {
        self.place = match std::mem::replace(&mut self.place, Place::Nowhere) {
            Place::Away(stream) => Place::Here(TcpStream::from_std(stream)?),
            here => here,
        };
        Ok(())
    }

    fn depart(&mut self) -> io::Result<()> {
        self.place = match std::mem::replace(&mut self.place, Place::Nowhere) {
            Place::Here(stream) => Place::Away(stream.into_std()?),
            away => away,
        };
        Ok(())
    }

    fn here(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        match &mut self.place {
            Place::Here(stream) => Ok(Pin::new(stream)),
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn note(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.progress |= matches!(written, Poll::Ready(Ok(1..)));
        written
    }
}

impl AsyncRead for Movable {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.get_mut().here()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Movable {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = this.here()?.poll_write(cx, buf);
        this.note(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = this.here()?.poll_write_vectored(cx, bufs);
        this.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().here()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().here()?.poll_shutdown(cx)
    }
}

/// A TLS stream of a server. It says goodbye when it is dropped, as far as the socket takes that at once.
#[derive(Debug)]
pub struct Tls(TlsStream<Movable>);

impl Tls {
    /// Takes over a stream whose handshake is done.
    pub fn new(stream: TlsStream<Movable>) -> Self {
        Self(stream)
    }

    pub(super) fn arrive(&mut self) -> io::Result<()> {
        self.0.get_mut().0.arrive()
    }

    pub(super) fn depart(&mut self) -> io::Result<()> {
        self.0.get_mut().0.depart()
    }

    /// Whether the socket has taken anything since this was last asked.
    pub(super) fn take_progress(&mut self) -> bool {
        std::mem::take(&mut self.0.get_mut().0.progress)
    }

    pub(super) fn stream(&mut self) -> Pin<&mut TlsStream<Movable>> {
        Pin::new(&mut self.0)
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        // Without it a client cannot tell the end of the connection from one that was cut.
        let (io, session) = self.0.get_mut();
        session.send_close_notify();
        let Place::Here(stream) = &io.place else { return };
        while session.wants_write() && matches!(session.write_tls(&mut AtOnce(stream)), Ok(1..)) {}
    }
}

/// Writes what the socket takes without waiting.
struct AtOnce<'a>(&'a TcpStream);

impl Write for AtOnce<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.try_write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
