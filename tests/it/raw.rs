//! A WebSocket without a client library, to say what no library would.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use parlor::broker::Broker;
use parlor_client::{Codec, Failure};
use parlor_protocol::codec::{json_from_msgpack, to_payload};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::Role;

/// Beyond this a test has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for something that must come.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it should have happened by now")
}

/// Waits for what no message tells of.
pub(crate) async fn until(mut holds: impl FnMut() -> bool) {
    soon(async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// A connection that speaks frames.
pub(crate) struct Raw {
    pub(crate) socket: WebSocketStream<TcpStream>,
    codec: Codec,
}

impl Raw {
    /// A connection on which nothing has been said.
    pub(crate) async fn open(broker: &Broker, codec: Codec) -> Self {
        let mut request = format!("ws://{}/ws", broker.addr()).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", codec.subprotocol().parse().unwrap());
        let stream = TcpStream::connect(broker.addr()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (socket, _) = soon(tokio_tungstenite::client_async(request, stream)).await.unwrap();
        Self { socket, codec }
    }

    /// A connection whose handshake has been made by hand.
    pub(crate) async fn upgraded(stream: TcpStream, codec: Codec) -> Self {
        Self { socket: WebSocketStream::from_raw_socket(stream, Role::Client, None).await, codec }
    }

    /// A session.
    pub(crate) async fn hello(broker: &Broker, codec: Codec) -> Self {
        let mut raw = Self::open(broker, codec).await;
        raw.say(json!([1, {"client": "raw"}])).await;
        let welcome = raw.hear().await;
        assert_eq!(welcome[0], 33, "{welcome}");
        raw
    }

    /// A session in a room, and the number of the room.
    pub(crate) async fn join(broker: &Broker, codec: Codec, kind: &str) -> (Self, u64) {
        let mut raw = Self::hello(broker, codec).await;
        raw.say(json!([2, 1, {"mode": "find_or_create", "kind": kind}, null])).await;
        let joined = raw.hear().await;
        assert_eq!(joined[0], 34, "{joined}");
        let room = joined[2]["room"].as_u64().unwrap();
        (raw, room)
    }

    /// Says a frame.
    pub(crate) async fn say(&mut self, frame: Value) {
        self.say_all(&[frame]).await;
    }

    /// Says several frames in one write.
    pub(crate) async fn say_all(&mut self, frames: &[Value]) {
        for frame in frames {
            let message = self.message(frame);
            self.socket.feed(message).await.unwrap();
        }
        self.socket.flush().await.unwrap();
    }

    /// Sends a message of the kind that the codec does not use, or that is no frame at all.
    pub(crate) async fn send(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    /// The next frame.
    pub(crate) async fn hear(&mut self) -> Value {
        loop {
            match soon(self.socket.next()).await.expect("the connection is open").expect("and works") {
                Message::Binary(frame) => {
                    let mut text = Vec::new();
                    json_from_msgpack(&frame, &mut text).unwrap();
                    return serde_json::from_slice(&text).unwrap();
                }
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Close(close) => panic!("closed instead: {close:?}"),
                _ => {}
            }
        }
    }

    /// The next frame, which must be an `error`: the id that it answers, and what it says.
    pub(crate) async fn error(&mut self) -> (Option<u64>, Failure) {
        let frame = self.hear().await;
        assert_eq!(frame[0], 40, "{frame}");
        (frame[1].as_u64(), serde_json::from_value(frame[2].clone()).unwrap())
    }

    /// The close code and reason, if nothing else comes before.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        loop {
            match soon(self.socket.next()).await.expect("a goodbye").expect("a goodbye") {
                Message::Close(Some(close)) => return (close.code.into(), close.reason.to_string()),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?} instead of a close"),
            }
        }
    }

    /// Checks that the connection goes on.
    pub(crate) async fn is_alive(&mut self) {
        self.say(json!([8, 4.5])).await;
        let pong = self.hear().await;
        assert_eq!((&pong[0], &pong[1]), (&json!(42), &json!(4.5)), "{pong}");
    }

    fn message(&self, frame: &Value) -> Message {
        match self.codec {
            Codec::MsgPack => Message::Binary(to_payload(frame).unwrap()),
            Codec::Json => Message::text(frame.to_string()),
        }
    }
}

/// Bytes that are no frame.
pub(crate) fn garbage() -> Bytes {
    Bytes::from_static(&[0xc1, 0xff, 0x00])
}
