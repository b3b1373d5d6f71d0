//! A client without a library: it says what it likes, and reads only when the test does.

use futures_util::{SinkExt, StreamExt};
use parlor::broker::Broker;
use parlor_protocol::codec::{NIL, to_payload};
use parlor_protocol::frame::{Hello, Join, JoinMode, Joined, ResumeWish, Role, TypeRef};
use parlor_protocol::{BrokerFrame, ClientFrame, Codec, RoomNo};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::wait::soon;

/// One connection.
#[derive(Debug)]
pub struct Raw<S = TcpStream> {
    /// The WebSocket, for what has no method here.
    pub ws: WebSocketStream<S>,
    codec: Codec,
}

/// What a raw client hears.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// A frame.
    Frame(BrokerFrame),
    /// The end, with the close code; `None` when the socket just ended.
    Closed(Option<u16>),
}

impl Raw<TcpStream> {
    /// A socket with the handshake done; hello is not said yet.
    pub async fn connect(broker: &Broker) -> Self {
        let stream = TcpStream::connect(broker.addr()).await.expect("the broker listens");
        Self::over(stream, Codec::MsgPack).await
    }

    /// The same with a small receive buffer, so that a reader who stalls is felt at once.
    pub async fn narrow(broker: &Broker, bytes: u32) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(bytes).expect("a buffer");
        Self::over(socket.connect(broker.addr()).await.expect("the broker listens"), Codec::MsgPack).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    /// Makes the handshake over a stream.
    pub async fn over(stream: S, codec: Codec) -> Self {
        let mut request = "ws://broker/ws".into_client_request().expect("a request");
        let protocol = codec.subprotocol().parse().expect("a header");
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        let handshake = tokio_tungstenite::client_async(request, stream);
        let (ws, _) = soon("the handshake", handshake).await.expect("a WebSocket");
        Self { ws, codec }
    }

    /// Says hello and waits for the welcome.
    pub async fn hello(mut self) -> Self {
        self.say(&ClientFrame::Hello(Hello { client: "raw".into(), ..Hello::default() })).await;
        assert!(matches!(self.hear().await, Heard::Frame(BrokerFrame::Welcome(_))));
        self
    }

    /// Says hello for a session to be kept, or to be taken up again; returns the answer.
    pub async fn resume(mut self, wish: ResumeWish) -> (Self, BrokerFrame) {
        let hello = Hello { client: "raw".into(), resume: Some(wish), ..Hello::default() };
        self.say(&ClientFrame::Hello(hello)).await;
        match self.hear().await {
            Heard::Frame(answer) => (self, answer),
            closed => panic!("neither welcome nor resumed but {closed:?}"),
        }
    }

    /// Joins a room of the kind, or the room of the id.
    pub async fn join(&mut self, mode: JoinMode, name: &str) -> Joined {
        let (kind, room) = if mode == JoinMode::Id { (None, Some(name.into())) } else { (Some(name.into()), None) };
        let join = Join { mode, kind, room, role: Role::Player, private: false, ticket: None, invite: None };
        self.say(&ClientFrame::Join { id: 1, join, options: NIL }).await;
        match self.hear().await {
            Heard::Frame(BrokerFrame::Joined { joined, .. }) => *joined,
            other => panic!("not joined but {other:?}"),
        }
    }

    /// Writes one frame.
    pub async fn say(&mut self, frame: &ClientFrame) {
        let message = self.message(frame);
        soon("room to write", self.ws.send(message)).await.expect("a connection");
    }

    /// Queues one frame to be written with the next flush.
    pub async fn feed(&mut self, frame: &ClientFrame) {
        let message = self.message(frame);
        soon("room to write", self.ws.feed(message)).await.expect("a connection");
    }

    /// Reads the next frame.
    pub async fn hear(&mut self) -> Heard {
        // The broker's pings do not count: they come as long as the connection lives.
        soon("a frame", self.next_heard()).await
    }

    async fn next_heard(&mut self) -> Heard {
        loop {
            let bytes = match self.ws.next().await {
                Some(Ok(Message::Binary(bytes))) => bytes,
                Some(Ok(Message::Text(text))) => text.into(),
                Some(Ok(Message::Close(frame))) => return Heard::Closed(frame.map(|frame| frame.code.into())),
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => return Heard::Closed(None),
            };
            return Heard::Frame(BrokerFrame::decode(self.codec, &bytes).expect("a frame"));
        }
    }

    /// Reads to the end, and gives what came before it and the close code.
    pub async fn hear_out(&mut self) -> (Vec<BrokerFrame>, Option<u16>) {
        let mut frames = Vec::new();
        loop {
            match self.hear().await {
                Heard::Frame(frame) => frames.push(frame),
                Heard::Closed(code) => return (frames, code),
            }
        }
    }

    fn message(&self, frame: &ClientFrame) -> Message {
        let bytes = Bytes::from(frame.encode(self.codec).expect("a frame"));
        match self.codec {
            Codec::MsgPack => Message::Binary(bytes),
            Codec::Json => Message::Text(bytes.try_into().expect("JSON is text")),
        }
    }
}

/// A `send` frame.
pub fn send(room: RoomNo, name: &str, payload: &impl Serialize) -> ClientFrame {
    ClientFrame::Send { room, type_: TypeRef::Name(name.into()), payload: encoded(payload) }
}

/// A `request` frame.
pub fn request(room: RoomNo, id: u64, name: &str, payload: &impl Serialize) -> ClientFrame {
    ClientFrame::Request { room, type_: TypeRef::Name(name.into()), id, payload: encoded(payload) }
}

fn encoded(payload: &impl Serialize) -> Bytes {
    to_payload(payload).expect("a payload")
}
