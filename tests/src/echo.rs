//! The broker's connections with an echo behind them: what conformance is tested against.

use std::io;

use bytes::{Bytes, BytesMut};
use parlor::broker::Limits;
use parlor_broker::session::{self, Socket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The largest message of the Autobahn suite.
const LARGEST: usize = 16 << 20;
/// The longest request head that is read.
const HEAD: usize = 8 << 10;

/// Room for what a conformance suite sends: it tests the protocol, not our patience.
pub fn limits() -> Limits {
    Limits {
        // Four times as much is still read.
        max_frame_bytes: LARGEST / 4,
        max_fragments: u32::MAX,
        frame_timeout_ms: 60_000,
        outbox_frames: 1 << 20,
        outbox_bytes: 4 * LARGEST,
        messages_per_s: u32::MAX,
        bytes_per_s: u32::MAX,
        control_frames_per_s: u32::MAX,
        ..Limits::default()
    }
}

/// Makes the handshake and echoes until the connection ends.
///
/// # Errors
/// When the socket fails, or sends no WebSocket handshake.
pub async fn serve(mut stream: TcpStream, limits: &Limits) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let early = shake_hands(&mut stream).await?;
    session::echo(Socket::from(stream), early, limits).await.map(drop)
}

/// Answers the handshake; what was sent behind it is returned.
async fn shake_hands(stream: &mut TcpStream) -> io::Result<Bytes> {
    let mut head = BytesMut::with_capacity(HEAD);
    let end = loop {
        if let Some(at) = head.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if head.len() >= HEAD || stream.read_buf(&mut head).await? == 0 {
            return Err(io::Error::other("no request"));
        }
    };
    let early = head.split_off(end).freeze();
    let text = String::from_utf8_lossy(&head);
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let key = lines.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
    let (_, key) = key.ok_or_else(|| io::Error::other("no WebSocket handshake"))?;
    let accept = derive_accept_key(key.trim().as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: {accept}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).await?;
    Ok(early)
}
