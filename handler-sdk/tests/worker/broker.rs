//! The broker's side, as far as a test needs it.

use std::future::poll_fn;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use parlor::{Failure, PlayerId, Role, RoomId};
use parlor_protocol::Seq;
use parlor_protocol::codec::{NIL, to_payload};
use parlor_protocol::room::{Cause, Input, Origin, Outcome, Output, Player};
use parlor_protocol::worker::{FromWorker, Hello, SUBPROTOCOL, SavedState, ToWorker, Welcome, WorkerRoom};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, UnixListener};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

pub(crate) const ROOM: WorkerRoom = WorkerRoom(3);
pub(crate) const ANN: PlayerId = PlayerId(1);
pub(crate) const BOB: PlayerId = PlayerId(2);
/// Large enough for every frame that is no test of this.
pub(crate) const MAX: usize = 64 << 20;

/// Waits for what must come; a test that waits longer has failed.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what).await.expect("it takes too long")
}

/// A welcome with which nobody is lost and no beat comes between.
pub(crate) fn welcome() -> Welcome {
    let (worker, server) = (1, "parlor/test".to_owned());
    Welcome { worker, server, beat_ms: 600_000, lost_after_ms: 600_000, max_frame_bytes: MAX as u64 }
}

pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

/// Where workers connect.
pub(crate) struct FakeBroker(Listener);

impl FakeBroker {
    pub(crate) async fn tcp() -> Self {
        Self(Listener::Tcp(TcpListener::bind("127.0.0.1:0").await.unwrap()))
    }

    /// Each test's socket has a name of its own.
    pub(crate) fn unix(test: &str) -> Self {
        let path = Self::socket(test);
        let _ = std::fs::remove_file(&path);
        Self(Listener::Unix(UnixListener::bind(&path).unwrap(), path))
    }

    pub(crate) fn socket(test: &str) -> PathBuf {
        std::env::temp_dir().join(format!("parlor-{test}-{}.sock", std::process::id()))
    }

    pub(crate) fn address(&self) -> String {
        match &self.0 {
            Listener::Tcp(listener) => format!("ws://{}", listener.local_addr().unwrap()),
            Listener::Unix(_, path) => format!("unix:{}", path.display()),
        }
    }

    /// The next connection, on which hello has yet to come.
    pub(crate) async fn accept(&self) -> Peer {
        soon(async {
            let stream: Box<dyn Stream> = match &self.0 {
                Listener::Tcp(listener) => Box::new(listener.accept().await.unwrap().0),
                Listener::Unix(listener, _) => Box::new(listener.accept().await.unwrap().0),
            };
            #[allow(clippy::result_large_err, reason = "tungstenite's own type")]
            let choose = |request: &Request, mut response: Response| {
                assert_eq!(request.uri().path(), "/worker");
                assert_eq!(request.headers()["sec-websocket-protocol"], SUBPROTOCOL);
                response.headers_mut().insert("sec-websocket-protocol", SUBPROTOCOL.parse().unwrap());
                Ok(response)
            };
            let read = Arc::<AtomicUsize>::default();
            let socket = accept_hdr_async(Counted(stream, read.clone()), choose).await.unwrap();
            Peer { socket, read, seq: 0, room: ROOM, epoch: 1 }
        })
        .await
    }

    /// A worker's next connection, welcomed.
    pub(crate) async fn welcomed(&self) -> Peer {
        let mut peer = self.accept().await;
        peer.welcome(welcome()).await;
        peer
    }
}

impl Drop for FakeBroker {
    fn drop(&mut self) {
        if let Listener::Unix(_, path) = &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Knows how many bytes were read of it.
struct Counted(Box<dyn Stream>, Arc<AtomicUsize>);

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.0).poll_read(cx, into);
        self.1.fetch_add(into.filled().len() - before, Ordering::Relaxed);
        read
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A worker, seen from the broker. Numbers the inputs of one room.
pub(crate) struct Peer {
    socket: WebSocketStream<Counted>,
    read: Arc<AtomicUsize>,
    pub(crate) room: WorkerRoom,
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
}

impl Peer {
    pub(crate) async fn welcome(&mut self, welcome: Welcome) -> Hello {
        let FromWorker::Hello(hello) = self.heard().await else { panic!("no hello") };
        self.say(ToWorker::Welcome(welcome)).await;
        hello
    }

    pub(crate) async fn say(&mut self, frame: ToWorker) {
        self.say_bytes(frame.encode()).await;
    }

    pub(crate) async fn say_bytes(&mut self, bytes: Vec<u8>) {
        self.say_message(Message::Binary(bytes.into())).await;
    }

    pub(crate) async fn say_message(&mut self, message: Message) {
        soon(self.socket.send(message)).await.unwrap();
    }

    /// The next frame that is no beat.
    pub(crate) async fn heard(&mut self) -> FromWorker {
        loop {
            match self.heard_or_end().await.expect("the connection has ended") {
                FromWorker::Beat => {}
                frame => return frame,
            }
        }
    }

    /// The next frame, or nothing when the connection has ended.
    pub(crate) async fn heard_or_end(&mut self) -> Option<FromWorker> {
        match soon(self.socket.next()).await {
            Some(Ok(Message::Binary(frame))) => Some(FromWorker::decode(&frame, MAX).unwrap()),
            _ => None,
        }
    }

    /// What comes next, whatever it is.
    pub(crate) async fn pong(&mut self) -> Message {
        soon(self.socket.next()).await.unwrap().unwrap()
    }

    /// Waits for bytes that are no whole frame.
    pub(crate) async fn hears_half(&mut self) {
        let before = self.read.load(Ordering::Relaxed);
        let half = poll_fn(|cx| match self.socket.poll_next_unpin(cx) {
            Poll::Ready(frame) => panic!("a whole frame: {frame:?}"),
            Poll::Pending if self.read.load(Ordering::Relaxed) > before => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        });
        soon(half).await;
    }

    /// Waits until the worker has closed, and says with what code, if it did say one.
    pub(crate) async fn closed(mut self) -> Option<u16> {
        loop {
            match soon(self.socket.next()).await {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                Some(Ok(Message::Binary(frame))) => panic!("{:?}", FromWorker::decode(&frame, MAX)),
                Some(Ok(_)) => {}
                None | Some(Err(_)) => return None,
            }
        }
    }

    /// Opens a room from its beginning, input 1 included.
    pub(crate) async fn open(&mut self) {
        self.open_from(None).await;
        self.inputs([open()]).await;
        assert_eq!(self.outcomes().await, (1, vec![nothing()]));
    }

    pub(crate) async fn open_from(&mut self, snapshot: Option<(Seq, SavedState)>) {
        self.seq = snapshot.as_ref().map_or(0, |(seq, _)| seq.0);
        let (room, epoch) = (self.room, self.epoch);
        self.say(ToWorker::Open { room, epoch, id: id(), kind: "counter".into(), snapshot }).await;
        assert_eq!(self.heard().await, FromWorker::Opened { room, epoch, result: Ok(()) });
    }

    /// The next inputs of the room.
    pub(crate) fn next_inputs(&mut self, causes: impl IntoIterator<Item = Cause>) -> Vec<Input> {
        causes.into_iter().map(|cause| self.next_input(cause)).collect()
    }

    pub(crate) fn next_input(&mut self, cause: Cause) -> Input {
        self.seq += 1;
        Input { seq: Seq(self.seq), now_ms: 1_785_931_200_000 + self.seq, cause }
    }

    pub(crate) async fn inputs(&mut self, causes: impl IntoIterator<Item = Cause>) {
        let inputs = self.next_inputs(causes);
        self.say(ToWorker::Inputs { room: self.room, epoch: self.epoch, inputs }).await;
    }

    pub(crate) async fn skip(&mut self, cause: Cause) {
        let input = self.next_input(cause);
        self.say(ToWorker::Skip { room: self.room, epoch: self.epoch, input }).await;
    }

    /// The next frame of outcomes: of which input the first is, and they.
    pub(crate) async fn outcomes(&mut self) -> (u64, Vec<Outcome>) {
        match self.heard().await {
            FromWorker::Outcomes { room, epoch, first, outcomes } => {
                assert_eq!((room, epoch), (self.room, self.epoch));
                (first.0, outcomes)
            }
            other => panic!("{other:?} are no outcomes"),
        }
    }

    /// The outcome of one input, handled on its own.
    pub(crate) async fn outcome(&mut self, cause: Cause) -> Outcome {
        self.inputs([cause]).await;
        let (first, mut outcomes) = self.outcomes().await;
        assert_eq!((first, outcomes.len()), (self.seq, 1));
        outcomes.remove(0)
    }

    /// What a handler answers.
    pub(crate) async fn asked<T: DeserializeOwned>(&mut self, name: &str) -> T {
        let outcome = self.outcome(message(name, &())).await;
        match &outcome.outputs[..] {
            [Output::Reply { payload, .. }] => decoded(payload),
            _ => panic!("{outcome:?} is no answer"),
        }
    }

    pub(crate) async fn snap(&mut self) -> (Seq, Result<SavedState, Failure>) {
        self.snap_for(None).await
    }

    pub(crate) async fn snap_for(&mut self, version: Option<&str>) -> (Seq, Result<SavedState, Failure>) {
        let meant_for = version.map(str::to_owned);
        self.say(ToWorker::Snap { room: self.room, epoch: self.epoch, meant_for }).await;
        match self.heard().await {
            FromWorker::Snapshot { room, epoch, seq, state } => {
                assert_eq!((room, epoch), (self.room, self.epoch));
                (seq, state)
            }
            other => panic!("{other:?} is no snapshot"),
        }
    }
}

pub(crate) fn id() -> RoomId {
    RoomId::parse("k3F9xQ2m").unwrap()
}

pub(crate) fn nothing() -> Outcome {
    Outcome { result: Ok(()), outputs: Vec::new(), view: None }
}

pub(crate) fn open() -> Cause {
    Cause::Open { room: id(), seed: 7, options: NIL }
}

pub(crate) fn join(player: PlayerId) -> Cause {
    let player = Player { id: player, account: format!("a{player}"), name: format!("p{player}"), role: Role::Player };
    Cause::Join { player, options: NIL, ticket: None }
}

/// A request of Ann's.
pub(crate) fn message(name: &str, value: &impl Serialize) -> Cause {
    let from = Origin { player: ANN, no: 1, request: Some(1) };
    Cause::Message { from, name: name.into(), payload: to_payload(value).unwrap() }
}

pub(crate) fn decoded<T: DeserializeOwned>(payload: &Bytes) -> T {
    parlor::Payload(payload.clone()).decode().unwrap()
}

/// The code with which an input was refused.
pub(crate) fn refused(outcome: &Outcome) -> &str {
    match &outcome.result {
        Err(parlor_protocol::room::Fault::Refused(failure)) => &failure.code,
        _ => panic!("{outcome:?} is no refusal"),
    }
}
