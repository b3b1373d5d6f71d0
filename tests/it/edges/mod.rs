//! What happens before a connection is a session: TLS, origins, addresses, and handshakes that are wrong, slow or too large. Each
//! refusal has its status and its metric, and takes nothing from others.

mod addresses;
mod handshakes;
mod origins;
mod tls;

use std::net::SocketAddr;

use parlor::broker::{Broker, Config};
use parlor_tests::http::{Answer, exchange};
use parlor_tests::wait::soon;
use parlor_tests::{Echo, connect};
use tokio::net::TcpStream;

/// The key of the example in RFC 6455.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

async fn echo(config: &Config) -> Broker {
    parlor::App::new().room::<Echo>().start(config).await.unwrap()
}

/// A handshake with these lines besides, each ended by `\r\n`.
fn handshake(lines: &str) -> String {
    let fixed = "GET /ws HTTP/1.1\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n";
    format!("{fixed}sec-websocket-key: {KEY}\r\n{lines}\r\n")
}

/// Sends a request over a connection of its own, which is handed back still open.
async fn ask(server: SocketAddr, request: impl AsRef<[u8]>) -> (Answer, TcpStream) {
    let mut stream = TcpStream::connect(server).await.unwrap();
    let answer = soon("an answer", exchange(&mut stream, request.as_ref())).await;
    (answer, stream)
}

/// Somebody else can join a room and is served.
async fn is_well(broker: &Broker) {
    let room = connect(broker).await.join_or_create("echo", &()).await.unwrap();
    let sum: i64 = room.request("add", &serde_json::json!({"a": 1, "b": 1})).await.unwrap();
    assert_eq!(sum, 2);
}
