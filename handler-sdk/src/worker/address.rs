//! Where a broker listens for workers, and the stream to it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use parlor_protocol::worker::PATH;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

/// A broker's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// `host:port`.
    Tcp(String),
    /// The path of a socket.
    #[cfg(unix)]
    Unix(std::path::PathBuf),
}

impl Address {
    /// # Errors
    /// When the text is none of `ws://host:port`, `http://host:port` and `unix:/path`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || Err(format!("{text:?} is no broker's address: give ws://host:port or unix:/path/to/socket"));
        #[cfg(unix)]
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { wrong() } else { Ok(Self::Unix(path.into())) };
        }
        let Some(rest) = text.strip_prefix("ws://").or_else(|| text.strip_prefix("http://")) else { return wrong() };
        let place = rest.strip_suffix(PATH).unwrap_or(rest).trim_end_matches('/');
        match place.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok() => {
                Ok(Self::Tcp(place.to_owned()))
            }
            _ => wrong(),
        }
    }

    /// What the handshake asks for. What is on a Unix socket has no host name of its own.
    pub(super) fn uri(&self) -> String {
        match self {
            Self::Tcp(place) => format!("ws://{place}{PATH}"),
            #[cfg(unix)]
            Self::Unix(_) => format!("ws://localhost{PATH}"),
        }
    }

    /// Where the broker's REST is, if that is at the same place.
    pub(super) fn url(&self) -> Option<String> {
        match self {
            Self::Tcp(place) => Some(format!("http://{place}")),
            #[cfg(unix)]
            Self::Unix(_) => None,
        }
    }

    pub(super) async fn connect(&self) -> io::Result<Stream> {
        let socket = match self {
            Self::Tcp(place) => {
                let stream = TcpStream::connect(place).await?;
                // An outcome is worth more now than in 40 ms together with another.
                stream.set_nodelay(true)?;
                Socket::Tcp(stream)
            }
            #[cfg(unix)]
            Self::Unix(path) => Socket::Unix(UnixStream::connect(path).await?),
        };
        Ok(Stream { socket, allowance: None })
    }
}

/// The bytes between broker and worker.
#[derive(Debug)]
pub(super) struct Stream {
    socket: Socket,
    /// How many more bytes may be written, when not all of them may.
    allowance: Option<usize>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Stream {
    /// Lets so many more bytes out, and then none; or any number again. Whoever stops the stream has to poll it once more.
    pub(super) fn allow(&mut self, bytes: Option<usize>) {
        self.allowance = bytes;
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_read(cx, into),
            #[cfg(unix)]
            Socket::Unix(stream) => Pin::new(stream).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let some = &bytes[..bytes.len().min(self.allowance.unwrap_or(usize::MAX))];
        if some.is_empty() && !bytes.is_empty() {
            return Poll::Pending;
        }
        let written = match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_write(cx, some),
            #[cfg(unix)]
            Socket::Unix(stream) => Pin::new(stream).poll_write(cx, some),
        };
        if let (Poll::Ready(Ok(written)), Some(allowance)) = (&written, &mut self.allowance) {
            *allowance -= written;
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Sockets keep nothing back.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(unix)]
            Socket::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let tcp = |place: &str| Ok(Address::Tcp(place.to_owned()));
        assert_eq!(Address::parse("ws://10.0.0.1:7374"), tcp("10.0.0.1:7374"));
        assert_eq!(Address::parse("http://broker.example:7374/"), tcp("broker.example:7374"));
        assert_eq!(Address::parse("ws://[::1]:7374/worker"), tcp("[::1]:7374"));
        assert_eq!(Address::parse("ws://b:1/worker").unwrap().uri(), "ws://b:1/worker");
        for text in ["", "b:1", "ws://b", "ws://:1", "ws://b:x", "ws://b:70000", "ws://b:1/game", "wss://b:1", "unix:"]
        {
            assert!(Address::parse(text).unwrap_err().contains("give ws://host:port"), "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_socket_has_a_path() {
        assert_eq!(Address::parse("unix:/run/p.sock"), Ok(Address::Unix("/run/p.sock".into())));
        assert_eq!(Address::parse("unix:/run/p.sock").unwrap().uri(), "ws://localhost/worker");
    }
}
