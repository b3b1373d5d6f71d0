//! A broker that says what a test tells it to: real frames over a real WebSocket, on a stream in memory.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use std::collections::BTreeMap;
use std::future::{Ready, ready};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use parlor_client::{ClientError, Codec, Failure, Options, Parlor, Place, PlayerId, Recovered, Recovery};
use parlor_client::{Role, Room, RoomId, RoomNo, Seq};
use parlor_protocol::codec::{NIL, to_payload};
use parlor_protocol::frame::{Hello, Joined, ResumeTerms, ResumeWish, Welcome};
use parlor_protocol::{BrokerFrame, ClientFrame};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

/// The server's clock at the welcome.
pub const WELCOME_TIME: u64 = 1_785_931_200_000;

/// The largest frame that the fake takes.
pub const MAX_FRAME: u64 = 65_536;

/// The room that [`Fake::admit`] lets clients into.
pub const ROOM: RoomNo = RoomNo(7);

/// The broker's end of one connection.
pub struct Fake<S = DuplexStream> {
    pub codec: Codec,
    pub sink: SplitSink<WebSocketStream<S>, Message>,
    pub stream: SplitStream<WebSocketStream<S>>,
    seq: u64,
}

/// Options that leave the wire to the test: no pings.
pub fn quiet() -> Options {
    Options::default().ping_every(std::time::Duration::ZERO)
}

/// A client and its broker, the session having begun.
pub async fn session(options: Options) -> (Parlor, Fake) {
    session_with_buffer(options, 1 << 20).await
}

/// The same over a stream that holds so many bytes.
pub async fn session_with_buffer(options: Options, bytes: usize) -> (Parlor, Fake) {
    let (near, far) = duplex(bytes);
    let broker = async {
        let mut fake = Fake::accept(far).await;
        fake.welcome().await;
        fake
    };
    let (parlor, fake) = tokio::join!(Parlor::over(near, options), broker);
    (parlor.unwrap(), fake)
}

/// A client that has joined [`ROOM`].
pub async fn in_room(options: Options) -> (Parlor, Room, Fake) {
    let (parlor, mut fake) = session(options).await;
    let (room, _) = tokio::join!(parlor.join_or_create("arena", &()), fake.admit());
    let room = room.unwrap();
    (parlor, room, fake)
}

/// Where the connections of a client that comes back arrive.
pub struct Door {
    streams: mpsc::UnboundedReceiver<DuplexStream>,
    open: Arc<AtomicBool>,
}

/// A door, and the function that goes through it.
pub fn door() -> (impl FnMut() -> Ready<io::Result<DuplexStream>> + Send + 'static, Door) {
    door_with_buffer(1 << 20)
}

/// The same with streams that hold so many bytes.
pub fn door_with_buffer(bytes: usize) -> (impl FnMut() -> Ready<io::Result<DuplexStream>> + Send + 'static, Door) {
    let (sender, streams) = mpsc::unbounded_channel();
    let open = Arc::new(AtomicBool::new(true));
    let is_open = Arc::clone(&open);
    let connect = move || {
        let (near, far) = duplex(bytes);
        let refused = !is_open.load(Ordering::Relaxed) || sender.send(far).is_err();
        ready(if refused { Err(io::ErrorKind::ConnectionRefused.into()) } else { Ok(near) })
    };
    (connect, Door { streams, open })
}

impl Door {
    /// The next connection, up to hello.
    pub async fn accept(&mut self) -> (Fake, Hello) {
        let mut fake = Fake::accept(self.streams.recv().await.unwrap()).await;
        let hello = fake.hello().await;
        (fake, hello)
    }

    /// The next connection, which must ask for the session that it had.
    pub async fn accept_again(&mut self) -> (Fake, ResumeWish) {
        let (fake, hello) = self.accept().await;
        (fake, hello.resume.unwrap())
    }

    /// The next connection, taken up to the end of the handshake; no hello is waited for.
    pub async fn stream(&mut self) -> DuplexStream {
        self.streams.recv().await.unwrap()
    }

    /// Waits until the client can make no connection any more.
    pub async fn forsaken(&mut self) {
        assert!(self.streams.recv().await.is_none(), "it came back");
    }

    /// Whether connections are taken at all.
    pub fn set_open(&self, open: bool) {
        self.open.store(open, Ordering::Relaxed);
    }
}

/// A client with a session that outlives its connections.
pub async fn kept(options: Options) -> (Parlor, Fake, Door) {
    kept_with_buffer(options, 1 << 20).await
}

/// The same over streams that hold so many bytes.
pub async fn kept_with_buffer(options: Options, bytes: usize) -> (Parlor, Fake, Door) {
    let (connector, mut door) = door_with_buffer(bytes);
    let broker = async {
        let (mut fake, hello) = door.accept().await;
        assert_eq!(hello.resume, Some(ResumeWish::default()));
        fake.say(BrokerFrame::Welcome(Box::new(kept_welcome("t1")))).await;
        fake
    };
    let (parlor, fake) = tokio::join!(Parlor::through(connector, options), broker);
    (parlor.unwrap(), fake, door)
}

/// The same in [`ROOM`]. It has had one counted frame, and written one.
pub async fn kept_in_room(options: Options) -> (Parlor, Room, Fake, Door) {
    let (parlor, mut fake, door) = kept(options).await;
    let (room, _) = tokio::join!(parlor.join_or_create("arena", &()), fake.admit());
    (parlor, room.unwrap(), fake, door)
}

pub fn kept_welcome(token: &str) -> Welcome {
    let terms = ResumeTerms { token: token.into(), ack_frames: 1024, ack_bytes: 65_536 };
    Welcome { resume: Some(terms), ..welcome() }
}

/// What to come back with.
pub fn wish(token: &str, received: u64) -> ResumeWish {
    ResumeWish { token: Some(token.into()), received: Some(received) }
}

/// One room's outcome.
pub fn outcome(outcome: Recovered) -> Recovery {
    Recovery { room: ROOM, no: 0, outcome, frames: None, reason: None }
}

/// What [`Fake::admit`] says about the room.
pub fn arena() -> Joined {
    Joined {
        room: ROOM,
        id: RoomId::parse("k3F9xQ2m").unwrap(),
        kind: "arena".into(),
        player: PlayerId(2),
        role: Role::Player,
        seq: Seq(4),
        index: 0,
        routes: 2,
        types: ["move", "buy", "moved"].map(String::from).to_vec(),
        properties: BTreeMap::from([("map".to_owned(), "dust".into())]),
        invite: None,
    }
}

/// What [`Fake::welcome`] says: a session that ends with its connection.
pub fn welcome() -> Welcome {
    Welcome {
        session: "s-1".into(),
        account: "guest-1".into(),
        server: "fake".into(),
        time: WELCOME_TIME,
        max_frame: MAX_FRAME,
        expires: None,
        resume: None,
        lost: None,
    }
}

pub fn payload(value: &impl Serialize) -> Bytes {
    to_payload(value).unwrap()
}

impl<S: AsyncRead + AsyncWrite + Unpin> Fake<S> {
    /// Makes the handshake and chooses the sub-protocol that was offered.
    pub async fn accept(stream: S) -> Self {
        let mut codec = Codec::MsgPack;
        #[allow(clippy::result_large_err, reason = "tungstenite's own type")]
        let choose = |request: &Request, mut response: Response| {
            assert_eq!(request.uri().path(), "/ws");
            let offered = &request.headers()["sec-websocket-protocol"];
            codec = Codec::ALL.into_iter().find(|codec| offered == codec.subprotocol()).unwrap();
            response.headers_mut().insert("sec-websocket-protocol", offered.clone());
            Ok(response)
        };
        let (sink, stream) = accept_hdr_async(stream, choose).await.unwrap().split();
        Self { codec, sink, stream, seq: 4 }
    }

    pub async fn hello(&mut self) -> Hello {
        match self.heard().await {
            ClientFrame::Hello(hello) => hello,
            other => panic!("{other:?} is no hello"),
        }
    }

    /// Answers hello with the session that it asked for, the broker having `received` frames of it; hears the
    /// acknowledgement of `acked` frames, which comes behind `again` frames that are written again. Returns those.
    pub async fn resumed(&mut self, token: &str, received: u64, again: usize, acked: u64) -> Vec<ClientFrame> {
        let rooms = vec![outcome(Recovered::Frames)];
        self.say(BrokerFrame::Resumed { welcome: Box::new(kept_welcome(token)), received, rooms }).await;
        let mut frames = Vec::new();
        for _ in 0..again {
            frames.push(self.heard().await);
        }
        assert_eq!(self.heard().await, ClientFrame::Ack { received: acked });
        frames
    }

    /// Takes hello and answers it.
    pub async fn welcome(&mut self) {
        let hello = self.hello().await;
        assert_eq!(hello.resume, None);
        self.say(BrokerFrame::Welcome(Box::new(welcome()))).await;
    }

    /// Takes a join and lets the client into [`ROOM`]; returns what was asked.
    pub async fn admit(&mut self) -> ClientFrame {
        self.admit_to(arena()).await
    }

    pub async fn admit_to(&mut self, joined: Joined) -> ClientFrame {
        let join = self.heard().await;
        let ClientFrame::Join { id, .. } = join else { panic!("{join:?} is no join") };
        self.say(BrokerFrame::Joined { id, joined: Box::new(joined), view: payload(&["as of 4"]) }).await;
        join
    }

    /// The next frame from the client, as it is on the wire.
    pub async fn heard_raw(&mut self) -> Bytes {
        match self.stream.next().await.unwrap().unwrap() {
            Message::Binary(bytes) => bytes,
            Message::Text(text) => text.into(),
            other => panic!("{other:?} is no frame"),
        }
    }

    pub async fn heard(&mut self) -> ClientFrame {
        let frame = self.heard_raw().await;
        ClientFrame::decode(self.codec, &frame).unwrap()
    }

    /// The id of the request that comes next.
    pub async fn heard_request(&mut self) -> u64 {
        match self.heard().await {
            ClientFrame::Request { id, .. } => id,
            other => panic!("{other:?} is no request"),
        }
    }

    /// The close frame that comes next.
    pub async fn heard_close(&mut self) -> CloseFrame {
        match self.stream.next().await.unwrap().unwrap() {
            Message::Close(Some(frame)) => frame,
            other => panic!("{other:?} is no close"),
        }
    }

    pub async fn say(&mut self, frame: BrokerFrame) {
        let mut out = Vec::new();
        frame.encode_into(self.codec, &mut out).unwrap();
        self.say_raw(out).await;
    }

    /// Sends bytes, whatever they are, as a message of the right kind.
    pub async fn say_raw(&mut self, bytes: Vec<u8>) {
        let message = match self.codec {
            Codec::MsgPack => Message::Binary(bytes.into()),
            Codec::Json => Message::Text(String::from_utf8(bytes).unwrap().into()),
        };
        self.sink.send(message).await.unwrap();
    }

    pub async fn publish(&mut self, type_: u32, value: &impl Serialize) {
        let place = self.next_place();
        self.say(BrokerFrame::Publish { room: ROOM, place, type_, payload: payload(value) }).await;
    }

    pub async fn reply(&mut self, id: u64, value: &impl Serialize) {
        let place = self.next_place();
        self.say(BrokerFrame::Reply { room: ROOM, place, id, payload: payload(value) }).await;
    }

    pub async fn refuse(&mut self, no: u64, id: Option<u64>, error: Failure) {
        let place = self.next_place();
        self.say(BrokerFrame::Refused { room: ROOM, place, no, id, error: Box::new(error) }).await;
    }

    pub async fn close_room(&mut self, code: &str) {
        let place = self.next_place();
        self.say(BrokerFrame::Closed { room: ROOM, place, code: code.into(), result: NIL }).await;
    }

    /// Closes the connection with a code.
    pub async fn hang_up(&mut self, code: u16, reason: &str) {
        let frame = CloseFrame { code: code.into(), reason: reason.into() };
        self.sink.send(Message::Close(Some(frame))).await.unwrap();
    }

    fn next_place(&mut self) -> Place {
        self.seq += 1;
        Place { seq: Seq(self.seq), index: 0 }
    }
}

/// Waits until nothing happens any more. In paused time a sleep ends when everybody else sleeps longer.
pub async fn idle() {
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
}

/// Fails the test unless the operation failed with this code.
#[track_caller]
pub fn assert_code<T: std::fmt::Debug>(result: Result<T, ClientError>, code: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.code(), code, "{error:?}");
}
