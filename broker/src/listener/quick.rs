//! The short way in: a WebSocket handshake that is there in one piece and in good order is answered on the thread on which its session
//! will live, without the HTTP server.
//!
//! Thousands may come at once, and a handshake that changes threads twice costs more than all else in it. Whatever is not of this
//! kind (pages, the lobby, what is to be refused, a head in pieces) is left in the socket for [`Listener::speak`](super::Listener).

use std::future::poll_fn;
use std::io;
use std::task::{Poll, ready};

use axum::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;

use super::MAX_HEADERS;
use super::upgrade::PATH;

/// Bytes of a head that is read at once. Browsers send some 500, more with cookies.
const HEAD: usize = 2 << 10;

/// What a client that has just connected asks for.
#[derive(Debug)]
pub(super) enum Asked {
    /// A WebSocket; its head has so many bytes.
    Session(HeaderMap, usize),
    /// Something else.
    Other,
    /// Nothing: it is gone.
    Nothing,
}

/// Looks at the first that the client says, and leaves it in the socket.
pub(super) async fn ask(stream: &TcpStream) -> Asked {
    let asked = poll_fn(|cx| {
        let mut space = [0; HEAD];
        let mut seen = ReadBuf::new(&mut space);
        let count = ready!(stream.poll_peek(cx, &mut seen))?;
        Poll::Ready(io::Result::Ok(if count == 0 { Asked::Nothing } else { parse(seen.filled()) }))
    });
    asked.await.unwrap_or(Asked::Nothing)
}

/// Takes the head off the socket and answers it.
///
/// # Errors
/// When the socket has less of the head than before, or takes less than the answer: it is broken.
pub(super) fn answer(stream: &TcpStream, head: usize, response: &[u8]) -> io::Result<()> {
    let mut space = [0; HEAD];
    let mut left = head;
    while left > 0 {
        match stream.try_read(&mut space[..left])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => left -= count,
        }
    }
    let written = stream.try_write(response)?;
    if written == response.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

fn parse(seen: &[u8]) -> Asked {
    let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut lines);
    let Ok(httparse::Status::Complete(len)) = request.parse(seen) else { return Asked::Other };
    if (request.method, request.path, request.version) != (Some("GET"), Some(PATH), Some(1)) {
        return Asked::Other;
    }
    // One allocation for all values.
    let head = Bytes::copy_from_slice(&seen[..len]);
    let mut headers = HeaderMap::with_capacity(request.headers.len());
    for line in request.headers {
        let name = HeaderName::from_bytes(line.name.as_bytes());
        let value = HeaderValue::from_maybe_shared(if line.value.is_empty() {
            Bytes::new()
        } else {
            let begin = line.value.as_ptr().addr() - seen.as_ptr().addr();
            head.slice(begin..begin + line.value.len())
        });
        let (Ok(name), Ok(value)) = (name, value) else { return Asked::Other };
        headers.append(name, value);
    }
    // A body would be taken for what the client says behind the handshake.
    if headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING) {
        return Asked::Other;
    }
    Asked::Session(headers, len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_handshake_goes_the_short_way() {
        let head = "GET /ws HTTP/1.1\r\nHost: here\r\nSec-WebSocket-Key: abc \r\nEmpty:\r\nHost: there\r\n\r\n";
        let Asked::Session(headers, len) = parse(format!("{head}more").as_bytes()) else { panic!("a handshake") };
        assert_eq!(len, head.len());
        assert_eq!(headers.get_all("host").iter().collect::<Vec<_>>(), ["here", "there"]);
        assert_eq!((&headers["sec-websocket-key"], &headers["empty"]), (&"abc".parse().unwrap(), &"".parse().unwrap()));
        let others = [
            &head[..head.len() - 1],
            "GET /ws HTTP/1.0\r\n\r\n",
            "POST /ws HTTP/1.1\r\n\r\n",
            "GET /wss HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET /ws HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
            "GET /ws HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET /ws HTTP/1.1\r\nbad name: x\r\n\r\n",
            "\x16\x03\x01",
        ];
        for other in others {
            assert!(matches!(parse(other.as_bytes()), Asked::Other), "{other:?}");
        }
    }
}
